"""Small-angle scattering: I(Q) over the full circle and in two sectors, from I(Qx, Qy).

Every pixel is split into sub-pixels, and each sub-pixel's share of counts goes to the Q bin it lies in:
I(Q) = Σ counts / Σ norm with counts = I · norm, error = √(Σ (error · norm)²) / Σ norm. Averaging pixels with weights
1/error² instead pulls the mean down, because a pixel that happened to count less also claims a smaller error.
"""

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import h5py
import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_array

from beamhub.processing.functions import DataError, Scalar, Summary, function

Array = NDArray[np.float64]
SUBPIXELS = 10_000_000  # of the whole detector; 20 by 20 of each pixel at 150 by 150 pixels
CHI_RANGE = (0.02, 0.149)  # 1/Å; below, a pixel of the SANS2D pattern is wider than the facility's bins


@function(title="Radial and sector average", version="1", timeout="60s", memory="4G")
def radial_average(
    raw: Path,
    out: Path,
    part: Annotated[
        Literal["exposure", "sum so far"], Field(description="this exposure alone, or all exposures up to it")
    ] = "sum so far",
    bins: Annotated[int, Field(ge=10, le=5000, description="Q bins, where the file brings no curve of its own")] = 100,
    direction: Annotated[float, Field(ge=0, lt=180, description="of the first sector, degrees from Qx to Qy")] = 0,
    width: Annotated[float, Field(ge=1, le=45, description="half-width of both sectors, degrees")] = 15,
) -> Summary:
    """Average I(Qx, Qy) over the circle, in a sector, and in the one across it; on the facility's bins where known."""
    with h5py.File(raw) as file:
        pattern = Pattern(file, "sassum" if part == "sum so far" else "sasdata")
    edges = bin_edges(pattern.reference[0]) if pattern.reference else pattern.log_edges(bins)
    curves = pattern.curves(edges, direction, width)
    titles = {
        "circle": "circle",
        "along": f"sector {direction:g}°",
        "across": f"sector {(direction + 90) % 180:g}°",
    }
    _write(out, pattern, {titles[name]: curve for name, curve in curves.items()})
    return Summary(scalars=_scalars(pattern, curves["circle"]))


class Pattern:
    """I(Qx, Qy) as counts: ``counts``, ``variance``, ``norm`` (pixels,), 0 where masked; ``qx``, ``qy`` (y, x), 1/Å."""

    def __init__(self, file: h5py.File, name: str) -> None:
        entry = file.get("sasentry01")
        if entry is None or "sasdata" not in entry:
            raise DataError("no pattern: the file has no sasentry01/sasdata")
        data = entry[name] if name in entry else entry["sasdata"]
        if "Qx" not in data or "Qy" not in data:
            raise DataError(f"no beam centre: {data.name} has neither Qx, Qy nor a centre to compute them from")
        self.title, self.run, self.instrument = (_text(entry, k) for k in ("title", "run", "sasinstrument/name"))
        self.label = _text(entry, "label")
        self.qx, self.qy, i, error = (data[k][()].astype(float) for k in ("Qx", "Qy", "I", "Idev"))
        self.unit = data["I"].attrs["units"]
        norm = data["norm"][()].astype(float) if "norm" in data else _norm(i, error)
        seen = (norm > 0) & np.isfinite(i) & np.isfinite(error) & (error > 0)
        self.norm, self.intensity = np.where(seen, norm, 0.0).ravel(), i
        self.counts = np.where(seen, i * norm, 0.0).ravel()
        self.variance = np.where(seen, (error * norm) ** 2, 0.0).ravel()
        self.reference = None
        if "reference" in entry:
            self.reference = tuple(entry["reference"][k][()] for k in ("Q", "I", "Idev"))

    def log_edges(self, bins: int) -> Array:
        """``bins`` + 1 edges, equally far apart in log Q, from one pixel to the far end of the seen detector, 1/Å."""
        q = np.hypot(self.qx, self.qy).ravel()[self.norm > 0]
        pixel = float(np.hypot(*_steps(self.qx, self.qy)))
        return np.geomspace(max(q.min(), pixel), q.max(), bins + 1)

    def curves(self, edges: Array, direction: float, width: float) -> dict[str, tuple[Array, Array, Array]]:
        """Q, I(Q) and its error of the circle and of the two sectors; NaN where a bin is empty."""
        splits = _splits(self.qx.tobytes(), self.qy.tobytes(), self.qx.shape, edges.tobytes(), direction, width)
        centres = self.reference[0] if self.reference else np.sqrt(edges[1:] * edges[:-1])
        return {name: (centres, *self._average(split)) for name, split in splits.items()}

    def _average(self, split: csr_array) -> tuple[Array, Array]:
        norm = split @ self.norm
        norm[norm <= 0] = np.nan
        return split @ self.counts / norm, np.sqrt(split @ self.variance) / norm

    def anisotropy(self) -> float:
        """⟨cos 2φ⟩ of the counts, φ from Qx: +1 all along Qx, -1 all along Qy, 0 isotropic."""
        phi = np.arctan2(self.qy, self.qx).ravel()
        net = float(self.counts.sum())
        return float(self.counts @ np.cos(2 * phi)) / net if net > 0 else float("nan")


def bin_edges(centres: Array) -> Array:
    """The edges of bins whose arithmetic centres are given: equally far apart in Q, or growing by a constant factor."""
    steps, ratios = np.diff(centres), centres[1:] / centres[:-1]
    if np.std(ratios[:20]) / np.mean(ratios[:20]) < np.std(steps[:20]) / np.mean(steps[:20]):
        factor = np.median(ratios)
        lower = 2 * centres / (1 + factor)
        return np.append(lower, lower[-1] * factor)
    half = np.median(steps) / 2
    return np.append(centres - half, centres[-1] + half)


