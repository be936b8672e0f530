import json
import threading

import nbformat
import pytest
from nbclient import NotebookClient
from services.api import Bench, serving

from beamhub.catalog import Service
from beamhub.widgets import ProcessedData, Session
from beamhub.widgets.comm import Relay


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
def relay(service):
    sent: list = []
    arrived = threading.Event()

    def send(content, buffers):
        sent.append((content, buffers))
        arrived.set()

    relay = Relay(service, send)
    relay.sent, relay.arrived = sent, arrived
    yield relay
    relay.close()


def ask(relay: Relay, path: str, method: str = "GET", **more) -> tuple[int, bytes]:
    relay.receive({"id": 7, "method": method, "path": path, **more})
    content, buffers = relay.sent[-1]
    assert content["id"] == 7
    return content["status"], buffers[0]


def test_the_kernel_relays_what_the_service_answers(relay):
    status, body = ask(relay, "v1/runs", query=[["proposal", "red"], ["sort", "file"]])
    assert status == 200
    assert [run["file"]["name"] for run in json.loads(body)["items"]] == ["a.nxs", "b.nxs"]
    assert ask(relay, "v1/runs", query=[["proposal", "blue"]])[0] == 404


@pytest.mark.parametrize("path", ["v1/events", "v1/metrics", "v1/../health", "elsewhere", "chunk/../comm.py", "v1/"])
def test_only_known_requests_are_relayed(relay, path):
    assert ask(relay, path)[0] == 404


@pytest.mark.parametrize("message", [None, 3, {}, {"id": "x"}, {"id": 1}, {"listen": None}])
def test_what_is_no_message_harms_nobody(relay, message):
    relay.receive(message)
    assert ask(relay, "v1/proposals")[0] == 200


def test_changes_come_from_a_thread_of_their_own(relay, bench):
    relay.receive({"listen": ["red"]})
    relay.arrived.wait(10)
    assert relay.sent[0][0]["event"] == "status"
    assert relay.sent[0][0]["data"]["live"] is True
    bench.arrive("red/scan1/later.nxs")
    for _ in range(100):
        if any(content.get("event") == "change" for content, _ in relay.sent):
            break
        threading.Event().wait(0.1)
    changes = [content["data"] for content, _ in relay.sent if content.get("event") == "change"]
    assert {change["proposal"] for change in changes} == {"red"}


def test_without_a_service_every_answer_says_so():
    sent: list = []
    relay = Relay(None, lambda content, buffers: sent.append((content, buffers)))
    relay.receive({"id": 1, "method": "GET", "path": "v1/runs"})
    assert sent[0][0]["status"] == 503
    assert "BeamHub Hub" in json.loads(sent[0][1][0])["message"]


def test_neither_rows_nor_tokens_are_part_of_the_widgets_state(monkeypatch, service):
    monkeypatch.setenv("BEAMHUB_SERVICE_URL", service.url)
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "alice")
    widget = ProcessedData("red")
    state = {name: value for name, value in widget.get_state().items() if name not in ("_esm", "layout")}
    assert "a.nxs" not in repr(state)
    assert "alice" not in repr(state)
    assert "a.nxs" in widget.snapshot()
    widget.close()


def test_a_session_says_where_it_runs_and_until_when(monkeypatch):
    monkeypatch.setenv("BEAMHUB_SITE", "here")
    monkeypatch.setenv("BEAMHUB_PROFILE", "small")
    monkeypatch.setenv("BEAMHUB_ENDS_AT", "2026-11-23T18:00:00Z")
    assert repr(Session()) == "Session(small on here, until 2026-11-23T18:00:00Z)"


@pytest.mark.filterwarnings("ignore")
def test_an_executed_notebook_has_a_static_table_and_no_token(tmp_path, service, monkeypatch):
    token = "alice"
    monkeypatch.setenv("BEAMHUB_SERVICE_URL", service.url)
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", token)
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    code = "from beamhub.widgets import ProcessedData\ndata = ProcessedData('red')\ndata"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    NotebookClient(
        notebook, timeout=60, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    bundle = notebook.cells[0].outputs[0]["data"]
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert "a.nxs" in bundle["text/html"]
    assert bundle["text/plain"].startswith("ProcessedData(")
    assert len(json.dumps(notebook.cells)) < 60_000
    assert token not in json.dumps(notebook.cells)
