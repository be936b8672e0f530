"""Numbers as colours: scales, limits that leave out what is rare, and colour maps that the colour-blind can read."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

COLOURS = 255  # and one index for what has no value
SAMPLE = 2**16  # pixels are enough for percentiles
PERCENT = (1, 99)
SCALES = ("linear", "log", "sqrt")
# Every 17th colour of matplotlib's maps of these names (its _cm_listed.py; CC0); between them is interpolated
MAPS = {
    "viridis": (
        "440154 481a6c 472f7d 414487 39568c 31688e 2a788e 23888e "
        "1f988b 22a884 35b779 54c568 7ad151 a5db36 d2e21b fde725"
    ),
    "cividis": (
        "00224e 002e6c 1e3a6f 35456c 47516c 575d6d 666970 757575 "
        "848279 948e77 a59c74 b7a96e c8b866 dbc75a eed649 fee838"
    ),
    "inferno": (
        "000004 0c0826 240c4f 420a68 5d126e 781c6d 932667 ae305c "
        "c73e4c dd513a ed6925 f8850f fca50a fac62d f2e661 fcffa4"
    ),
    "greys": "000000 ffffff",
}
NO_VALUE = (128, 128, 128)  # and transparent: a page shows its own pattern there


def limits(image: NDArray[np.float32], scale: str) -> tuple[float, float]:
    """The 1st and the 99th percentile of what can be seen on a scale, in the image's own unit."""
    known = image[np.isfinite(image)]
    if scale == "log":
        known = known[known > 0]
    known = known[:: 1 + known.size // SAMPLE]
    low, high = np.percentile(known, PERCENT) if known.size else (0.0, 1.0)
    return float(low), float(high)


def coloured(image: NDArray[np.float32], scale: str, low: float, high: float, colours: str = "viridis") -> Image.Image:
    """An image in colours from ``low`` to ``high``; no value is transparent, zero on a logarithmic scale dark."""
    valid = np.isfinite(image)
    begin, end = _on(scale, np.array([low, high]))
    scaled = (_on(scale, np.where(valid, image, low)) - begin) / ((end - begin) or 1.0)
    indices = np.where(valid, np.clip(np.nan_to_num(scaled, nan=0.0) * COLOURS, 0, COLOURS - 1), COLOURS)
    picture = Image.fromarray(indices.astype(np.uint8))
    picture.putpalette(table(colours).tobytes() + bytes(NO_VALUE))
    picture.info["transparency"] = COLOURS
    return picture


def _on(scale: str, values: NDArray[Any]) -> Any:
    if scale == "log":
        smallest = np.finfo(np.float32).tiny  # what is not above 0 is darker than all that is
        return np.log10(np.maximum(values, smallest))
    return np.sqrt(np.maximum(values, 0)) if scale == "sqrt" else values


def table(colours: str, count: int = COLOURS) -> NDArray[np.uint8]:
    """(count, 3): the colours of a map from low to high."""
    anchors = np.array([list(bytes.fromhex(colour)) for colour in MAPS[colours].split()], dtype=float)
    places = np.linspace(0, len(anchors) - 1, count)
    channels = [np.interp(places, np.arange(len(anchors)), anchors[:, c]) for c in range(3)]
    return np.stack(channels, axis=1).round().astype(np.uint8)