@lru_cache(maxsize=4)
def _splits(
    qx: bytes, qy: bytes, shape: tuple[int, int], edges: bytes, direction: float, width: float
) -> dict[str, csr_array]:
    """Which share of which pixel lies in which bin: (bins, pixels) for the circle and both sectors."""
    x, y = (np.frombuffer(part).reshape(shape) for part in (qx, qy))
    bounds = np.frombuffer(edges)
    cut = max(1, min(20, int((SUBPIXELS / x.size) ** 0.5)))
    offsets = (np.arange(cut) + 0.5) / cut - 0.5
    step_x, step_y = _steps(x, y)
    total: dict[str, Any] = dict.fromkeys(("circle", "along", "across"), 0)
    pixels = np.arange(x.size)
    for dx in offsets * step_x:
        for dy in offsets * step_y:
            at_x, at_y = x.ravel() + dx, y.ravel() + dy
            rows = np.digitize(np.hypot(at_x, at_y), bounds) - 1
            inside = (rows >= 0) & (rows < len(bounds) - 1)
            off = np.abs((np.degrees(np.arctan2(at_y, at_x)) - direction + 90) % 180 - 90)
            for name, chosen in (
                ("circle", inside), ("along", inside & (off <= width)), ("across", inside & (off >= 90 - width)),
            ):  # fmt: skip
                share = np.full(chosen.sum(), 1 / cut**2)
                total[name] += csr_array((share, (rows[chosen], pixels[chosen])), (len(bounds) - 1, x.size))
    return total


def _steps(qx: Array, qy: Array) -> tuple[float, float]:
    """The size of a pixel along Qx and Qy, 1/Å, whichever axis of the array they run along."""
    return tuple(float(max(np.median(np.abs(np.diff(q, axis=k))) for k in (0, 1))) for q in (qx, qy))


def _norm(i: Array, error: Array) -> Array:
    """Counts per unit of intensity where the file has none: Poisson's I/error², flat if a background was taken off."""
    usable = np.isfinite(i) & np.isfinite(error) & (error > 0)
    poisson = np.divide(i, error**2, out=np.zeros_like(i), where=usable)
    return poisson if (i[usable] >= 0).all() else usable.astype(float)


def _scalars(pattern: Pattern, circle: tuple[Array, Array, Array]) -> dict[str, Scalar]:
    q, i, error = circle
    known = np.isfinite(i) & (i > 0)
    scalars = {
        "total counts": Scalar(value=float(pattern.counts.sum()), unit="counts"),
        "median error": Scalar(
            value=float(np.median(error[known] / i[known]) * 100) if known.any() else None, unit="%"
        ),
        "anisotropy": Scalar(value=pattern.anisotropy(), unit=""),
    }
    if pattern.reference:
        seen = known & (error > 0) & (q >= CHI_RANGE[0]) & (q <= CHI_RANGE[1])
        pull = (i[seen] - pattern.reference[1][seen]) / error[seen]
        scalars["chi²"] = Scalar(value=float(np.mean(pull**2)) if seen.any() else None, unit="")
    return scalars


def _write(out: Path, pattern: Pattern, curves: dict[str, tuple[Array, Array, Array]]) -> None:
    """NXcanSAS: ``sasdata`` is the full circle, then the sectors, the facility's curve and the pattern itself."""
    with h5py.File(out, "w") as file:
        file.attrs["default"] = "sasentry01"
        entry = _group(
            file, "sasentry01", NX_class="NXentry", canSAS_class="SASentry", version="1.1", default="sasdata"
        )
        entry["definition"] = "NXcanSAS"
        entry["title"], entry["run"], entry["label"] = pattern.title, pattern.run, pattern.label
        _group(entry, "sasinstrument", NX_class="NXinstrument", canSAS_class="SASinstrument")["name"] = (
            pattern.instrument
        )
        for name, (title, curve) in zip(("sasdata", "sector_along", "sector_across"), curves.items(), strict=True):
            _sasdata(entry, name, title, pattern.unit, curve)
        if pattern.reference:
            group = _sasdata(entry, "reference", "the facility's own curve", pattern.unit, pattern.reference)
            group.attrs["role"] = "reference"
        image = _group(entry, "pattern", NX_class="NXdata", signal="I")
        image["title"], image.attrs["image_log"] = pattern.label or pattern.title, True
        image.create_dataset(
            "I", data=pattern.intensity, dtype="f4", compression="gzip", compression_opts=1, shuffle=True
        )
        image["I"].attrs["units"] = pattern.unit


def _sasdata(entry: h5py.Group, name: str, title: str, unit: str, curve: tuple[Array, Array, Array]) -> h5py.Group:
    group = _group(entry, name, NX_class="NXdata", canSAS_class="SASdata", signal="I", I_axes="Q", axes="Q")
    group.attrs["Q_indices"], group.attrs["x_log"], group.attrs["y_log"] = 0, True, True
    group["title"] = title
    for key, values, units in zip(("Q", "I", "Idev"), curve, ("1/A", unit, unit), strict=True):
        group[key] = values
        group[key].attrs["units"] = units
    group["I"].attrs["uncertainties"] = "Idev"
    group["I_errors"] = group["Idev"]
    return group


def _group(parent: h5py.Group, name: str, **attributes: str) -> h5py.Group:
    group = parent.create_group(name)
    group.attrs.update(attributes)
    return group


def _text(entry: h5py.Group, name: str) -> str:
    value = entry[name][()] if name in entry else ""
    value = value[0] if isinstance(value, np.ndarray) else value
    return value.decode() if isinstance(value, bytes) else str(value)
