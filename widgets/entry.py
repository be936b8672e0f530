"""Entry: one run's result as arrays, and Catalog, which finds entries by run or by file name."""

import contextlib
import html
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from numpy.typing import NDArray

from beamhub.catalog import requests
from beamhub.catalog.client import Client
from beamhub.catalog.errors import CatalogError
from beamhub.catalog.records import Run
from beamhub.catalog.remote import open_result

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

MOST_ROWS = 100_000
PAGE = 500


class Entry:
    """One run: ``entry.run`` is its record; its output is read when it is asked for."""

    def __init__(self, client: Client, run: Run) -> None:
        self._client, self.run = client, run

    def __repr__(self) -> str:
        return f"<run {self.run.id}: {self.run.title} of {self.run.file.name}, {self.run.state}>"

    def open(self) -> h5py.File:
        """The output file, open for reading; from disk where it is visible here, else over HTTP.

        Raises:
            CatalogError: the run has no output.
        """
        return h5py.File(open_result(self._client, self.run), "r")

    def read(self) -> dict[str, NDArray[Any]]:
        """The arrays of the default plot: the signal, its axis, its uncertainty, by their names in the file."""
        with self.open() as file:
            group = default_data(file)
            return {name: item[()] for name, item in group.items() if isinstance(item, h5py.Dataset) and item.ndim}

    def to_xarray(self) -> "xr.Dataset":
        """The default plot and its further curves with units and uncertainties (``…_errors``); provenance in attrs."""
        import xarray as xr

        with self.open() as file:
            group = default_data(file)
            data = _variables(group, "")
            axis = _axis(group)
            for name, other in _beside(group):
                if (
                    axis
                    and _axis(other) == axis
                    and other[axis].shape == group[axis].shape
                    and _same(group, other, axis)
                ):
                    data |= {k: v for k, v in _variables(other, f"_{name}").items() if k != axis}
        coords = {axis: data.pop(axis)} if axis in data else {}
        return xr.Dataset(data, coords, self._attributes())

    def _attributes(self) -> dict[str, Any]:
        run = self.run
        told = {
            "run": run.id,
            "file": run.file.path,
            "function": run.function,
            "version": run.version,
            "proposal": run.proposal,
        }
        scalars = {name: s.value for name, s in run.scalars.items() if s.value is not None}
        return told | {f"parameter_{k}": v for k, v in run.parameters.items()} | scalars


class Catalog:
    """Processed data of one or all proposals.

    ``catalog[123]`` is a run, ``catalog["scan_0007_00012.nxs"]`` the newest result of a file.
    """

    def __init__(self, proposal: str | None = None, client: Client | None = None) -> None:
        self.proposal = proposal
        self._client = client

    @property
    def client(self) -> Client:
        """Asks the service; made when it is first needed."""
        if self._client is None:
            self._client = Client()
        return self._client

    def __getitem__(self, key: int | str) -> Entry:
        if isinstance(key, int | np.integer):
            return Entry(self.client, self.client.send(requests.run(int(key))))
        found = [run for run in self.runs(text=key) if key in (run.file.name, run.file.path)]
        done = [run for run in found if run.state == "done"]
        if not found:
            raise KeyError(f"no run of a file {key!r} in {self.proposal or 'any proposal that you may see'}")
        return Entry(self.client, self.client.send(requests.run((done or found)[0].id)))

    def runs(self, limit: int = 1000, **filters: Any) -> list[Run]:
        """Runs, the newest first; ``filters`` as in the API: state, function, text, since and others.

        Raises:
            CatalogError: the service refuses, or does not answer.
        """
        query = {"proposal": self.proposal, "limit": min(limit, PAGE)} | filters
        found: list[Run] = []
        after = None
        while len(found) < min(limit, MOST_ROWS):
            page = self.client.send(requests.runs(**query, after=after))
            found += page.items
            after = page.after
            if after is None:
                break
        return found[:limit]

    def entries(self, ids: Sequence[int]) -> "Entries":
        """The entries of some runs, in their order."""
        return Entries([self[number] for number in ids])

    def table(self, limit: int = 10_000, **filters: Any) -> "pd.DataFrame":
        """Runs as a table, one row each: file, function, state, times, columns of the file, parameters, scalars."""
        return table_of(self.runs(limit, **filters))


