"""Dividing one measurement at random into exposures, and writing each as a file like a beamline's.

Every count of the whole measurement falls into exactly one of the exposures, each with the same chance (multinomial
thinning): the parts are independent, each is Poisson distributed, and they add up to the measurement exactly.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
from measurements import Array, Measurement, Pattern
from numpy.typing import NDArray


@dataclass(frozen=True)
class Exposure:
    """Part ``number`` of ``of``: its own counts, and those of all parts up to it."""

    number: int
    of: int
    part: Measurement
    so_far: Measurement

    @property
    def label(self) -> str:
        """What the file and the table say of it: never that it was measured as it stands."""
        return f"part {self.number} of {self.of} of run {self.part.run}, made by thinning"


def divide(whole: Measurement, of: int, seed: int = 0) -> Iterator[Exposure]:
    """Divide a measurement into ``of`` exposures; the same seed gives the same parts."""
    random = np.random.default_rng(seed)
    left = [whole.signal.copy(), whole.background.copy()]
    for number in range(1, of + 1):
        taken = [random.binomial(counts, 1 / (of - number + 1)) for counts in left]
        left = [counts - part for counts, part in zip(left, taken, strict=True)]
        so_far = [all_ - rest for all_, rest in zip((whole.signal, whole.background), left, strict=True)]
        yield Exposure(
            number,
            of,
            replace(whole, signal=taken[0], background=taken[1], norm=whole.norm / of),
            replace(whole, signal=so_far[0], background=so_far[1], norm=whole.norm * number / of),
        )


def intensity(part: Measurement) -> tuple[Array, Array]:
    """I(Qx, Qy) and its uncertainty, NaN where the pixel is masked; an empty pixel has the error of one count."""
    seen = part.norm > 0
    norm = np.where(seen, part.norm, np.nan)
    return (part.signal - part.background) / norm, np.sqrt(np.maximum(part.signal + part.background, 1)) / norm


def write_exposure(exposure: Exposure, path: Path) -> None:
    """Write one exposure as NXcanSAS: ``sasdata`` is this part, ``sassum`` all parts up to it."""
    part = exposure.part
    with h5py.File(path, "w") as file:
        entry = _entry(file, part.title, part.run, part.instrument)
        entry["label"] = exposure.label
        entry["exposure"], entry["exposures"] = exposure.number, exposure.of
        data = _sasdata(entry, "sasdata", part.unit, *intensity(part), part.norm)
        total = _sasdata(entry, "sassum", part.unit, *intensity(exposure.so_far), exposure.so_far.norm)
        for name, values in (("Qx", part.qx), ("Qy", part.qy)):
            _dataset(data, name, values, "1/A")
            total[name] = data[name]
        _reference(entry, part)


def write_pattern(pattern: Pattern, path: Path, norm: Array) -> None:
    """Write a whole pattern as it was published, not divided and not rounded."""
    with h5py.File(path, "w") as file:
        entry = _entry(file, pattern.title, pattern.run, pattern.instrument)
        data = _sasdata(entry, "sasdata", pattern.unit, pattern.i, pattern.error, norm)
        for name, values in (("Qx", pattern.qx), ("Qy", pattern.qy)):
            _dataset(data, name, values, "1/A", dtype="f8")
        _reference(entry, pattern)


def _entry(file: h5py.File, title: str, run: str, instrument: str) -> h5py.Group:
    file.attrs["default"] = "sasentry01"
    entry = _group(file, "sasentry01", NX_class="NXentry", canSAS_class="SASentry", version="1.0", default="sasdata")
    entry["definition"], entry["title"], entry["run"] = "NXcanSAS", title, run
    _group(entry, "sasinstrument", NX_class="NXinstrument", canSAS_class="SASinstrument")["name"] = instrument
    return entry


def _sasdata(entry: h5py.Group, name: str, unit: str, i: Array, error: Array, norm: Array) -> h5py.Group:
    data = _group(entry, name, NX_class="NXdata", canSAS_class="SASdata", signal="I", I_axes="Q,Q")
    data.attrs["Q_indices"] = np.array([0, 1], dtype="i4")
    _dataset(data, "I", i, unit).attrs["uncertainties"] = "Idev"
    _dataset(data, "Idev", error, unit)
    _dataset(data, "norm", norm, f"counts/({unit})")
    return data


def _reference(entry: h5py.Group, source: Measurement | Pattern) -> None:
    if source.reference is None:
        return
    group = _group(entry, "reference", NX_class="NXdata", canSAS_class="SASdata", signal="I", I_axes="Q")
    group.attrs["role"] = "reference"
    group["title"] = "the facility's own curve"
    for name, values, unit in (
        ("Q", source.reference.q, "1/A"),
        ("I", source.reference.i, source.unit),
        ("Idev", source.reference.error, source.unit),
    ):
        _dataset(group, name, values, unit, dtype="f8")


def _group(parent: h5py.Group, name: str, **attributes: str) -> h5py.Group:
    group = parent.create_group(name)
    group.attrs.update(attributes)
    return group


def _dataset(group: h5py.Group, name: str, values: NDArray[np.floating], unit: str, dtype: str = "f4") -> h5py.Dataset:
    dataset = group.create_dataset(name, data=values, dtype=dtype, compression="gzip", compression_opts=1, shuffle=True)
    dataset.attrs["units"] = unit
    return dataset
