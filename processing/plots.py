"""The default plot of an output: its default curve, and beside it what has the same axis."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from beamhub.catalog.records import Axis, Curve, Plot
from beamhub.processing import nexus

MOST_POINTS = 5000  # a curve; a page draws no more
MOST_CURVES = 40


def default_plot(contents: nexus.Contents) -> Plot | None:
    """Read the default plot; None where the default is an image, or there is nothing to plot.

    Raises:
        nexus.NotPlottable: the default is a curve, but its parts do not fit.
    """
    group = contents.default
    if group is None or len(nexus.dimensions(nexus.signal_of(group))) != 1:
        return None
    first = nexus.line_of(group)
    others = islice(_others(contents, nexus.axis_name(group)), MOST_CURVES - 1)
    return Plot(
        title=_title(group) or _title(contents.entry),
        x=Axis(label=first.x.label, unit=first.x.unit, log=_flag(group, "x_log")),
        y=Axis(label=first.y.label, unit=first.y.unit, log=_flag(group, "y_log")),
        curves=[_curve(first), *map(_curve, others)],
    )


def _others(contents: nexus.Contents, axis: str) -> Iterator[nexus.Line]:
    for group in contents.beside_default():
        try:
            if nexus.axis_name(group) == axis:
                yield nexus.line_of(group)
        except (nexus.NotPlottable, *nexus.UNREADABLE):  # an image or half a group is no further curve
            continue


def _curve(line: nexus.Line) -> Curve:
    keep = np.unique(np.linspace(0, line.y.values.size - 1, min(line.y.values.size, MOST_POINTS)).round().astype(int))
    return Curve(
        name=_title(line.group) or nexus.text(line.group.name).rsplit("/", 1)[-1],
        x=numbers(line.x.values[keep]),
        y=numbers(line.y.values[keep]),
        error=None if line.error is None else numbers(line.error[keep]),
        role="reference" if nexus.text(line.group.attrs.get("role", "")) == "reference" else "data",
    )


def numbers(values: NDArray[Any]) -> list[float | None]:
    """Values as JSON can hold them: None where one is not finite."""
    return [float(v) if ok else None for v, ok in zip(values, np.isfinite(values), strict=True)]


def _title(group: h5py.Group) -> str:
    if "title" in group.attrs:
        return nexus.text(group.attrs["title"])
    return nexus.text(group["title"]) if isinstance(group.get("title"), h5py.Dataset) else ""


def _flag(group: h5py.Group, name: str) -> bool:
    return bool(group.attrs.get(name, False))
