"""Powder diffraction: one detector frame to I(2θ) with pyFAI, the geometry from the PONI file beside the frame."""

from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

import h5py
import numpy as np
import pyFAI
from pydantic import Field
from pyFAI.containers import Integrate1dResult
from pyFAI.integrator.azimuthal import AzimuthalIntegrator

from beamhub.processing.functions import DataError, Scalar, Summary, function


@function(title="Powder diffraction", version="1", timeout="60s", memory="4G")
def powder_diffraction(
    raw: Path,
    out: Path,
    bins: Annotated[int, Field(ge=100, le=10_000, description="points of the curve")] = 1000,
    polarization: Annotated[float, Field(ge=-1, le=1, description="1: in the plane of the ring, 0: none")] = 0.99,
    unit: Literal["2th_deg", "q_A^-1"] = "2th_deg",
) -> Summary:
    """Integrate a frame over the azimuth: I(2θ) or I(q) with Poisson errors, solid angle and polarization corrected."""
    with h5py.File(raw) as file:
        if "entry/data/data" not in file:
            raise DataError("no frame: the file has no entry/data/data")
        frame, title = file["entry/data/data"][()], file["entry/title"].asstr()[()]
    poni = raw.parent / "geometry.poni"
    if not poni.exists():
        raise DataError(f"no geometry: {poni.name} is missing beside the frame; calibrate and put it there")
    integrator = _integrator(poni.read_text())
    if integrator.detector.shape != frame.shape:
        raise DataError(f"the geometry is for {integrator.detector.shape} pixels, the frame has {frame.shape}")
    gaps = frame >= np.iinfo(frame.dtype).max - 1
    result = integrator.integrate1d(
        frame,
        bins,
        unit=unit,
        mask=gaps,
        error_model="poisson",
        polarization_factor=polarization,
        method=("bbox", "csr", "cython"),
    )
    _write(out, title, result, integrator, polarization, np.where(gaps, np.nan, frame))
    strongest = int(np.argmax(result.intensity))
    return Summary(
        scalars={
            "total counts": Scalar(value=float(frame[~gaps].sum()), unit="counts"),
            "strongest peak": Scalar(value=float(result.radial[strongest]), unit=_units(unit)),
            "peak over ground": Scalar(value=float(result.intensity.max() / np.median(result.intensity)), unit=""),
        }
    )


@lru_cache(maxsize=4)
def _integrator(poni: str) -> AzimuthalIntegrator:
    """One integrator per geometry, since its look-up table costs a second to make and is kept inside it."""
    values = dict(line.split(": ", 1) for line in poni.splitlines() if ": " in line and not line.startswith("#"))
    return AzimuthalIntegrator(
        dist=float(values["Distance"]),
        poni1=float(values["Poni1"]), poni2=float(values["Poni2"]),
        rot1=float(values["Rot1"]), rot2=float(values["Rot2"]), rot3=float(values["Rot3"]),
        detector=pyFAI.detectors.detector_factory(values["Detector"]), wavelength=float(values["Wavelength"]),
    )  # fmt: skip


def _units(unit: str) -> str:
    return "deg" if unit == "2th_deg" else "1/A"


def _write(
    out: Path,
    title: str,
    result: Integrate1dResult,
    integrator: AzimuthalIntegrator,
    polarization: float,
    frame: np.ndarray,
) -> None:
    """NXazint1d: the curve in entry/data, the reduction's inputs in entry/reduction, the frame in entry/frame."""
    with h5py.File(out, "w") as file:
        file.attrs["default"] = "entry"
        entry = _group(file, "entry", NX_class="NXentry", default="data")
        entry["definition"], entry["title"] = "NXazint1d", title
        entry["solid_angle_applied"], entry["polarization_applied"] = True, polarization != 0
        entry["normalization_applied"] = False
        instrument = _group(entry, "instrument", NX_class="NXinstrument")
        instrument["name"] = "simulated"
        mono = _group(instrument, "monochromator", NX_class="NXmonochromator")
        mono["wavelength"] = integrator.wavelength * 1e10
        mono["wavelength"].attrs["units"] = "angstrom"
        source = _group(instrument, "source", NX_class="NXsource")
        source["name"], source["type"], source["probe"] = "simulated", "Synchrotron X-ray Source", "x-ray"
        reduction = _group(entry, "reduction", NX_class="NXprocess")
        reduction["program"], reduction["version"] = "pyFAI", pyFAI.version
        reduction["date"], reduction["reference"] = (
            datetime.now(UTC).isoformat(),
            "doi:10.1107/S1600576715004306",
        )
        inputs = _group(reduction, "input", NX_class="NXparameters")
        for key, value in integrator.get_config().items():
            inputs[key] = str(value)
        data = _group(entry, "data", NX_class="NXdata", signal="I", axes="radial_axis", interpretation="spectrum")
        data["I"], data["I_errors"], data["radial_axis"] = result.intensity, result.sigma, result.radial
        data["radial_axis"].attrs.update(
            units=_units(result.unit.name), long_name="2θ" if "2th" in result.unit.name else "q"
        )
        data["I"].attrs.update(units="arb.", long_name="intensity")
        image = _group(entry, "frame", NX_class="NXdata", signal="data", image_log=True)
        image.create_dataset("data", data=frame, dtype="f4", compression="gzip", compression_opts=1, shuffle=True)
        image["title"] = "frame"


def _group(parent: h5py.Group, name: str, **attributes: str | bool) -> h5py.Group:
    group = parent.create_group(name)
    group.attrs.update(attributes)
    return group
