"""The powder function against 2θ computed by hand from the published lattice constant of LaB6."""

from pathlib import Path

import frames
import h5py
import numpy as np
import powder
import pytest

from beamhub.processing.functions import DataError

A = 4.156826  # Å, LaB6, NIST SRM 660c
REFLECTIONS = [(1, 0, 0), (1, 1, 0), (1, 1, 1), (2, 0, 0), (2, 1, 0), (2, 1, 1)]


@pytest.fixture(scope="module")
def frame(tmp_path_factory):
    folder = tmp_path_factory.mktemp("powder")
    frames.write_geometry(folder)
    frames.write_frame(next(frames.frames(1, seed=2)), 1, 1, folder / "frame.nxs")
    return folder / "frame.nxs"


def worst_shift(out: Path) -> float:
    """The largest distance, in degrees of 2θ, of a peak's centroid from where Bragg's law puts it."""
    with h5py.File(out) as file:
        data = file["entry/data"]
        x, y = data["radial_axis"][()], data["I"][()]
        wavelength = file["entry/instrument/monochromator/wavelength"][()]
    shifts = []
    for hkl in REFLECTIONS:
        # 2θ = 2 asin(λ √(h²+k²+l²) / 2a), λ as the output claims; with 0.7 Å (1 0 0) lies at 9.66°.
        expected = 2 * np.degrees(np.arcsin(wavelength * np.sqrt(sum(i * i for i in hkl)) / (2 * A)))
        window = np.abs(x - expected) < 0.5
        ground = np.median(y[(np.abs(x - expected) > 0.5) & (np.abs(x - expected) < 1.0)])
        weight = np.clip(y[window] - ground, 0, None)
        weight[weight < 0.1 * weight.max()] = 0
        shifts.append(abs(float((x[window] * weight).sum() / weight.sum()) - expected))
    return max(shifts)


def test_peaks_lie_where_braggs_law_puts_them(frame, tmp_path):
    powder.powder_diffraction(frame, tmp_path / "out.nxs")
    assert worst_shift(tmp_path / "out.nxs") < 0.02


@pytest.mark.parametrize(
    ("key", "change"),
    [("Distance", 1.01), ("Rot1", np.radians(0.5)), ("Wavelength", 1.005)],
    ids=["distance 1 % off", "rot1 0.5° off", "wavelength 0.5 % off"],
)
def test_a_wrong_geometry_fails_the_bar(frame, tmp_path, key, change):
    (tmp_path / "frame.nxs").write_bytes(frame.read_bytes())
    lines = (frame.parent / "geometry.poni").read_text().splitlines()
    for number, line in enumerate(lines):
        if line.startswith(f"{key}: "):
            value = float(line.split(": ")[1])
            lines[number] = f"{key}: {value + change if key == 'Rot1' else value * change}"
    (tmp_path / "geometry.poni").write_text("\n".join(lines))
    powder.powder_diffraction(tmp_path / "frame.nxs", tmp_path / "out.nxs")
    assert worst_shift(tmp_path / "out.nxs") > 0.02


def test_the_output_is_nxazint1d(frame, tmp_path):
    powder.powder_diffraction(frame, tmp_path / "out.nxs", bins=500)
    with h5py.File(tmp_path / "out.nxs") as file:
        entry = file["entry"]
        assert entry["definition"].asstr()[()] == "NXazint1d"
        assert entry["data/I"].shape == entry["data/radial_axis"].shape == (500,)
        assert entry["reduction/program"].asstr()[()] == "pyFAI"
        assert entry["instrument/monochromator/wavelength"][()] == pytest.approx(0.7)


def test_a_frame_without_geometry_says_so(frame, tmp_path):
    (tmp_path / "frame.nxs").write_bytes(frame.read_bytes())
    with pytest.raises(DataError, match="no geometry"):
        powder.powder_diffraction(tmp_path / "frame.nxs", tmp_path / "out.nxs")