class Entries(Sequence[Entry]):
    """Several entries, such as those selected in a table."""

    def __init__(self, entries: list[Entry]) -> None:
        self._entries = entries

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: Any) -> Any:
        found = self._entries[index]
        return Entries(found) if isinstance(index, slice) else found

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def __repr__(self) -> str:
        return "\n".join(["no runs are selected"] if not self._entries else [repr(entry) for entry in self._entries])

    def to_xarray(self) -> "xr.Dataset":
        """All of them in one dataset, along a new dimension ``run``; a curve that not all have is filled with NaN.

        Raises:
            CatalogError: none is selected, or none of them is done.
        """
        import xarray as xr

        done = [entry for entry in self._entries if "file" in entry.run.has]
        if not done:
            what = (
                "none of the selected runs is done" if self._entries else "no run is selected: click a row of the table"
            )
            raise CatalogError(what)
        sets = [entry.to_xarray() for entry in done]
        numbers = xr.DataArray([entry.run.id for entry in done], dims="run", name="run")
        return xr.concat(sets, numbers, join="outer", data_vars="all", coords="minimal", combine_attrs="drop_conflicts",
                         compat="equals")  # fmt: skip

    def table(self) -> "pd.DataFrame":
        """Their rows as a table."""
        return table_of([entry.run for entry in self._entries])


def table_of(runs: Sequence[Run]) -> "pd.DataFrame":
    """Runs as a DataFrame, indexed by run."""
    import pandas as pd

    rows = [
        {
            "run": run.id, "file": run.file.name, "function": run.function, "state": run.state, "queued": run.queued,
            "finished": run.finished, **run.columns, **run.parameters, **{n: s.value for n, s in run.scalars.items()},
        }
        for run in runs
    ]  # fmt: skip
    return pd.DataFrame(rows).set_index("run") if rows else pd.DataFrame(columns=["file", "function", "state"])


def snapshot_html(runs: Sequence[Run], total: int, when: str, note: str = "") -> str:
    """A static table for notebooks that are read without a kernel: no script, everything escaped."""
    scalars = list(dict.fromkeys(name for run in runs for name in run.scalars))[:4]
    cells = [["when", "file", "function", "state", *scalars]]
    for run in runs:
        values = [
            f"{run.scalars[n].value:.4g}" if n in run.scalars and run.scalars[n].value is not None else ""
            for n in scalars
        ]
        cells.append([f"{run.queued:%Y-%m-%d %H:%M:%S}", run.file.name, run.title or run.function, run.state, *values])
    head, *body = ["".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) for row in cells]
    rows = "".join(f"<tr>{row}</tr>" for row in body)
    said = html.escape(f"as of {when} UTC, {len(runs)} of {total} runs{'; ' + note if note else ''}")
    table = f"<table><thead><tr>{head.replace('td>', 'th>')}</tr></thead><tbody>{rows}</tbody></table>"
    return f"<div><p>Processed data, {said}</p>{table}</div>"


def default_data(file: h5py.File) -> h5py.Group:
    """The group of the default plot.

    Raises:
        CatalogError: the file names none.
    """
    group: Any = file
    while group.attrs.get("NX_class") not in ("NXdata", b"NXdata"):
        name = group.attrs.get("default")
        if name is None or name not in group:
            raise CatalogError(f"the output names no default plot ({file.filename})")
        group = group[name]
    return group


def _axis(group: h5py.Group) -> str:
    axes = group.attrs.get("axes", group.attrs.get("I_axes", ""))
    axes = axes if isinstance(axes, str) else (axes[-1] if len(axes) else "")
    axes = axes.decode() if isinstance(axes, bytes) else str(axes)
    return axes if axes in group else ""


def _variables(group: h5py.Group, suffix: str) -> dict[str, Any]:
    """Signal, axis and uncertainty as xarray's (dims, values, attributes)."""
    axis, signal = _axis(group), str(group.attrs["signal"])
    found = {}
    for name in (axis, signal, f"{signal}_errors"):
        if not name or name not in group or name + suffix in found:
            continue
        values = group[name][()]
        dims = [axis] if axis and values.ndim == 1 else [f"{signal}_{n}" for n in range(values.ndim)]
        with contextlib.suppress(KeyError):
            found[name if name == axis else name + suffix] = (dims, values, {"units": str(group[name].attrs["units"])})
            continue
        found[name if name == axis else name + suffix] = (dims, values, {})
    return found


def _beside(group: h5py.Group) -> Iterator[tuple[str, h5py.Group]]:
    for name, other in group.parent.items():
        if isinstance(other, h5py.Group) and other.name != group.name and "signal" in other.attrs:
            yield name, other


def _same(group: h5py.Group, other: h5py.Group, axis: str) -> bool:
    return bool(np.array_equal(group[axis][()], other[axis][()], equal_nan=True))
