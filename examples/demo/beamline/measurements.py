"""Real small-angle measurements, read from the files that the package ``sasdata`` carries (BSD-3-Clause).

Each is a reduced, calibrated I(Qx, Qy) with its uncertainty. :class:`Measurement` turns it back into counts, so that
it can be divided at random into exposures; how is written at :func:`counted`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import h5py
import numpy as np
import sasdata
from numpy.typing import NDArray

Array = NDArray[np.float64]
DATA = Path(sasdata.__file__).parent / "example_data"
CANSAS = "{urn:cansas1d:1.1}"


@dataclass(frozen=True)
class Curve:
    """The facility's own I(Q): ``q`` in 1/Å, ``i`` and ``error`` in the unit of the two-dimensional data."""

    q: Array
    i: Array
    error: Array


@dataclass(frozen=True)
class Measurement:
    """One measured pattern as counts.

    ``signal`` and ``background``: (y, x) whole numbers; ``norm``: (y, x), counts per unit of intensity, 0 where the
    pixel is masked; ``qx`` and ``qy``: (y, x), 1/Å. Intensity is (signal - background) / norm.
    """

    name: str
    instrument: str
    run: str
    title: str
    unit: str
    signal: NDArray[np.int64]
    background: NDArray[np.int64]
    norm: Array
    qx: Array
    qy: Array
    reference: Curve | None = None


@dataclass(frozen=True)
class Pattern:
    """I(Qx, Qy) as published: ``i`` and ``error`` (y, x) in ``unit``; ``error`` is 0 where the pixel is masked."""

    instrument: str
    run: str
    title: str
    unit: str
    i: Array
    error: Array
    qx: Array
    qy: Array
    reference: Curve | None = None


def pixel_norm(i: Array, error: Array) -> Array:
    """Counts per unit of intensity of each pixel, 0 where it is masked.

    Where no background was subtracted (no negative intensity), counts are Poisson's: error² = I / norm. Where one was,
    the error says nothing of the norm of a weak pixel, so the norm is taken as flat: the median of I / error² over the
    brightest hundredth.
    """
    usable = np.isfinite(i) & np.isfinite(error) & (error > 0)
    ratio = np.divide(i, error**2, out=np.zeros_like(i), where=usable)
    if (i[usable] >= 0).all():
        return ratio
    bright = usable & (i >= np.quantile(i[usable], 0.99))
    return np.where(usable, np.median(ratio[bright]), 0.0)


def counted(name: str, pattern: Pattern, seed: int = 0) -> Measurement:
    """Take a pattern back to whole counts of signal and background.

    From I = (s - b) / norm and error² = (s + b) / norm² follow s and b. They are not whole numbers, since the facility
    merged wavelengths; they are rounded up or down at random so that their mean is kept.
    """
    norm = pixel_norm(pattern.i, pattern.error)
    net = np.where(norm > 0, np.nan_to_num(pattern.i) * norm, 0)
    total = np.maximum(np.where(norm > 0, np.nan_to_num(pattern.error) * norm, 0) ** 2, np.abs(net))
    dice = np.random.default_rng(seed).random(net.shape)
    signal, background = (np.floor((total + sign * net) / 2 + dice).astype(np.int64) for sign in (1, -1))
    return Measurement(
        name, pattern.instrument, pattern.run, pattern.title, pattern.unit,
        signal, background, norm, pattern.qx, pattern.qy, pattern.reference,
    )  # fmt: skip


def sans2d_33837() -> Pattern:
    """A sample in a 16 T magnet on SANS2D at ISIS: strongly anisotropic; with the facility's own I(Q)."""
    with h5py.File(DATA / "1d_data/33837rear_1D_1.75_16.5_NXcanSAS_v3.h5") as file:
        data = file["sasentry01/sasdata"]
        curve = Curve(data["Q"][()], data["I"][()], data["Idev"][()])
    return _nxcansas("33837rear_2D_1.75_16.5_NXcanSAS_v3.h5", curve)


def larmor_14250() -> Pattern:
    """High-carbon steel at 900 °C on LARMOR at ISIS."""
    return _nxcansas("14250_2D_NoDetInfo_NXcanSAS_v3.h5")


def loq_p123() -> Pattern:
    """10 % of the block copolymer P123 in heavy water on LOQ at ISIS; with the facility's own I(Q)."""
    columns = np.loadtxt(DATA / "2d_data/P123_D2O_10_percent.dat", skiprows=2).T
    qx, qy, i, error = (column.reshape(100, 100) for column in columns)
    root = ElementTree.parse(DATA / "1d_data/P123_D2O_10_percent.xml").getroot()  # noqa: S314 - our own package's file
    curve = Curve(*(np.array([float(e.text or "nan") for e in root.iter(CANSAS + k)]) for k in ("Q", "I", "Idev")))
    return Pattern("LOQ", "91799", "10 wt% P123 in D2O", "1/cm", i, error, qx, qy, curve)


def hfir_exp18_14() -> Pattern:
    """A scattering pattern of the HFIR's SANS machine; the file has no errors.

    They are taken from the scatter between neighbouring pixels, which for counts is proportional to the intensity.
    """
    columns = np.loadtxt(DATA / "2d_data/exp18_14_igor_2dqxqy.dat", skiprows=18).T
    qx, qy, i = (column.reshape(192, 192) for column in columns[:3])
    difference = np.diff(i, axis=1) ** 2 / 2
    mean = (i[:, 1:] + i[:, :-1]) / 2
    scale = float(np.median(difference[mean > 0] / mean[mean > 0]) / 0.4549)  # 0.4549: median of chi² with one degree
    return Pattern("HFIR SANS", "exp18 scan 14", "Scatt 3m 6A", "arb.", i, np.sqrt(i * scale), qx, qy)


def bam_2d() -> Pattern:
    """Oriented iron oxide, X-rays, BAM: 1065 by 1030 pixels with the detector's gaps masked."""
    with h5py.File(DATA / "2d_data/BAM_2D.h5") as file:
        entry = file["sasentry01"]
        data = entry["data"]
        error = np.where(data["Imask"][()], 0.0, data["Idev"][()])
        i, q = data["I"][()] / 100, data["Q"][()]
        run, title = (entry[key][()].decode() for key in ("run", "title"))
    return Pattern("BAM", run, title, "1/cm", i, error / 100, q[1], q[0])


def _nxcansas(name: str, curve: Curve | None = None) -> Pattern:
    with h5py.File(DATA / "2d_data" / name) as file:
        entry = file["sasentry01"]
        data = entry["sasdata"]
        i, error, qx, qy = (data[key][()] for key in ("I", "Idev", "Qx", "Qy"))
        run, title, instrument = (entry[key][0].decode() for key in ("run", "title", "sasinstrument/name"))
        unit = data["I"].attrs["units"]
    return Pattern(instrument, run, title, unit, i, error, qx, qy, curve)


MEASUREMENTS: dict[str, Callable[[], Pattern]] = {
    "sans2d_33837": sans2d_33837,
    "loq_p123": loq_p123,
    "larmor_14250": larmor_14250,
    "hfir_exp18_14": hfir_exp18_14,
    "bam_2d": bam_2d,
}
