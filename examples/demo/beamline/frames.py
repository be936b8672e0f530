"""Simulated powder diffraction of the calibrant LaB6 on a tilted 1 Mpx detector, with Poisson noise.

Unlike the small-angle patterns beside it this is no measurement: the files say so.
"""

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray
from pyFAI.calibrant import get_calibrant
from pyFAI.integrator.azimuthal import AzimuthalIntegrator

WAVELENGTH = 0.7e-10  # m, 17.7 keV
GEOMETRY = AzimuthalIntegrator(
    dist=0.2, poni1=0.08, poni2=0.075, rot1=0.03, rot2=-0.02, detector="Pilatus1M", wavelength=WAVELENGTH
)


def pattern(photons: float = 60.0) -> NDArray[np.float64]:
    """The expected LaB6 pattern: (y, x), photons per pixel and frame, ``photons`` at the strongest ring."""
    calibrant = get_calibrant("LaB6")
    calibrant.wavelength = WAVELENGTH
    return np.asarray(calibrant.fake_calibration_image(GEOMETRY, Imax=photons, Imin=1.0, resolution=0.15), dtype=float)


def frames(count: int, seed: int = 0) -> Iterator[NDArray[np.uint32]]:
    """``count`` frames of the pattern with the noise of counting; gaps of the detector hold 2³²-1, as such files do."""
    random, mean = np.random.default_rng(seed), pattern()
    gaps = GEOMETRY.detector.mask.astype(bool)
    for _ in range(count):
        yield np.where(gaps, np.uint32(2**32 - 1), random.poisson(mean).astype(np.uint32))


def write_geometry(folder: Path) -> None:
    """Write the geometry as ``geometry.poni`` beside the frames, where the function looks for it."""
    path = folder / "geometry.poni"
    if not path.exists():
        GEOMETRY.save(str(path))


def write_frame(frame: NDArray[np.uint32], number: int, count: int, path: Path) -> None:
    """Write one frame as NeXus: entry/data/data (y, x), photons."""
    with h5py.File(path, "w") as file:
        file.attrs["default"] = "entry"
        entry = file.create_group("entry")
        entry.attrs.update(NX_class="NXentry", default="data")
        entry["title"] = "LaB6, simulated"
        entry["label"] = f"frame {number} of {count}, simulated"
        data = entry.create_group("data")
        data.attrs.update(NX_class="NXdata", signal="data")
        data.create_dataset("data", data=frame, compression="gzip", compression_opts=1, shuffle=True)
