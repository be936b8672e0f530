"""Finding one's way in a NeXus or NXcanSAS file: the default entry, the default plot, signals and axes."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

PLOTTABLE = ("NXdata", "SASdata")
DESCRIBING = ("NXinstrument", "NXsample", "NXprocess", "NXuser", "SASinstrument", "SASsample", "SASprocess")
DEEPEST = 3  # levels: root, entry, sub-entry or collection, data
MOST_ITEMS = 10_000  # of a file that are looked at, of those in one group too
LONGEST_CURVE = 2**24  # values that are read; a few kilobytes of a file can stand for terabytes
LARGEST_TEXT = 2**16  # bytes
UNREADABLE = (KeyError, OSError, RuntimeError, TypeError, ValueError, MemoryError)
LONGEST_CHAIN = 10  # default attributes that are followed; more is a loop


class NotPlottable(Exception):
    """A group cannot be plotted; the message says what it lacks."""


@dataclass(frozen=True)
class Axis:
    """The values along one dimension, its name, label and unit."""

    name: str
    label: str
    unit: str
    values: NDArray[Any]


@dataclass(frozen=True)
class Line:
    """A signal with one dimension: ``y`` and ``error`` (or None) over ``x``, of equal length."""

    group: h5py.Group
    x: Axis
    y: Axis
    error: NDArray[Any] | None


def text(value: Any) -> str:
    """An attribute or a scalar dataset as text, whichever way it was written."""
    if isinstance(value, h5py.Dataset):
        value = single(value)
    if isinstance(value, np.ndarray):
        value = value.ravel()[0] if value.size else ""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def single(dataset: h5py.Dataset) -> Any:
    """The value of a dataset that has just one; an empty text for any other, and for one that cannot be read."""
    try:
        return dataset[()] if dataset.size == 1 and dataset.dtype.itemsize <= LARGEST_TEXT else ""
    except UNREADABLE:
        return ""


def class_of(group: h5py.Group) -> str:
    """The group's class: what NXcanSAS calls it if it does, else its NeXus class."""
    attributes = group.attrs
    for name in ("canSAS_class", "NX_class"):
        try:
            return text(attributes[name])
        except UNREADABLE:
            continue
    return ""


def create_group(parent: h5py.Group, name: str, nx_class: str) -> h5py.Group:
    """Make a group of a NeXus class."""
    group = parent.create_group(name)
    group.attrs["NX_class"] = nx_class
    return group


@dataclass(frozen=True)
class Contents:
    """What a file offers: its default entry, all groups that can be plotted, and which of them is the default.

    ``entry`` is the one that ``@default`` of the root names, else the first, else the root. ``default`` is found
    along ``@default`` from the root, else it is the first plottable group of the entry, else of the file.
    """

    entry: h5py.Group
    plottable: tuple[h5py.Group, ...]
    default: h5py.Group | None

    def beside_default(self) -> list[h5py.Group]:
        """The other plottable groups of the entry."""
        return [g for g in self.plottable if g != self.default and _is_below(g, self.entry)]


def contents(file: h5py.File) -> Contents:
    """Look through a file once."""
    entry = default_entry(file)
    found = tuple(_plottable(file, iter(range(MOST_ITEMS))))
    first = next((group for group in found if _is_below(group, entry)), None) or next(iter(found), None)
    return Contents(entry, found, _named_data(file) or first)


def default_entry(file: h5py.File) -> h5py.Group:
    """The entry that ``@default`` of the root names, else the first entry, else the root."""
    named = _named_default(file)
    candidates = [*([named] if named is not None else []), *groups_in(file)]
    return next((g for g in candidates if class_of(g) == "NXentry"), file)


def _named_data(group: h5py.Group) -> h5py.Group | None:
    for _ in range(LONGEST_CHAIN):
        following = _named_default(group)
        if following is None:
            return None
        if class_of(following) in PLOTTABLE:
            return following
        group = following
    return None


def _plottable(group: h5py.Group, left: Iterator[int], depth: int = 0) -> list[h5py.Group]:
    """Groups that can be plotted, at most three levels down, and not where an instrument or a process is described.

    Only as many groups are looked at as numbers are ``left``, whether they are many or lead in circles.
    """
    kind = class_of(group) if next(left, None) is not None else DESCRIBING[0]
    if kind in PLOTTABLE:
        return [group]
    if depth > DEEPEST or kind in DESCRIBING:
        return []
    return [found for item in groups_in(group) for found in _plottable(item, left, depth + 1)]


