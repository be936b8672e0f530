import json
import re
import threading
import time

import nbformat
import pytest
from nbclient import NotebookClient
from services.api import WRITE, Bench, serving, user
from services.scripted import Answer, scripted

from beamhub.catalog import CatalogError, Service
from beamhub.widgets import ProcessedData
from beamhub.widgets.snapshot import Snapshot


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    with serving(Bench(tmp_path_factory.mktemp("bench"))) as running:
        running.runs = running.arrive("red/scan1/a.nxs", "red/scan1/b.nxs", "blue/scan1/c.nxs")
        running.finish(running.runs[0], {"counts": 5.0})
        yield running


@pytest.fixture
def service(bench):
    return Service(bench.url.removesuffix("api/v1/"), "alice")


@pytest.fixture
def in_a_hub(monkeypatch, service):
    """The environment of a notebook server; the extension beside it answers as scripted."""
    monkeypatch.setenv("BEAMHUB_SERVICE_URL", service.url)
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "alice")
    with scripted() as script:
        monkeypatch.setenv("JUPYTERHUB_SERVICE_URL", script.url)
        script.say(says({"id": "server-1", "service": ""}))
        yield script


def says(told: dict) -> Answer:
    return Answer(200, [json.dumps(told).encode()], {"Content-Type": "application/json"})


@pytest.fixture
def widget(in_a_hub):
    widget = ProcessedData("red")
    yield widget
    widget.close()


def test_the_page_is_told_which_extension_is_the_kernels_own(widget, in_a_hub):
    assert widget.server_id == "server-1"
    _, path, headers = in_a_hub.asked[0]
    assert path == "/services/beamhub/beamhub/api/hello"
    assert headers["Authorization"] == "token alice"


def test_what_is_selected_is_asked_of_the_extension_as_it_was_when_the_cell_started(widget, in_a_hub, bench):
    widget._cell.started = 1000.5
    in_a_hub.say(says({"proposal": "red", "ids": [bench.runs[1]], "time": 1000.0}))
    assert [entry.run.id for entry in widget.selected] == [bench.runs[1]]
    assert in_a_hub.asked[0][1].endswith(f"selection/{widget.view_id}?at=1000.5")


def test_what_the_page_said_last_counts_whichever_way_it_came(widget, in_a_hub, bench):
    in_a_hub.say(says({"proposal": "red", "ids": [bench.runs[1]], "time": 1000.0}))
    widget.selected_ids = [bench.runs[0]]
    assert [entry.run.id for entry in widget.selected] == [bench.runs[0]]
    in_a_hub.say(says({"proposal": "red", "ids": [], "time": time.time() + 1}))
    assert len(widget.selected) == 0


def test_without_the_extension_the_kernel_itself_knows_what_is_selected(widget, in_a_hub, bench):
    in_a_hub.say(Answer(502))
    widget.selected_ids = [bench.runs[0]]
    assert [entry.run.id for entry in widget.selected] == [bench.runs[0]]


def test_a_selection_is_a_sequence_a_table_and_a_dataset(widget, in_a_hub, bench):
    in_a_hub.say(Answer(502))
    widget.selected_ids = bench.runs[:2]
    assert len(widget.selected) == 2
    assert widget.selected[0].run.id == bench.runs[0]
    assert list(widget.selected.table().index) == bench.runs[:2]
    widget.selected_ids = []
    with pytest.raises(CatalogError, match="click a row"):
        widget.selected.to_xarray()


@pytest.fixture
def of_two(in_a_hub, monkeypatch, bench):
    """The table of somebody who sees two proposals, and named none."""
    bench.hub.tokens["both"] = user("alice", ["red", "blue"], WRITE)
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "both")
    widget = ProcessedData()
    yield widget
    widget.close()


def test_before_the_page_says_which_proposal_it_shows_there_is_the_one_that_got_data_last(of_two):
    assert {run.proposal for run in of_two.catalog.runs()} == {"blue"}
    assert "1 of 1 runs of blue" in of_two.snapshot()
    assert "1 runs of blue" in of_two._repr_mimebundle_()[0]["text/plain"]


def test_what_is_found_and_saved_is_of_the_proposal_that_the_page_shows(of_two, bench):
    of_two.set_state({"proposal": "red", "selected_ids": [bench.runs[0]]})
    assert {run.proposal for run in of_two.catalog.runs()} == {"red"}
    assert "2 of 2 runs of red" in of_two.snapshot()
    assert "c.nxs" not in of_two.snapshot()
    assert [entry.run.id for entry in of_two.selected] == [bench.runs[0]]
    assert of_two.options["proposal"] == ""  # a link to another proposal may still be opened in it


def test_what_the_page_says_of_its_table_is_how_the_saved_one_is(of_two):
    view = {"proposal": "red", "search": "b.nxs", "sort": "file", "zone": "Europe/Berlin", "columns": ["file", "curve"]}
    of_two.set_state({"proposal": "red"})
    of_two._receive({"refresh": True} | view)
    saved = of_two.snapshot()
    assert re.search(r"UTC\+0[12]:00, 1 of 1 runs of red, which match b\.nxs, by file, ascending", saved)
    assert "<table><thead><tr><th>file</th></tr></thead><tbody><tr><td>b.nxs</td></tr></tbody></table>" in saved
    of_two._receive({"refresh": True, "search": None, "columns": ["file"]})
    assert "2 of 2 runs of red" in of_two.snapshot()


