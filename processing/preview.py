"""Small pictures of a result: the preview (an image, else the curves) and the sparkline of its row."""

import io
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from beamhub.catalog.records import Axis, Plot
from beamhub.processing import colours, frames, nexus

CURVES = (384, 240)  # pixels of a picture of curves
MARGIN = 12
COMPRESSION = 1  # of zlib; 6 takes five times as long for a tenth less
SPARKS = 48  # values of a sparkline
LINES = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd")
REFERENCE = "#7f7f7f"


def render(contents: nexus.Contents, plot: Plot | None) -> bytes | None:
    """Draw an output as PNG: its default if that is an image, else its first image, else its curves."""
    stack = frames.find(contents)
    if stack is not None:
        image, _ = frames.shrink(frames.read(stack)[0])
        scale = scale_of(stack)
        return png(colours.coloured(upright(stack, image), scale, *colours.limits(image, scale)))
    return png(_drawn(plot)) if plot is not None else None


def scale_of(stack: frames.Stack) -> str:
    """The scale that the file itself asks for."""
    return "log" if bool(stack.group.attrs.get("image_log", False)) else "linear"


def upright(stack: frames.Stack, image: NDArray[Any]) -> NDArray[Any]:
    """An image with the row on top that belongs there."""
    return image[::-1] if frames.upwards(stack) else image


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


def png(image: Image.Image) -> bytes:
    """A picture's bytes."""
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
