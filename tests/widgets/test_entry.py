import io

import h5py
import numpy as np
import pytest
import xarray as xr
from services.api import Bench, serving

from beamhub.catalog import CatalogError, Client, Service
from beamhub.catalog.records import Scalar
from beamhub.widgets import Catalog, Entry
from beamhub.widgets.entry import table_of


def output(scale: float) -> bytes:
    """An NXcanSAS output: a circle, a sector on the same Q, and a picture."""
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        file.attrs["default"] = "entry"
        entry = file.create_group("entry")
        entry.attrs.update(NX_class="NXentry", default="circle")
        for name, factor in (("circle", 1), ("sector", 2)):
            group = entry.create_group(name)
            group.attrs.update(NX_class="NXdata", signal="I", axes="Q")
            group["Q"], group["I"], group["I_errors"] = [0.1, 0.2], [scale * factor, 1.0], [0.1, 0.2]
            group["Q"].attrs["units"], group["I"].attrs["units"] = "1/A", "1/cm"
        picture = entry.create_group("picture")
        picture.attrs.update(NX_class="NXdata", signal="data")
        picture["data"] = np.zeros((3, 4))
    return out.getvalue()


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    with serving(Bench(tmp_path_factory.mktemp("bench"))) as running:
        running.runs = running.arrive("red/scan1/a.nxs", "red/scan1/b.nxs", "red/scan1/<c>.nxs", "blue/scan1/d.nxs")
        for number, run in enumerate(running.runs[:2], start=1):
            running.finish(run, {"Rg": 3.5 * number}, output(10.0 * number))
        yield running


@pytest.fixture
def catalog(bench):
    client = Client(Service(bench.url.removesuffix("api/v1/"), "alice"))
    yield Catalog("red", client)
    client.close()


def test_a_result_is_found_by_run_and_by_file_name(catalog, bench):
    assert catalog[bench.runs[0]].run.file.name == "a.nxs"
    assert catalog["b.nxs"].run.id == bench.runs[1]
    assert catalog["red/scan1/b.nxs"].run.id == bench.runs[1]
    with pytest.raises(KeyError, match=r"nothing\.nxs"):
        catalog["nothing.nxs"]


def test_read_gives_the_arrays_of_the_default_plot(catalog, bench):
    arrays = catalog[bench.runs[0]].read()
    assert arrays["I"].tolist() == [10.0, 1.0]
    assert set(arrays) == {"Q", "I", "I_errors"}


def test_a_dataset_has_units_uncertainties_further_curves_and_provenance(catalog, bench):
    data = catalog[bench.runs[0]].to_xarray()
    assert data["I"].attrs["units"] == "1/cm"
    assert data["Q"].attrs["units"] == "1/A"
    assert data["I_errors"].values.tolist() == [0.1, 0.2]
    assert data["I_sector"].values.tolist() == [20.0, 1.0]
    assert (data.attrs["function"], data.attrs["parameter_bins"], data.attrs["Rg"]) == ("add", 7, 3.5)


def test_several_results_are_stacked_along_run(catalog, bench):
    data = catalog.entries(bench.runs[:3]).to_xarray()
    assert data.sizes == {"run": 2, "Q": 2}
    assert data["run"].values.tolist() == bench.runs[:2]
    assert data["I"].sel(run=bench.runs[1], Q=0.1).item() == 20.0


def test_each_of_the_stacked_results_says_which_file_it_is_of(catalog, bench):
    assert catalog.entries(bench.runs[:2]).to_xarray()["file"].values.tolist() == ["a.nxs", "b.nxs"]


def test_entries_come_in_the_order_they_are_asked_for_and_with_one_question(catalog, bench, monkeypatch):
    asked = []
    send = catalog.client.send
    monkeypatch.setattr(catalog.client, "send", lambda request: asked.append(request.path) or send(request))
    ids = [bench.runs[1], bench.runs[0]]
    assert [entry.run.id for entry in catalog.entries(ids)] == ids
    assert asked == ["runs"]
    with pytest.raises(CatalogError, match="run"):
        catalog.entries([10**9])


def test_provenance_can_be_stored_with_the_data(catalog, bench, tmp_path):
    data = catalog[bench.runs[0]].to_xarray()
    assert {"run", "file", "proposal", "finished"} <= set(data.attrs)
    assert all(isinstance(value, str | int | float) for value in data.attrs.values())


def test_nothing_selected_says_what_to_do(catalog):
    with pytest.raises(CatalogError, match="click a row"):
        catalog.entries([]).to_xarray()


def test_the_table_has_a_row_for_each_run_and_a_column_for_each_number(catalog, bench):
    table = catalog.table()
    assert set(table.index) == set(bench.runs[:3])
    assert table.loc[bench.runs[0], "Rg"] == 3.5
    assert table.loc[bench.runs[0], "bins"] == 7
    assert catalog.table(state="done").shape[0] == 2


def test_the_table_knows_units_and_keeps_names_that_two_things_have_apart(catalog, bench):
    assert catalog.entries(bench.runs[:2]).to_dataframe().attrs["units"] == {}
    record = catalog[bench.runs[0]].run
    scalars = {"Rg": Scalar(value=3.5, unit="nm"), "bins": Scalar(value=2, unit="counts")}
    columns = {"sample": "LaB6", "Rg": "guess", "file": "odd"}
    table = table_of([record.model_copy(update={"scalars": scalars, "columns": columns})])
    row = table.loc[bench.runs[0]]
    assert (row["Rg"], row["Rg (file)"], row["bins"], row["bins (parameter)"]) == (3.5, "guess", 2, 7)
    assert (row["file"], row["file (file)"], row["sample"], row["state"]) == ("a.nxs", "odd", "LaB6", "done")
    assert row["queued"] <= row["started"] <= row["finished"]
    assert table.attrs["units"] == {"Rg": "nm", "bins": "counts"}


def test_a_lazy_dataset_is_stacked_without_its_values_and_reads_them_when_they_are_needed(catalog, bench, monkeypatch):
    opened = []
    monkeypatch.setattr(Entry, "open", lambda entry, open=Entry.open: opened.append(entry.run.id) or open(entry))
    entries = catalog.entries(bench.runs[:2])
    eager, lazy = entries.to_xarray(lazy=False), entries.to_xarray(lazy=True)
    assert lazy["I"].chunks is not None
    assert eager["I"].chunks is None
    assert entries.to_xarray()["I"].chunks is None  # small arrays are read at once
    opened.clear()
    assert lazy["I"].isel(run=1).values.tolist() == [20.0, 1.0]
    assert opened == [bench.runs[1]]
    xr.testing.assert_identical(lazy.compute(), eager)


def test_without_dask_a_lazy_dataset_is_read_at_once(catalog, bench, monkeypatch):
    monkeypatch.setattr("beamhub.widgets.lazy.find_spec", lambda name: None)
    assert catalog[bench.runs[0]].to_xarray(lazy=True)["I"].chunks is None


def test_all_pages_are_read(catalog):
    assert len(catalog.runs(limit=2)) == 2
    assert len(catalog.runs(limit=1000)) == 3
