"""Small pictures of a result: the preview (an image, else the curves) and the sparkline of its row."""

import io
import math
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from beamhub.catalog.records import Axis, Plot
from beamhub.processing import nexus

WIDEST, HIGHEST = 512, 1024  # pixels of a preview
LARGEST = 16 * 1024**2  # pixels of an image that are read; of larger ones every second, third, ...
LARGEST_IMAGE = 2**31  # bytes, all of which have to be unpacked for that
CURVES = (384, 240)  # pixels of a picture of curves
MARGIN = 12
COLOURS = 255  # and one index for what has no value
SAMPLE = 2**16  # pixels are enough for percentiles
COMPRESSION = 1  # of zlib; 6 takes five times as long for a tenth less
SPARKS = 48  # values of a sparkline
VIRIDIS = (
    "440154 47186a 472c7b 424085 3a528b 32628d 2c728e 26818e 20908c "
    "1e9f88 28ae7f 3ebc73 5ec961 83d34b addc30 d7e219 fde724"
)
LINES = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd")
REFERENCE = "#7f7f7f"


def render(contents: nexus.Contents, plot: Plot | None) -> bytes | None:
    """Draw an output as PNG: its default if that is an image, else its first image, else its curves."""
    group = _image_group(contents)
    if group is not None:
        return _png(_coloured(shrink(_pixels(group)), log=bool(group.attrs.get("image_log", False))))
    return _png(_drawn(plot)) if plot is not None else None


def _image_group(contents: nexus.Contents) -> h5py.Group | None:
    default = contents.default
    for group in [*([default] if default is not None else []), *contents.plottable]:
        try:
            if len(nexus.dimensions(nexus.signal_of(group))) == 2:
                return group
        except (nexus.NotPlottable, *nexus.UNREADABLE):  # half a group is no image
            continue
    return None


def _pixels(group: h5py.Group) -> NDArray[Any]:
    """(y, x) float, the first row at the top of the picture; of a huge image only every n-th pixel."""
    signal = nexus.signal_of(group)
    if signal.nbytes > LARGEST_IMAGE:
        told = f"{signal.name} has {signal.nbytes} bytes, an image that is drawn at most {LARGEST_IMAGE}"
        raise nexus.NotPlottable(told)
    step = max(1, math.ceil(math.sqrt(signal.size / LARGEST)))
    picked = tuple(slice(None, None, step) if size != 1 else 0 for size in signal.shape)
    image = np.asarray(signal[picked], dtype=np.float32)
    return image[::-1] if _upwards(group) else image


def _upwards(group: h5py.Group) -> bool:
    """Whether the first axis has values that grow, so that its first row belongs at the bottom."""
    axes = np.atleast_1d(group.attrs.get("axes", []))
    axis = group.get(nexus.text(axes[0])) if len(axes) >= 2 else None
    if not isinstance(axis, h5py.Dataset) or axis.ndim != 1 or axis.size < 2:
        return False
    return bool(axis[-1] > axis[0])


def shrink(image: NDArray[Any]) -> NDArray[Any]:
    """Make an image at most 512 pixels wide and 1024 high: means over blocks; NaN counts for nothing."""
    height, width = image.shape
    factor = max(1, math.ceil(width / WIDEST), math.ceil(height / HIGHEST))
    block = min(factor, height), min(factor, width)
    total = _summed(image, block)
    if np.isfinite(total).all():
        return np.divide(total, np.float32(block[0] * block[1]))
    valid = np.isfinite(image)
    weight = _summed(valid, block)
    total = _summed(np.where(valid, image, 0), block)
    return np.divide(total, weight, out=np.full(weight.shape, np.nan, np.float32), where=weight > 0)


def _summed(image: NDArray[Any], block: tuple[int, int]) -> NDArray[np.float32]:
    """Sums over blocks; rows and columns that fill no block are left out."""
    rows, columns = image.shape[0] // block[0], image.shape[1] // block[1]
    total = np.zeros((rows, columns), np.float32)
    for y in range(block[0]):
        for x in range(block[1]):
            total += image[y :: block[0], x :: block[1]][:rows, :columns]
    return total


