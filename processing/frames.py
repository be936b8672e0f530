"""The image of an output: which signal it is, and its frames as numbers, NaN where a pixel has no value."""

import math
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from beamhub.processing import nexus

LARGEST = 16 * 1024**2  # pixels of a frame that are read; of larger ones every second, third, ...
LARGEST_FRAME = 2**31  # bytes, all of which have to be unpacked for that
GAPS = (2**32 - 1, 2**32 - 2, -1, -2)  # what detectors write of integers where there is no pixel, or a broken one
MASK = "pixel_mask"  # of NXdetector: 0 where a pixel is good


@dataclass(frozen=True)
class Stack:
    """An image, or several of one size: ``frames`` of them, each of ``shape`` (rows, columns)."""

    group: h5py.Group
    signal: h5py.Dataset
    frames: int
    shape: tuple[int, int]


def find(contents: nexus.Contents) -> Stack | None:
    """The default of a file if that is an image or a stack of images, else the first that is."""
    default = contents.default
    for group in [*([default] if default is not None else []), *contents.plottable]:
        try:
            signal = nexus.signal_of(group)
        except (nexus.NotPlottable, *nexus.UNREADABLE):  # half a group is no image
            continue
        wide = nexus.dimensions(signal)
        if len(wide) in (2, 3):
            return Stack(group, signal, wide[0] if len(wide) == 3 else 1, (wide[-2], wide[-1]))
    return None


def read(stack: Stack, frame: int = 0) -> tuple[NDArray[np.float32], int]:
    """A frame as (rows, columns), of a huge one only every n-th pixel in both directions; and n.

    Raises:
        NotPlottable: it has no pixels, or more bytes than can be unpacked.
    """
    size = math.prod(stack.shape)
    if size * stack.signal.dtype.itemsize > LARGEST_FRAME:
        told = f"{size * stack.signal.dtype.itemsize} bytes, an image that is drawn at most {LARGEST_FRAME}"
        raise nexus.NotPlottable(f"{stack.signal.name} has {told}")
    if not size * stack.frames:
        raise nexus.NotPlottable(f"{stack.signal.name} has no pixels")
    step = max(1, math.ceil(math.sqrt(size / LARGEST)))
    every = slice(None, None, step)
    return values(stack, frame, every, every), step


def values(stack: Stack, frame: int, rows: slice, columns: slice, dtype: Any = np.float32) -> NDArray[Any]:
    """A part of a frame as (rows, columns): NaN for gaps between detector modules and for what ``pixel_mask`` masks."""
    if stack.signal.dtype.kind not in "biuf":
        raise nexus.NotPlottable(f"{stack.signal.name} holds no numbers")
    wide = [axis for axis, size in enumerate(stack.signal.shape) if size != 1]
    picked: list[Any] = [0] * stack.signal.ndim
    picked[wide[-2]], picked[wide[-1]] = rows, columns
    if len(wide) == 3:
        picked[wide[0]] = min(frame, stack.frames - 1)
    found = stack.signal[tuple(picked)]
    with np.errstate(over="ignore"):
        image = np.array(found, dtype=dtype)
    image[_gaps(found)] = np.nan
    mask = stack.group.get(MASK)
    if isinstance(mask, h5py.Dataset) and mask.shape == stack.shape and mask.dtype.kind in "biu":
        image[mask[rows, columns] != 0] = np.nan
    return image


def _gaps(found: NDArray[Any]) -> NDArray[np.bool_]:
    gaps = np.zeros(found.shape, dtype=bool)
    if found.dtype.kind in "iu":
        bounds = np.iinfo(found.dtype)
        for value in GAPS:
            if bounds.min <= value <= bounds.max:
                gaps |= found == value
    return gaps


def upwards(stack: Stack) -> bool:
    """Whether the vertical axis has values that grow, so that the first row belongs at the bottom of a picture."""
    axes = np.atleast_1d(stack.group.attrs.get("axes", []))
    axis = stack.group.get(nexus.text(axes[-2])) if len(axes) >= 2 else None
    if not isinstance(axis, h5py.Dataset) or axis.ndim != 1 or axis.size < 2:
        return False
    return bool(axis[-1] > axis[0])


def shrink(image: NDArray[Any], widest: int = 512) -> tuple[NDArray[Any], int]:
    """Make an image at most ``widest`` pixels wide and twice as high: means over blocks; NaN counts for nothing.

    Returns:
        The smaller image, and how many pixels the side of a block has.
    """
    height, width = image.shape
    factor = max(1, math.ceil(width / widest), math.ceil(height / (2 * widest)))
    if factor == 1:
        return np.where(np.isfinite(image), image, np.nan), 1
    block = min(factor, height), min(factor, width)
    total = _summed(image, block)
    if np.isfinite(total).all():
        return np.divide(total, np.float32(block[0] * block[1])), factor
    valid = np.isfinite(image)
    weight = _summed(valid, block)
    total = _summed(np.where(valid, image, 0), block)
    return np.divide(total, weight, out=np.full(weight.shape, np.nan, np.float32), where=weight > 0), factor


def _summed(image: NDArray[Any], block: tuple[int, int]) -> NDArray[np.float32]:
    """Sums over blocks; rows and columns that fill no block are left out."""
    rows, columns = image.shape[0] // block[0], image.shape[1] // block[1]
    total = np.zeros((rows, columns), np.float32)
    for y in range(block[0]):
        for x in range(block[1]):
            total += image[y :: block[0], x :: block[1]][:rows, :columns]
    return total
