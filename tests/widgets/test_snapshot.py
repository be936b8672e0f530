import threading
import time

import pytest
from services.api import Bench, serving
from services.scripted import Answer, scripted

from beamhub.catalog import Client, Service
from beamhub.widgets import Catalog
from beamhub.widgets import snapshot as module
from beamhub.widgets.snapshot import Refresher, take, take_soon


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    with serving(Bench(tmp_path_factory.mktemp("bench"))) as running:
        running.runs = running.arrive("red/scan1/a.nxs", "red/scan1/<c>.nxs", "red/scan1/e.nxs", "blue/scan1/d.nxs")
        running.finish(running.runs[0], {"<Rg>": 3.14159})
        yield running


@pytest.fixture
def catalog(bench):
    client = Client(Service(bench.url.removesuffix("api/v1/"), "alice"))
    yield Catalog("red", client)
    client.close()


def test_the_table_says_of_when_it_is_and_escapes_what_files_are_called(catalog):
    now = take(catalog)
    assert "<td>&lt;c&gt;.nxs</td>" in now.html
    assert "<th>&lt;Rg&gt;</th>" in now.html
    assert "<td>3.142</td>" in now.html
    assert "<c>" not in now.html
    assert "<script" not in now.html
    assert "UTC, 3 of 3 runs of red" in now.html
    assert now.text.startswith("Processed data, as of ")
    assert now.text.endswith("3 runs of red (1 done, 2 running)")


def test_rows_that_are_left_out_are_counted(catalog, monkeypatch):
    monkeypatch.setattr(module, "ROWS", 2)
    now = take(catalog)
    assert "2 of 3 runs" in now.html
    assert now.html.count("<td>") == 2 * 4


def test_a_table_that_would_be_too_long_gets_fewer_rows(catalog, monkeypatch):
    monkeypatch.setattr(module, "LARGEST", 250)
    assert "0 of 3 runs" in take(catalog).html


def test_why_there_is_no_table_is_said_instead():
    client = Client(Service("http://127.0.0.1:9/", "t"))
    now = take(Catalog("red", client))
    assert "does not answer" in now.html
    assert "does not answer" in now.text
    client.close()


def test_a_service_that_hangs_is_not_waited_for_and_its_answer_comes_later(monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_S", 0.2)
    with scripted() as script:
        script.say(Answer(503, [b'{"message": "late", "reason": "r", "code": 503}'], hold=1.0))
        client = Client(Service(script.url, "t"))
        came, later = threading.Event(), []
        began = time.monotonic()
        now = take_soon(Catalog("red", client), lambda snapshot: (later.append(snapshot), came.set()))
        assert time.monotonic() - began < 0.9
        assert "waiting for the processing service" in now.html
        assert "waiting for the processing service" in now.text
        assert came.wait(10)
        assert later[0].text.endswith(": late")
        client.close()


def test_a_service_that_answers_is_waited_for(catalog):
    later: list = []
    assert "3 runs of red" in take_soon(catalog, later.append).text
    assert later == []


def told_to_refresh(states: list, monkeypatch, least: float = 0.0) -> int:
    """How often a table whose data goes through some states is made anew."""
    monkeypatch.setattr(module, "QUIET_S", 0.001)
    monkeypatch.setattr(module, "LEAST_S", least)
    refreshed = []
    left = list(states)

    def look():
        if not left:
            refresher.end()
            return None
        return left.pop(0)

    refresher = Refresher(look, lambda: refreshed.append(len(left)))
    refresher.start()
    refresher.join(10)
    return len(refreshed)


@pytest.mark.parametrize(
    ("states", "times"),
    [
        ([1, 1, 1], 0),
        ([1, 2, 3, 4], 0),
        ([1, 2, 3, 3, 3], 1),
        ([1, 2, 2, 3, 3], 2),
        ([1, None, None, 1], 0),
        ([1, None, 2, 2], 1),
    ],
    ids=["no change", "no rest", "rest after changes", "two rests", "service away", "change while it was away"],
)
def test_the_saved_table_is_made_anew_when_changes_come_to_rest(states, times, monkeypatch):
    assert told_to_refresh(states, monkeypatch) == times


def test_the_saved_table_is_made_anew_at_once_when_the_page_is_hidden_and_the_data_changed():
    states, refreshed = iter([1, 1, 2]), []
    looked, made = threading.Semaphore(0), threading.Event()

    def look():
        looked.release()
        return next(states)

    refresher = Refresher(look, lambda: (refreshed.append(1), made.set()))
    refresher.start()
    assert looked.acquire(timeout=5)
    refresher.look()
    assert looked.acquire(timeout=5)
    refresher.look()
    assert made.wait(5)
    refresher.end()
    refresher.join(5)
    assert not refresher.is_alive()
    assert refreshed == [1]


def test_the_saved_table_is_made_anew_at_most_once_a_minute(monkeypatch):
    assert told_to_refresh([1, 2, 2, 3, 3, 4, 4], monkeypatch, least=60.0) == 0