def _coloured(image: NDArray[Any], log: bool) -> Image.Image:
    """Colours between the 1st and the 99th percentile; no value is transparent, zero on a logarithmic scale dark."""
    valid = np.isfinite(image)
    if log:
        image = np.log10(image, out=np.full(image.shape, -np.inf, np.float32), where=valid & (image > 0))
    known = image[valid & np.isfinite(image)][:: 1 + image.size // SAMPLE]
    low, high = np.percentile(known, (1, 99)) if known.size else (0.0, 1.0)
    scaled = (np.where(valid, image, low) - low) / ((high - low) or 1.0)
    indices = np.where(valid, np.clip(scaled * COLOURS, 0, COLOURS - 1), COLOURS).astype(np.uint8)
    coloured = Image.fromarray(indices)
    coloured.putpalette(_table().tobytes() + bytes(3))
    coloured.info["transparency"] = COLOURS
    return coloured


def _table() -> NDArray[np.uint8]:
    anchors = np.array([list(bytes.fromhex(colour)) for colour in VIRIDIS.split()], dtype=float)
    places = np.linspace(0, len(anchors) - 1, COLOURS)
    channels = [np.interp(places, np.arange(len(anchors)), anchors[:, c]) for c in range(3)]
    return np.stack(channels, axis=1).round().astype(np.uint8)


def _drawn(plot: Plot) -> Image.Image:
    """The curves of a plot as lines without labels, on a transparent ground."""
    image = Image.new("RGBA", CURVES, (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    lines = [(_scaled(c.x, plot.x), _scaled(c.y, plot.y), c.role) for c in plot.curves]
    across = _place(np.concatenate([x for x, _, _ in lines]), MARGIN, CURVES[0] - MARGIN)
    upward = _place(np.concatenate([y for _, y, _ in lines]), CURVES[1] - MARGIN, MARGIN)
    for number, (x, y, role) in enumerate(lines):
        colour = REFERENCE if role == "reference" else LINES[number % len(LINES)]
        for piece in _pieces(across(x), upward(y)):
            draw.line(piece, fill=colour, width=2)
    return image


def _scaled(values: list[float | None], axis: Axis) -> NDArray[Any]:
    numbers = np.array([math.nan if v is None else v for v in values], dtype=float)
    return np.log10(numbers, out=np.full(numbers.shape, np.nan), where=numbers > 0) if axis.log else numbers


def _place(values: NDArray[Any], start: int, end: int) -> Any:
    valid = values[np.isfinite(values)]
    low, high = (valid.min(), valid.max()) if valid.size else (0.0, 1.0)
    return lambda v: start + (v - low) / ((high - low) or 1.0) * (end - start)


def _pieces(x: NDArray[Any], y: NDArray[Any]) -> Iterator[list[tuple[float, float]]]:
    """Runs of at least two neighbouring points that have values."""
    piece: list[tuple[float, float]] = []
    for point in [*zip(x.tolist(), y.tolist(), strict=True), (math.nan, math.nan)]:
        if math.isfinite(point[0]) and math.isfinite(point[1]):
            piece.append(point)
            continue
        if len(piece) > 1:
            yield piece
        piece = []


def _png(image: Image.Image) -> bytes:
    written = io.BytesIO()
    image.save(written, "PNG", compress_level=COMPRESSION)
    return written.getvalue()


def sparkline(plot: Plot) -> tuple[float | None, ...]:
    """At most 48 values along the first curve, logarithms where the plot's scale is logarithmic."""
    values = _scaled(plot.curves[0].y, plot.y)
    if not values.size:
        return ()
    pieces = [piece[np.isfinite(piece)] for piece in np.array_split(values, min(SPARKS, values.size))]
    return tuple(float(f"{piece.mean():.4g}") if piece.size else None for piece in pieces)
