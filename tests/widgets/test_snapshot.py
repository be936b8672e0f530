import threading
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from services.api import WRITE, Bench, serving, user
from services.javascript import evaluate
from services.scripted import Answer, scripted

from beamhub.catalog import Client, Service
from beamhub.widgets import Catalog
from beamhub.widgets import snapshot as module
from beamhub.widgets.columns import cell
from beamhub.widgets.shown import Shown
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
    assert now.html.count("<td>") == 2 * 5


def test_a_table_that_would_be_too_long_gets_fewer_rows(catalog, monkeypatch):
    monkeypatch.setattr(module, "LARGEST", 250)
    assert "0 of 3 runs" in take(catalog).html


def test_a_table_that_was_told_no_proposal_is_of_the_one_that_got_data_last_alone(bench):
    bench.hub.tokens["both"] = user("alice", ["red", "blue"], WRITE)
    client = Client(Service(bench.url.removesuffix("api/v1/"), "both"))
    now = take(Catalog(None, client))
    assert "UTC, 1 of 1 runs of blue" in now.html
    assert "<td>d.nxs</td>" in now.html
    assert "a.nxs" not in now.html
    assert "1 runs of blue" in now.text
    client.close()


def test_the_table_is_as_the_page_shows_it_and_says_what_was_searched_for(catalog):
    told = {"search": "nxs state:running", "sort": "file", "zone": "Asia/Kolkata"}
    columns = ["state", "picture", "file", "scalar:<Rg>", "parameter:bins", "file:none", "curve"]
    now = take(catalog, Shown.read(told | {"columns": columns})).html
    assert "UTC+05:30, 2 of 2 runs of red, which match nxs state:running, by file, ascending" in now
    heads = "<th>state</th><th>file</th><th>&lt;Rg&gt;</th><th>bins</th><th>none</th>"
    row = "<td>running</td><td>{}.nxs</td><td></td><td>7</td><td></td>"
    assert f"<thead><tr>{heads}</tr></thead>" in now
    assert f"<tr>{row.format('&lt;c&gt;')}</tr><tr>{row.format('e')}</tr>" in now


def test_times_are_those_of_whoever_looked(catalog):
    (row,) = catalog.runs(1)
    now = take(catalog, Shown(zone="Asia/Kolkata", columns=("when",))).html
    assert f"<td>{row.queued + timedelta(hours=5, minutes=30):%Y-%m-%d %H:%M:%S}</td>" in now


def test_when_the_file_was_written_can_be_in_the_table(catalog):
    (row,) = catalog.runs(1)
    now = take(catalog, Shown.read({"zone": "Asia/Kolkata", "columns": ["written"]})).html
    assert "<th>written</th>" in now
    assert f"<td>{row.file.time + timedelta(hours=5, minutes=30):%Y-%m-%d %H:%M:%S}</td>" in now


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"columns": ["file:", "scalar:", "parameter:"]},
        {"search": 1, "sort": ["file"], "zone": {}, "columns": "file"},
        {
            "search": "x" * 501,
            "sort": "-queued; x",
            "zone": "../../etc/passwd",
            "columns": [None, "curve", "no", "no:x"],
        },
        {"search": "a\nb", "sort": "scalar:", "zone": "Nowhere/Land", "columns": [["file"], {}]},
        {"zone": "/etc/localtime", "sort": "scalar:" + "x" * 201},
    ],
)
def test_what_a_page_cannot_mean_counts_as_not_said(told):
    assert Shown.read(told) == Shown()


def test_the_heading_of_a_result_has_its_unit_and_numbers_are_short(catalog):
    (run,) = [run for run in catalog.runs() if run.scalars]
    scalar = run.scalars["<Rg>"]
    of_file = {"T": 12.5, "n": 300.0, "sample": "LaB6", "none": None}
    run = run.model_copy(update={"scalars": {"Rg": scalar.model_copy(update={"unit": "nm"})}, "columns": of_file})
    told = module.table([run], "now")
    assert "<th>state</th><th>T</th><th>n</th><th>sample</th><th>Rg / nm</th>" in told
    assert "<td>12.5</td><td>300</td><td>LaB6</td><td>3.142</td>" in told


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