def _is_below(group: h5py.Group, entry: h5py.Group) -> bool:
    above, name = text(entry.name), text(group.name)
    return name == above or name.startswith(above.rstrip("/") + "/")


def signal_of(group: h5py.Group) -> h5py.Dataset:
    """The dataset that a group is about.

    Raises:
        NotPlottable: none is named, or the named one is not there.
    """
    name = text(group.attrs.get("signal", "I" if class_of(group) == "SASdata" else ""))
    if not name:
        items = islice(group.items(), MOST_ITEMS)
        name = next((k for k, item in items if isinstance(item, h5py.Dataset) and "signal" in item.attrs), "")
    if not isinstance(group.get(name) if name else None, h5py.Dataset):
        raise NotPlottable(f"{group.name} names no signal that is there")
    return group[name]


def dimensions(signal: h5py.Dataset) -> tuple[int, ...]:
    """The sizes that are larger than one."""
    return tuple(size for size in signal.shape if size != 1)


def axis_name(group: h5py.Group) -> str:
    """The name of the last axis, which is the one of a curve."""
    axes = group.attrs.get("axes", group.attrs.get("I_axes", "Q" if class_of(group) == "SASdata" else ""))
    names = [text(axes)] if isinstance(axes, str | bytes) else [text(name) for name in np.atleast_1d(axes)]
    return names[-1].split(",")[-1].strip() if names else ""


def line_of(group: h5py.Group) -> Line:
    """Read a group whose signal has one dimension.

    Raises:
        NotPlottable: it has another number of dimensions, or signal and axis do not fit.
    """
    signal = signal_of(group)
    if len(dimensions(signal)) != 1:
        raise NotPlottable(f"{signal.name} has {len(dimensions(signal))} dimensions, a curve has one")
    if signal.size > LONGEST_CURVE:
        raise NotPlottable(f"{signal.name} has {signal.size} values, a curve at most {LONGEST_CURVE}")
    x = _axis(group, signal.size)
    error = _error(group, signal)
    y = _values(signal)
    return Line(group, x, _described(signal, y), error)


def _axis(group: h5py.Group, size: int) -> Axis:
    name = axis_name(group)
    if name in ("", "."):
        return Axis("", "", "", np.arange(size, dtype=float))
    if not isinstance(group.get(name), h5py.Dataset):
        raise NotPlottable(f"{group.name} names the axis {name}, which is not there")
    axis = group[name]
    if axis.size not in (size, size + 1):
        raise NotPlottable(f"{group.name}: the axis {name} has {axis.size} values, the signal {size}")
    values = _values(axis)
    if values.size == size + 1:  # the edges of a histogram
        values = (values[1:] + values[:-1]) / 2
    return _described(axis, values)


def _values(dataset: h5py.Dataset) -> NDArray[Any]:
    return np.asarray(dataset[()], dtype=float).ravel()


def _described(dataset: h5py.Dataset, values: NDArray[Any]) -> Axis:
    name = text(dataset.name).rsplit("/", 1)[-1]
    label = text(dataset.attrs.get("long_name", name))
    return Axis(name, label, text(dataset.attrs.get("units", "")), values)


def _error(group: h5py.Group, signal: h5py.Dataset) -> NDArray[Any] | None:
    name = text(signal.name).rsplit("/", 1)[-1]
    candidates = [f"{name}_errors", text(signal.attrs.get("uncertainties", "")), "errors", "Idev"]
    for candidate in candidates:
        error = group.get(candidate) if candidate else None
        if isinstance(error, h5py.Dataset):
            if error.size != signal.size:
                raise NotPlottable(f"{signal.name} has {signal.size} values and {error.size} uncertainties")
            return _values(error)
    return None


def _named_default(group: h5py.Group) -> h5py.Group | None:
    try:
        name = text(group.attrs.get("default", ""))
        found = group.get(name) if name else None
    except UNREADABLE:
        return None
    return found if isinstance(found, h5py.Group) else None


def groups_in(group: h5py.Group) -> Iterator[h5py.Group]:
    """The groups in a group; links that lead nowhere are passed over."""
    for name in islice(group, MOST_ITEMS):
        try:
            item = group[name]
        except UNREADABLE:
            continue
        if isinstance(item, h5py.Group):
            yield item
