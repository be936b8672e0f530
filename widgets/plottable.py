"""The default plot of an output: its signal, axes and uncertainties, and the curves beside it."""

from collections.abc import Callable, Iterator
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from beamhub.catalog.errors import CatalogError

Variable = tuple[tuple[str, ...], NDArray[Any], dict[str, str]]
Read = Callable[[h5py.Dataset], Any]
LONGEST_CHAIN = 10  # default attributes that are followed; more is a loop


def default_data(file: h5py.File) -> h5py.Group:
    """The NXdata or SASdata group that the ``default`` attributes lead to.

    Raises:
        CatalogError: they lead to none.
    """
    group: Any = file
    for _ in range(LONGEST_CHAIN):
        if _is_data(group):
            return group
        name = _text(group.attrs.get("default", ""))
        if not isinstance(group.get(name) if name else None, h5py.Group):
            break
        group = group[name]
    raise CatalogError(f"the output names no default plot ({file.filename}): open it with .open()")


def arrays(group: h5py.Group) -> dict[str, NDArray[Any]]:
    """Everything of a group that is no single value, by its name in the file."""
    return {name: item[()] for name, item in group.items() if isinstance(item, h5py.Dataset) and item.ndim}


def whole(dataset: h5py.Dataset) -> Any:
    """All values."""
    return dataset[()]


def variables(group: h5py.Group, read: Read = whole) -> tuple[dict[str, Variable], dict[str, Variable]]:
    """Data and coordinates, as xarray takes them, of a group and of the curves beside it.

    A curve beside it is named ``<signal>_<group>``, uncertainties ``…_errors``; where its axis has other values than
    the group's, it has an axis of its own, ``<axis>_<group>``. ``read`` gives the values of signals and uncertainties.
    """
    data, coordinates = _described(group, "", read)
    for name, other in _beside(group):
        more, axes = _described(other, f"_{name}", read)
        same = {axis for axis in axes if _equal(axes[axis], coordinates.get(axis.removesuffix(f"_{name}")))}
        renamed = {axis: axis.removesuffix(f"_{name}") for axis in same}
        coordinates |= {axis: found for axis, found in axes.items() if axis not in same}
        data |= {
            key: (tuple(renamed.get(dim, dim) for dim in dims), values, attributes)
            for key, (dims, values, attributes) in more.items()
        }
    return data, coordinates


def _described(group: h5py.Group, suffix: str, read: Read) -> tuple[dict[str, Variable], dict[str, Variable]]:
    signal = _signal(group)
    values = read(group[signal])
    dims: list[str] = []
    coordinates: dict[str, Variable] = {}
    for number, (size, name) in enumerate(zip(values.shape, _axes(group, values.ndim), strict=True)):
        points = _points(group, name, size)
        dims.append(f"{name}{suffix}" if points is not None else f"{signal}_{number}{suffix}")
        if points is not None:
            coordinates[dims[-1]] = ((dims[-1],), points, _attributes(group[name]))
    found: dict[str, Variable] = {f"{signal}{suffix}": (tuple(dims), values, _attributes(group[signal]))}
    errors = _errors(group, signal)
    if errors and group[errors].shape == values.shape:
        found[f"{signal}_errors{suffix}"] = (tuple(dims), read(group[errors]), _attributes(group[errors]))
    return found, coordinates


def _points(group: h5py.Group, name: str, size: int) -> NDArray[Any] | None:
    """The values of an axis of one dimension, of bins their centres; None where there are none that fit."""
    axis = group.get(name) if name else None
    if not isinstance(axis, h5py.Dataset) or axis.ndim != 1 or axis.size not in (size, size + 1):
        return None
    values: NDArray[Any] = axis[()]
    return values if axis.size == size else (values[1:] + values[:-1]) / 2


def _axes(group: h5py.Group, number: int) -> list[str]:
    """A name for each dimension, "" where the file gives none; fewer names are of the last dimensions."""
    told = group.attrs.get("axes", group.attrs.get("I_axes", "Q" if _is_sas(group) else ""))
    names = _text(told).replace(":", ",").split(",") if isinstance(told, str | bytes) else [_text(one) for one in told]
    named = [name.strip() for name in names if name.strip()]
    return ([""] * number + [name if name != "." else "" for name in named])[-number:] if number else []


def _signal(group: h5py.Group) -> str:
    name = _text(group.attrs.get("signal", "I" if _is_sas(group) else ""))
    if not isinstance(group.get(name) if name else None, h5py.Dataset):
        raise CatalogError(f"{group.name} names no signal that is there: open the output with .open()")
    return name


def _errors(group: h5py.Group, signal: str) -> str:
    told = _text(group[signal].attrs.get("uncertainties", ""))
    candidates = (f"{signal}_errors", told, f"{signal}dev", "errors")
    return next((name for name in candidates if name and isinstance(group.get(name), h5py.Dataset)), "")


def _beside(group: h5py.Group) -> Iterator[tuple[str, h5py.Group]]:
    """The curves beside a group: data groups of the same parent whose signal has one dimension."""
    for name, other in group.parent.items():
        if isinstance(other, h5py.Group) and other.name != group.name and _is_data(other):
            signal = other.get(_text(other.attrs.get("signal", "I" if _is_sas(other) else "")) or ".")
            if isinstance(signal, h5py.Dataset) and signal.ndim == 1:
                yield name, other


def _equal(one: Variable, other: Variable | None) -> bool:
    return other is not None and bool(np.array_equal(one[1], other[1], equal_nan=True))


def _is_data(group: h5py.Group) -> bool:
    return _text(group.attrs.get("NX_class", "")) == "NXdata" or _is_sas(group)


def _is_sas(group: h5py.Group) -> bool:
    return _text(group.attrs.get("canSAS_class", "")) == "SASdata"


def _attributes(dataset: h5py.Dataset) -> dict[str, str]:
    return {name: _text(dataset.attrs[name]) for name in ("units", "long_name") if name in dataset.attrs}


def _text(value: Any) -> str:
    if isinstance(value, np.ndarray):
        value = value.ravel()[0] if value.size else ""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