def test_a_message_of_the_proposal_before_does_not_set_back_which_one_is_shown(of_two):
    of_two.set_state({"proposal": "red"})
    of_two._receive({"refresh": True, "proposal": "blue"})
    assert of_two.proposal == "red"
    assert "2 of 2 runs of red" in of_two.snapshot()


@pytest.fixture
def saved(monkeypatch):
    """The static tables that a notebook got, as lines of text."""
    told: list[str] = []
    keep = lambda data, **_: told.append(data["text/plain"])  # noqa: E731
    monkeypatch.setenv("JPY_SESSION_NAME", "a.ipynb")
    for how in ("display", "update_display"):
        monkeypatch.setattr(f"IPython.display.{how}", keep)
    return told


def wait_for(words: str, told: list[str]) -> None:
    end = time.monotonic() + 10
    while not (told and words in told[-1]):
        assert time.monotonic() < end, told
        time.sleep(0.02)


def test_when_the_page_says_that_it_shows_another_proposal_the_saved_table_is_renewed_at_once(of_two, saved):
    of_two._ipython_display_()
    assert "1 runs of blue" in saved[-1]
    of_two.set_state({"proposal": "red"})
    wait_for("2 runs of red", saved)
    of_two.set_state({"proposal": "blue"})
    wait_for("1 runs of blue", saved)
    assert len(saved) == 3


def test_the_saved_table_is_renewed_also_where_the_page_was_quicker_than_the_first_look(of_two, saved):
    moved, state = threading.Event(), of_two._state
    of_two._state = lambda: state() if moved.wait(10) else None
    of_two._ipython_display_()
    of_two.set_state({"proposal": "red"})
    moved.set()
    wait_for("2 runs of red", saved)


def test_where_the_page_shows_the_proposal_that_is_saved_nothing_is_painted_anew(of_two, saved):
    looked, state = threading.Semaphore(0), of_two._state
    of_two._state = lambda: (state(), looked.release())[0]
    of_two._ipython_display_()
    assert looked.acquire(timeout=10)
    of_two.set_state({"proposal": "blue"})
    assert looked.acquire(timeout=10)
    of_two._refresher.end()
    of_two._refresher.join(10)
    assert len(saved) == 1


def test_a_table_that_comes_late_is_dropped_where_the_page_shows_another_proposal_by_now(of_two, saved):
    of_two._ipython_display_()
    of_two.set_state({"proposal": "red"})
    wait_for("2 runs of red", saved)
    of_two._show(Snapshot("", "late rows of blue", "blue"))
    of_two._show(Snapshot("", "waiting"))
    assert "red" in saved[-1]
    of_two._show(Snapshot("", "later rows", "red"))
    assert saved[-1] == "later rows"


def test_outside_of_a_hub_the_widget_says_that_there_is_nothing(monkeypatch):
    for name in ("BEAMHUB_SERVICE_URL", "JUPYTERHUB_SERVICE_URL", "JPY_PARENT_PID"):
        monkeypatch.delenv(name, raising=False)
    widget = ProcessedData()
    assert widget.server_id is None
    assert not widget.connected
    assert "BeamHub Hub" in widget._repr_mimebundle_()[0]["text/plain"]
    widget.close()


def test_a_widget_without_its_page_part_says_how_to_get_it():
    from beamhub.widgets.bundle import MISSING

    assert "install the wheel" in MISSING
    assert MISSING.startswith("export default { render")


def test_neither_rows_nor_tokens_are_part_of_the_widgets_state(monkeypatch, service):
    monkeypatch.setenv("BEAMHUB_SERVICE_URL", service.url)
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "alice")
    widget = ProcessedData("red")
    state = {name: value for name, value in widget.get_state().items() if name not in ("_esm", "layout")}
    assert "a.nxs" not in repr(state)
    assert "alice" not in repr(state)
    assert "a.nxs" in widget.snapshot()
    widget.close()


@pytest.mark.filterwarnings("ignore")
def test_an_executed_notebook_has_a_static_table_and_no_token(tmp_path, bench, service, monkeypatch):
    token = "a-token-of-alices-server"
    bench.hub.tokens[token] = bench.hub.tokens["alice"]
    monkeypatch.setenv("BEAMHUB_SERVICE_URL", service.url)
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", token)
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    code = "from beamhub.widgets import ProcessedData\ndata = ProcessedData('red')\ndata"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    NotebookClient(
        notebook, timeout=60, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    live, bundle = (output["data"] for output in notebook.cells[0].outputs)
    assert "application/vnd.jupyter.widget-view+json" in live
    assert "a.nxs" in bundle["text/html"]
    assert "2 runs of red (1 done, 1 running)" in bundle["text/plain"]
    assert len(json.dumps(notebook.cells)) < 60_000
    assert token not in json.dumps(notebook)
    assert notebook.metadata.widgets  # the widget's state is stored too
    assert "a.nxs" not in json.dumps(notebook.metadata)
