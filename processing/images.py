"""Pictures of the image in an output, and its values; in a process of its own, which a broken file may crash.

``python -m beamhub.processing.images`` answers what :class:`beamhub.processing.image_reader.ImageReader` asks.
"""

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from beamhub.processing import colours, frames, nexus
from beamhub.processing.functions import DataError
from beamhub.processing.links import targets_of
from beamhub.processing.preview import png, scale_of, upright
from beamhub.processing.reading_child import Answer, answer_all

MEMORY = 2**30  # bytes for one frame with all that is made of it
KEPT = 4  # frames that are not read again when only their colours change
ANCHORS = 9  # colours that are told of a map, enough for a bar of them


@dataclass(frozen=True)
class Shrunk:
    """A frame as it is drawn; ``pixel`` is how many of the file's pixels one of its pixels is wide."""

    image: NDArray[np.float32]
    pixel: int
    scale: str
    upwards: bool
    shape: tuple[int, int]
    frames: int
    frame: int


def picture(
    path: Path, frame: int, width: int, scale: str, low: float | None, high: float | None, colour_map: str
) -> Answer:
    """A frame as PNG, and what was made of it how: see the API's ``results/{id}/image``.

    Args:
        path: the output; it is not changed any more.
        frame: from 0; the last one where there are fewer.
        width: of the picture at most, pixels; it is at most twice as high.
        scale: linear, log, sqrt, or "" for what the file says.
        low: the value of the first colour; None, or what is not above 0 on a logarithmic scale, is the 1st percentile.
        high: the value of the last colour; None is the 99th percentile.
        colour_map: a name in ``colours.MAPS``.

    Raises:
        NotPlottable: there is no image that could be drawn.
        DataError: it is no HDF5 file.
    """
    shrunk = _shrunk(path, frame, width)
    scale = scale or shrunk.scale
    usual = colours.limits(shrunk.image, scale)
    low = usual[0] if low is None or (scale == "log" and low <= 0) else low
    high = max(low, usual[1] if high is None else high)
    made = png(colours.coloured(shrunk.image, scale, low, high, colour_map))
    told = {name: getattr(shrunk, name) for name in ("shape", "frames", "frame", "pixel", "upwards")}
    anchors = [f"#{bytes(colour).hex()}" for colour in colours.table(colour_map, ANCHORS)]
    return told | {"scale": scale, "low": low, "high": high, "colours": anchors}, made


def pixels(path: Path, frame: int, x: int, y: int, size: int) -> Answer:
    """The values of ``size`` by ``size`` pixels of a frame from column ``x`` and row ``y`` on, as JSON.

    Raises:
        NotPlottable: there is no image that could be drawn.
        DataError: it is no HDF5 file.
    """
    with _stack_of(path) as stack:
        rows, columns = (slice(*slice(at, at + size).indices(n)) for at, n in zip((y, x), stack.shape, strict=True))
        part = frames.values(stack, frame, rows, columns, np.float64)
    values = [[value if math.isfinite(value) else None for value in row] for row in part.tolist()]
    return {}, json.dumps({"x": x, "y": y, "values": values}).encode()


@contextmanager
def _stack_of(path: Path) -> Iterator[frames.Stack]:
    if others := targets_of(path):
        told = f"it refers to {min(others)[:200]}, and a file that is not complete by itself is not looked into here"
        raise nexus.NotPlottable(told)
    with h5py.File(path, "r", locking=False) as file:
        stack = frames.find(nexus.contents(file))
        if stack is None:
            raise nexus.NotPlottable("nothing in it that can be plotted has two dimensions, or three for a stack")
        yield stack


@lru_cache(maxsize=KEPT)
def _shrunk(path: Path, frame: int, width: int) -> Shrunk:
    with _stack_of(path) as stack:
        read, step = frames.read(stack, frame)
        image, factor = frames.shrink(read, width)
        upwards = frames.upwards(stack)
        at = min(frame, stack.frames - 1)
        image = np.ascontiguousarray(upright(stack, image))
        return Shrunk(image, step * factor, scale_of(stack), upwards, stack.shape, stack.frames, at)


MAKES: dict[str, Callable[..., Answer]] = {"picture": picture, "pixels": pixels}


def _answer(asked: dict[str, Any]) -> Answer:
    try:
        return MAKES[asked.pop("make")](Path(asked.pop("path")), **asked)
    except Exception as error:  # the reader lives on, whatever is in a file
        return {"wrong": _told(error)}, b""


def _told(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return f"it needs more than {MEMORY // 2**30} GiB of memory"
    if isinstance(error, nexus.NotPlottable | DataError):
        return str(error)
    return f"{type(error).__name__}: {error}"[:300]


if __name__ == "__main__":
    answer_all(_answer, MEMORY)
