"""Arrays of an output that are read when they are needed, with Dask; without Dask they are read at once."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib.util import find_spec
from typing import Any

import h5py

LARGE = 8 * 2**20  # bytes of an array; smaller ones are read at once unless told otherwise
Open = Callable[[], AbstractContextManager[h5py.File]]


class Values:
    """One array of an output, as Dask takes it: each part that is asked for opens the output and reads it."""

    def __init__(self, open: Open, dataset: h5py.Dataset) -> None:
        self._open, self._name = open, dataset.name
        self.shape, self.dtype, self.ndim = dataset.shape, dataset.dtype, dataset.ndim

    def __getitem__(self, key: Any) -> Any:
        """A part of it."""
        with self._open() as file:
            return file[self._name][key]


def reader(open: Open, name: str, lazy: bool | None) -> Callable[[h5py.Dataset], Any]:
    """How arrays of an output are read.

    Args:
        open: opens the output.
        name: names the output among all; an output never changes.
        lazy: None: later where an array has more than 8 MiB; True: later, always; False: at once. Without Dask all are
            read at once.
    """
    if lazy is False or find_spec("dask") is None:
        return lambda dataset: dataset[()]

    def read(dataset: h5py.Dataset) -> Any:
        if not dataset.ndim or (lazy is None and dataset.nbytes <= LARGE):
            return dataset[()]
        from dask.array import from_array

        chunks = dataset.chunks or "auto"
        return from_array(Values(open, dataset), chunks=chunks, name=f"{name}{dataset.name}", asarray=False)

    return read
