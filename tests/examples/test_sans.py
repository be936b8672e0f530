"""The example functions against the physics: the facility's own curves."""

from pathlib import Path

import exposures
import h5py
import measurements
import numpy as np
import pytest
import sans

from beamhub.processing.functions import DataError

# Where a deviation from the facility's curve is a deviation of ours: above, the rear detector ends; below, a pixel
# (0.002 1/Å) is wider than the facility's bins. (median, 95th percentile) in per cent.
BARS = {
    "sans2d_33837": ((0.035, 0.149), (0.5, 1.5)),
    "loq_p123": ((0.009, 0.098), (1.0, 3.0)),
}


def whole_file(name: str, folder: Path, shift: float = 0.0) -> Path:
    pattern = measurements.MEASUREMENTS[name]()
    path = folder / f"{name}.nxs"
    exposures.write_pattern(pattern, path, measurements.pixel_norm(pattern.i, pattern.error))
    if shift:
        with h5py.File(path, "r+") as file:
            file["sasentry01/sasdata/Qx"][...] += shift
    return path


def deviation(i: np.ndarray, name: str) -> tuple[float, float]:
    """Median and 95th percentile of |I / facility's I - 1| within the range of the bar, per cent."""
    curve = measurements.MEASUREMENTS[name]().reference
    (low, high), _ = BARS[name]
    seen = (curve.q >= low) & (curve.q <= high)
    relative = np.abs(i[seen] / curve.i[seen] - 1) * 100
    return float(np.median(relative)), float(np.percentile(relative, 95))


def passes(i: np.ndarray, name: str) -> bool:
    _, (median, tail) = BARS[name]
    found = deviation(i, name)
    return found[0] <= median and found[1] <= tail


def averaged(raw: Path, out: Path) -> np.ndarray:
    sans.radial_average(raw, out)
    with h5py.File(out) as file:
        return file["sasentry01/sasdata/I"][()]


@pytest.mark.parametrize("name", BARS)
def test_the_radial_average_agrees_with_the_facilitys_own_curve(name, tmp_path):
    i = averaged(whole_file(name, tmp_path), tmp_path / "out.nxs")
    assert passes(i, name), deviation(i, name)


@pytest.mark.parametrize("name", BARS)
def test_a_beam_centre_moved_by_one_pixel_fails_the_bar(name, tmp_path):
    i = averaged(whole_file(name, tmp_path, shift=0.002), tmp_path / "out.nxs")
    assert not passes(i, name), deviation(i, name)


@pytest.mark.parametrize("name", BARS)
def test_weights_of_one_over_the_squared_error_fail_the_bar(name, tmp_path):
    with h5py.File(whole_file(name, tmp_path)) as file:
        pattern = sans.Pattern(file, "sasdata")
        error = file["sasentry01/sasdata/Idev"][()].ravel()
    weight = np.divide(1, error**2, out=np.zeros_like(error), where=pattern.norm > 0)
    pattern.counts, pattern.norm = weight * np.nan_to_num(pattern.intensity.ravel()), weight
    i = pattern.curves(sans.bin_edges(pattern.reference[0]), 0, 15)["circle"][1]
    assert not passes(i, name), deviation(i, name)


def test_the_sum_of_all_exposures_is_the_measurement_and_converges_to_the_facilitys_curve(tmp_path):
    whole = measurements.counted("sans2d_33837", measurements.sans2d_33837())
    tails = []
    for exposure in exposures.divide(whole, 40, seed=1):
        if exposure.number in (1, 40):
            exposures.write_exposure(exposure, tmp_path / "part.nxs")
            tails.append(deviation(averaged(tmp_path / "part.nxs", tmp_path / "out.nxs"), "sans2d_33837"))
    assert (exposure.so_far.signal == whole.signal).all()
    assert tails[1] < tails[0]
    assert tails[1][0] <= 0.5
    assert tails[1][1] <= 1.5


def test_exposures_are_independent_poisson_parts():
    whole = measurements.counted("sans2d_33837", measurements.sans2d_33837())
    parts = np.array([exposure.part.signal.sum() for exposure in exposures.divide(whole, 40, seed=3)])
    # 40 parts of 66,042 counts: the standard deviation is 254 (binomial), so 5 of them are 1,270.
    assert parts.sum() == whole.signal.sum()
    assert np.abs(parts - whole.signal.sum() / 40).max() < 1270


def test_the_magnet_sample_scatters_ten_times_as_much_along_160_degrees_as_across(tmp_path):
    sans.radial_average(whole_file("sans2d_33837", tmp_path), tmp_path / "out.nxs", direction=160)
    with h5py.File(tmp_path / "out.nxs") as file:
        q = file["sasentry01/sasdata/Q"][()]
        along, across = (file[f"sasentry01/sector_{name}/I"][()] for name in ("along", "across"))
    seen = (q > 0.01) & (q < 0.02)
    assert np.median(along[seen] / across[seen]) > 10


def test_an_isotropic_pattern_is_the_same_in_both_sectors(tmp_path):
    sans.radial_average(whole_file("loq_p123", tmp_path), tmp_path / "out.nxs", direction=160)
    with h5py.File(tmp_path / "out.nxs") as file:
        q = file["sasentry01/sasdata/Q"][()]
        along, across = (file[f"sasentry01/sector_{name}/I"][()] for name in ("along", "across"))
    seen = (q > 0.015) & (q < 0.045)
    assert np.median(along[seen] / across[seen]) == pytest.approx(1, abs=0.1)


def test_a_file_without_a_beam_centre_says_so(tmp_path):
    raw = whole_file("loq_p123", tmp_path)
    with h5py.File(raw, "r+") as file:
        del file["sasentry01/sasdata/Qx"]
    with pytest.raises(DataError, match="no beam centre"):
        sans.radial_average(raw, tmp_path / "out.nxs")


@pytest.mark.parametrize("name", sorted(measurements.MEASUREMENTS))
def test_every_measurement_can_be_replayed_and_averaged(name, tmp_path):
    whole = measurements.counted(name, measurements.MEASUREMENTS[name]())
    exposure = next(exposures.divide(whole, 40))
    exposures.write_exposure(exposure, tmp_path / "part.nxs")
    summary = sans.radial_average(tmp_path / "part.nxs", tmp_path / "out.nxs", part="exposure")
    expected = whole.signal.sum() / 40 - whole.background.sum() / 40
    assert summary.scalars["total counts"].value == pytest.approx(expected, rel=0.05)
    assert "made by thinning" in exposure.label
