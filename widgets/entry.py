"""Entry: one run's result as arrays; Entries: several, stacked."""

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import h5py
from numpy.typing import NDArray

from beamhub.catalog.client import Client
from beamhub.catalog.errors import CatalogError
from beamhub.catalog.records import Run
from beamhub.catalog.remote import open_result
from beamhub.widgets.lazy import reader
from beamhub.widgets.plottable import arrays, default_data, variables

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

COLUMNS = ("run", "file", "function", "state", "queued", "started", "finished")


class Entry:
    """One run: ``entry.run`` is its record; its output is read when it is asked for."""

    def __init__(self, client: Client, run: Run) -> None:
        self._client, self.run = client, run

    def __repr__(self) -> str:
        return f"<run {self.run.id}: {self.run.title} of {self.run.file.name}, {self.run.state}>"

    def open(self) -> h5py.File:
        """The output file, open for reading; from disk where it is visible here, else over HTTP.

        Raises:
            CatalogError: the run has no output, or the service does not give it.
        """
        return h5py.File(open_result(self._client, self.run), "r")

    def read(self) -> dict[str, NDArray[Any]]:
        """The arrays of the default plot: the signal, its axes, its uncertainty, by their names in the file.

        Raises:
            CatalogError: as :meth:`open`, or the output names no default plot.
        """
        with self.open() as file:
            return arrays(default_data(file))

    def to_xarray(self, lazy: bool | None = None) -> "xr.Dataset":
        """The default plot and its further curves with units and uncertainties (``…_errors``); provenance in attrs.

        Args:
            lazy: arrays are read when they are computed with (needs Dask; without it they are read at once): None:
                those of more than 8 MiB; True: all; False: none.

        Raises:
            CatalogError: as :meth:`read`.
        """
        import xarray as xr

        read = reader(self.open, f"run-{self.run.id}-{self.run.attempts}", lazy)
        with self.open() as file:
            data, coordinates = variables(default_data(file), read)
        return xr.Dataset(data, coordinates, self._provenance())

    def _provenance(self) -> dict[str, Any]:
        run = self.run
        told = {
            "run": run.id, "file": run.file.path, "proposal": run.proposal, "function": run.function,
            "version": run.version, "digest": run.digest,
            "finished": run.finished.isoformat() if run.finished else "",
        }  # fmt: skip
        parameters = {f"parameter_{name}": _plain(value) for name, value in run.parameters.items()}
        scalars = {name: one.value for name, one in run.scalars.items() if one.value is not None}
        units = {f"{name}_units": one.unit for name, one in run.scalars.items() if one.unit and name in scalars}
        return {name: value for name, value in told.items() if value != ""} | parameters | scalars | units


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

    def to_xarray(self, lazy: bool | None = None) -> "xr.Dataset":
        """All of them in one dataset, along a new dimension ``run``; a curve that not all have is filled with NaN.

        Args:
            lazy: as :meth:`Entry.to_xarray`.

        Raises:
            CatalogError: none is selected, or none of them is done.
        """
        import xarray as xr

        done = [entry for entry in self._entries if "file" in entry.run.has]
        if not done:
            nothing = "no run is selected: click a row of the table"
            raise CatalogError("none of the selected runs is done" if self._entries else nothing)
        stacked = xr.concat(
            [entry.to_xarray(lazy) for entry in done],
            xr.DataArray([entry.run.id for entry in done], dims="run", name="run"),
            join="outer", data_vars="all", coords="minimal", combine_attrs="drop_conflicts", compat="equals",
        )  # fmt: skip
        return stacked.assign_coords(file=("run", [entry.run.file.name for entry in done]))

    def to_dataframe(self) -> "pd.DataFrame":
        """One row a run: file, function, state, times, columns of the file, parameters, scalars (:func:`table_of`)."""
        return table_of([entry.run for entry in self._entries])

    def table(self) -> "pd.DataFrame":
        """The same as :meth:`to_dataframe`."""
        return self.to_dataframe()


def table_of(runs: Sequence[Run]) -> "pd.DataFrame":
    """Runs as a DataFrame, indexed by run; ``.attrs["units"]`` has the units of scalars that have one.

    Where two of them have one name, a scalar has it alone; a parameter is then ``<name> (parameter)``, a column of the
    file ``<name> (file)``.
    """
    import pandas as pd

    scalars = {name for run in runs for name in run.scalars} | set(COLUMNS)
    parameters = {name for run in runs for name in run.parameters} | scalars
    rows = [
        {f"{name} (file)" if name in parameters else name: value for name, value in run.columns.items()}
        | {f"{name} (parameter)" if name in scalars else name: value for name, value in run.parameters.items()}
        | {f"{name} (scalar)" if name in COLUMNS else name: one.value for name, one in run.scalars.items()}
        | {"run": run.id, "file": run.file.name, "function": run.function, "state": run.state}
        | {"queued": run.queued, "started": run.started, "finished": run.finished}
        for run in runs
    ]
    others = dict.fromkeys(name for row in rows for name in row if name not in COLUMNS)
    table = pd.DataFrame(rows, columns=[*COLUMNS, *others]).set_index("run")
    table.attrs["units"] = {name: one.unit for run in runs for name, one in run.scalars.items() if one.unit}
    return table


def _plain(value: Any) -> Any:
    """A parameter as an attribute that every file format can hold."""
    return value if isinstance(value, str | int | float) and not isinstance(value, bool) else json.dumps(value)