@pytest.mark.parametrize(
    ("states", "times"),
    [([1, 1, 1], 0), ([1, 2, 3], 2), ([1, 2, 2], 1), ([1, None, 1], 0), ([1, None, 2], 1)],
    ids=["no change", "two changes", "one change", "service away", "change while it was away"],
)
def test_the_saved_table_is_made_anew_when_the_page_asks_and_the_data_changed(states, times):
    left, refreshed, looked = iter(states), [], threading.Semaphore(0)

    def look():
        looked.release()
        return next(left)

    refresher = Refresher(look, lambda: refreshed.append(1))
    refresher.start()
    for _ in states[1:]:
        assert looked.acquire(timeout=5)
        refresher.look()
    assert looked.acquire(timeout=5)
    refresher.end()
    refresher.join(5)
    assert not refresher.is_alive()
    assert len(refreshed) == times


def test_a_table_that_cannot_be_made_does_not_end_what_makes_the_next_one(caplog):
    states, done = iter([1, KeyError("look"), 2, 3]), threading.Semaphore(0)

    def look():
        state = next(states)
        if isinstance(state, Exception):
            done.release()
            raise state
        return state

    def refresh():
        done.release()
        raise KeyError("refresh")

    refresher = Refresher(look, refresh)
    refresher.start()
    for _ in range(3):
        refresher.look()
        assert done.acquire(timeout=5)
    refresher.end()
    refresher.join(5)
    assert caplog.text.count("could not be made anew") == 3


# quiet for 20 ms, at most each 200; somebody is at work in the table as ``used`` says
SAVED = """(async () => {
  const made = [], begin = performance.now(), later = (ms) => new Promise((done) => setTimeout(done, ms));
  let used = false;
  const saved = new m.Saved(() => used, () => made.push(performance.now() - begin), 20, 200);
  %s
  saved.end();
  return made.map(Math.floor);
})()"""


@pytest.mark.parametrize(
    ("script", "least"),
    [
        ("await later(400);", []),
        ("saved.soon(); await later(400);", [195]),
        ("await later(300); saved.soon(); await later(10); saved.soon(); await later(300);", [325]),
        ("await later(300); saved.soon(); await later(100); saved.soon(); await later(400);", [315, 515]),
        ("used = true; saved.soon(); await later(300); used = false; await later(300);", [300]),
        ("used = true; saved.soon(); await later(600);", []),
        ("saved.soon(); saved.now(); await later(400);", [0]),
    ],
    ids=["no change", "not at once", "after changes", "at most each minute", "when left", "never in use", "hidden"],
)
def test_the_page_has_the_saved_table_made_anew_when_changes_rest_and_nobody_is_at_work_in_it(script, least):
    (made,) = evaluate("saved.ts", [SAVED % script])
    assert len(made) == len(least)
    assert all(at >= wanted for at, wanted in zip(made, least, strict=True))


@pytest.mark.promise("bad input")
def test_a_file_that_was_written_on_the_last_day_there_is_keeps_no_table_from_being_saved():
    file = SimpleNamespace(time=datetime.max.replace(tzinfo=UTC), name="a.nxs", path="red/scan1/a.nxs")
    run = SimpleNamespace(
        file=file,
        queued=datetime(2026, 11, 27, tzinfo=UTC),
        proposal="red",
        title="",
        function="add",
        state="done",
        rule="",
    )
    assert cell("written", run, ZoneInfo("Asia/Kolkata")) == "9999-12-31 23:59:59"
    assert cell("when", run, ZoneInfo("Asia/Kolkata")) == "2026-11-27 05:30:00"
