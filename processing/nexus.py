"""Finding one's way in a NeXus or NXcanSAS file: the default entry, the default plot, signals and axes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

PLOTTABLE = ("NXdata", "SASdata")
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
        value = value[()]
    if isinstance(value, np.ndarray):
        value = value.ravel()[0] if value.size else ""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def class_of(group: h5py.Group) -> str:
    """The group's class: what NXcanSAS calls it if it does, else its NeXus class."""
    return text(group.attrs.get("canSAS_class", group.attrs.get("NX_class", "")))


def create_group(parent: h5py.Group, name: str, nx_class: str) -> h5py.Group:
    """Make a group of a NeXus class."""
    group = parent.create_group(name)
    group.attrs["NX_class"] = nx_class
    return group


def default_entry(file: h5py.File) -> h5py.Group:
    """The entry that ``@default`` of the root names, else the first entry, else the root."""
    named = _named_default(file)
    if named is not None and text(named.attrs.get("NX_class", "")) == "NXentry":
        return named
    for item in _groups(file):
        if text(item.attrs.get("NX_class", "")) == "NXentry":
            return item
    return file


def default_data(file: h5py.File) -> h5py.Group | None:
    """The group to plot: along ``@default`` from the root, else the first that can be plotted."""
    group: h5py.Group = file
    for _ in range(LONGEST_CHAIN):
        if class_of(group) in PLOTTABLE:
            return group
        following = _named_default(group)
        if following is None:
            break
        group = following
    return next(plottable(group), None) or next(plottable(file), None)


def plottable(group: h5py.Group) -> Iterator[h5py.Group]:
    """Every group below (or at) this one that says it can be plotted, in the file's order."""
    if class_of(group) in PLOTTABLE:
        yield group
    found: list[h5py.Group] = []
    group.visititems(lambda _, item: found.append(item) if isinstance(item, h5py.Group) else None)
    yield from (item for item in found if class_of(item) in PLOTTABLE)


def signal_of(group: h5py.Group) -> h5py.Dataset:
    """The dataset that a group is about.

    Raises:
        NotPlottable: none is named, or the named one is not there.
    """
    name = text(group.attrs.get("signal", "I" if class_of(group) == "SASdata" else ""))
    if not name:
        marked = [k for k, item in group.items() if isinstance(item, h5py.Dataset) and "signal" in item.attrs]
        name = marked[0] if marked else ""
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
    y = np.asarray(signal[()], dtype=float).ravel()
    x = _axis(group, y.size)
    error = _error(group, signal)
    if error is not None and error.size != y.size:
        raise NotPlottable(f"{signal.name} has {y.size} values and {error.size} uncertainties")
    return Line(group, x, _described(signal, y), error)


def _axis(group: h5py.Group, size: int) -> Axis:
    name = axis_name(group)
    if name in ("", "."):
        return Axis("", "", "", np.arange(size, dtype=float))
    if not isinstance(group.get(name), h5py.Dataset):
        raise NotPlottable(f"{group.name} names the axis {name}, which is not there")
    values = np.asarray(group[name][()], dtype=float).ravel()
    if values.size == size + 1:  # the edges of a histogram
        values = (values[1:] + values[:-1]) / 2
    if values.size != size:
        raise NotPlottable(f"{group.name}: the axis {name} has {values.size} values, the signal {size}")
    return _described(group[name], values)


def _described(dataset: h5py.Dataset, values: NDArray[Any]) -> Axis:
    name = text(dataset.name).rsplit("/", 1)[-1]
    label = text(dataset.attrs.get("long_name", name))
    return Axis(name, label, text(dataset.attrs.get("units", "")), values)


def _error(group: h5py.Group, signal: h5py.Dataset) -> NDArray[Any] | None:
    name = text(signal.name).rsplit("/", 1)[-1]
    candidates = [f"{name}_errors", text(signal.attrs.get("uncertainties", "")), "errors", "Idev"]
    for candidate in candidates:
        if candidate and isinstance(group.get(candidate), h5py.Dataset):
            return np.asarray(group[candidate][()], dtype=float).ravel()
    return None


def _named_default(group: h5py.Group) -> h5py.Group | None:
    name = text(group.attrs.get("default", ""))
    found = group.get(name) if name else None
    return found if isinstance(found, h5py.Group) else None


def _groups(group: h5py.Group) -> Iterator[h5py.Group]:
    yield from (item for item in group.values() if isinstance(item, h5py.Group))
