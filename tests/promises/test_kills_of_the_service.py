"""SIGKILL of the service, forty times while a thousand files arrive: nothing lost, nothing twice, nothing torn."""

import contextlib
import json
import random
import signal
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import httpx
import pytest
from services.lives import CONFIG, FUNCTION, RULES, Mortal, content
from services.living import gone
from services.mortal import FIRST, POINTS
from services.ports import free_port
from services.service import hub_api
from services.workbench import wait_for

pytestmark = [pytest.mark.promise("kills of the service"), pytest.mark.timeout(900)]

FILES, EACH, MORE = 1000, 4, 20
LIVES = 5 * EACH + MORE
IN_FUNCTION, AT_RANDOM = "in the function", "at random"


@dataclass
class Death:
    """What was found when a life had ended."""

    point: str
    code: int
    running: int
    unfinished: int
    nameless: int
    files_without_runs: int
    left: list = field(repr=False)


class Storm:
    """A thousand files, and the service that is killed meanwhile."""

    def __init__(self, running):
        self.running, self.folder = running, running.folder
        self.results = self.folder / "results"
        self.names = iter([f"{number:04}" for number in range(FILES)])
        self.deaths = []
        self.heard = {}
        self.over = threading.Event()

    def ask(self, statement, *values):
        with contextlib.closing(sqlite3.connect(f"file:{self.folder}/beamhub.db?mode=ro", uri=True)) as connection:
            return connection.execute(statement, values).fetchall()

    def runs_in(self, state):
        """Where the attempts of these runs lie, and their rules."""
        try:
            return self.ask("SELECT proposal || '/' || id || '/' || attempts, rule FROM run WHERE state = ?", state)
        except sqlite3.OperationalError:  # it is made in the first life
            return []

    def drop(self, most):
        """Files arrive: some are moved into place, the others are written there."""
        for _, name in zip(range(most), self.names, strict=False):
            path = self.folder / f"raw/{('red', 'green')[int(name) % 2]}/scan{name[:2]}/{name}.raw"
            path.parent.mkdir(parents=True, exist_ok=True)
            first = path.with_suffix(".tmp") if int(name) % 4 < 2 else path
            first.write_text(content(name))
            first.rename(path)

    def kill(self, point, chance):
        """One life and its end, while 25 files arrive, most of them while it runs."""
        self.drop(8)
        before = len(self.runs_in("done"))
        life = self.running.live(point)
        arriving = iter(range(FILES // LIVES - 8))

        def works():
            """Whether it works on runs, having ended some; files come where there is nothing left to do."""
            self.drop(not self.runs_in("queued") and next(arriving, None) is not None)
            return len(self.runs_in("done")) >= before + FIRST and self.runs_in("running")

        wait_for(works, 120)
        moment = time.monotonic() + chance.uniform(0, 0.8)

        def comes():
            """Whether it is time, while files arrive, and more of them where there is nothing left to do."""
            self.drop(next(arriving, None) is not None or not self.runs_in("queued"))
            running = self.runs_in("running")
            if point == IN_FUNCTION:
                slow = [self.results / f"{run}.part" for run, rule in running if rule == "tenth"]
                return any(path.is_dir() and any(path.iterdir()) for path in slow)
            return time.monotonic() > moment and running and len(running) + len(self.runs_in("queued")) > 2

        def caught():
            """Whether it stands still in the middle of a run."""
            if not comes():
                return False
            life.suspend()
            if not comes():  # that run came to its end meanwhile
                life.resume()
                return False
            return True

        if point not in POINTS:
            wait_for(caught, 60)
            life.kill()
        else:
            wait_for(lambda: self.running.has_ended() or (comes() and False), 60)
        code = self.running.ended()
        self.deaths.append(self.found(point, code))
        self.drop(len(list(arriving)))

    def found(self, point, code):
        running = self.runs_in("running")
        named = {folder for (folder,) in self.ask("SELECT folder FROM run WHERE folder != ''")}
        finished = {str(path.relative_to(self.results)) for path in self.results.glob("*/*/*") if not path.suffix}
        alone = self.ask("SELECT count(*) FROM file WHERE id NOT IN (SELECT file FROM run WHERE rule = 'every')")
        unfinished = [run for run, _ in running if (self.results / f"{run}.part").is_dir()]
        return Death(
            point, code, len(running), len(unfinished), len(finished - named), alone[0][0], self.running.below()
        )

    def listen(self):
        """Hear what changes, as a page does: go on from the last number whenever the service is there again."""
        last, url = 0, f"http://127.0.0.1:{self.running.port}/services/beamhub/api/v1/changes"
        while not self.over.is_set():
            headers = {"Authorization": "token alice", "Last-Event-ID": str(last)}
            with contextlib.suppress(httpx.TransportError), httpx.stream("GET", url, headers=headers) as response:
                event = ""
                for line in response.iter_lines():
                    name, _, value = line.partition(": ")
                    event = value if name == "event" else event
                    last = int(value) if name == "id" else last
                    assert event != "reset", "the feed lost what it had told of"
                    if name == "data" and event == "change":
                        change = json.loads(value)
                        self.heard[change["kind"], change["id"]] = change["seq"]
            time.sleep(0.1)


@pytest.fixture(scope="module")
def storm(tmp_path_factory):
    """A thousand files and forty kills, then all is brought to its end; what there is then."""
    chance = random.Random(4)  # noqa: S311
    points = [point for point in (*POINTS, IN_FUNCTION) for _ in range(EACH)] + [AT_RANDOM] * MORE
    chance.shuffle(points)
    with hub_api() as hub_url, ThreadPoolExecutor(1) as pool:
        running = Mortal(tmp_path_factory.mktemp("storm"), hub_url, free_port(), FUNCTION, CONFIG)
        made = Storm(running)
        running.start()
        listening = pool.submit(made.listen)
        try:
            for point in points:
                made.kill(point, chance)
            life = running.live("none")
            made.drop(FILES)
            wait_for(lambda: made.ask("SELECT count(*) FROM file") == [(FILES,)], 60)
            wait_for(lambda: not made.runs_in("queued") and not made.runs_in("running"), 300)
            (head,) = made.ask("SELECT value FROM sequence")[0]
            wait_for(lambda: listening.done() or (made.heard and max(made.heard.values()) == head), 60)
            made.last = running.below()
            life.terminate()
            made.over.set()
            made.code = running.ended()
            made.strays = [process for process in running.below() if not gone(process, 10)]
        finally:
            made.over.set()
            running.stop()
        listening.result()
        yield made


@pytest.mark.parametrize("point", [*POINTS, IN_FUNCTION, AT_RANDOM])
def test_the_service_is_killed_at_each_point_with_runs_under_way_and_no_file_is_without_its_runs(storm, point):
    deaths = [death for death in storm.deaths if death.point == point]
    assert len(deaths) == (MORE if point == AT_RANDOM else EACH)
    for death in deaths:
        assert (death.code, death.files_without_runs) == (-signal.SIGKILL, 0), death
        assert death.running, death
        assert death.nameless or point != "renamed", death
        assert death.unfinished or point != IN_FUNCTION, death


def test_of_a_service_that_is_killed_no_process_stays(storm):
    for death in storm.deaths:
        assert all(gone(process) for process in death.left), death.point
    assert storm.code == 0
    assert all(gone(process) for process in storm.last)
    assert storm.strays == []


def test_every_file_has_exactly_one_published_result_for_each_rule_however_often_the_service_was_killed(storm):
    found = storm.ask("SELECT file_name, rule, state, quarantined FROM run")
    expected = {(f"{n:04}.raw", rule, "done", 0) for n in range(FILES) for rule in RULES.get(f"{n:04}"[-1], {"every"})}
    assert sorted(found) == sorted(expected)
    assert storm.ask("SELECT count(*) FROM file") == [(FILES,)]


def test_no_result_is_torn_and_every_raw_file_is_as_it_was(storm):
    rows = storm.ask("SELECT file.path, run.folder, run.output, scalars FROM run JOIN file ON file.id = run.file")
    for path, folder, output, scalars in rows:
        text = content(Path(path).stem)
        assert (storm.folder / "raw" / path).read_text() == text
        with h5py.File(storm.results / folder / output) as file:
            assert file["begin"].asstr()[()] == file["end"].asstr()[()] == text
        assert json.loads(scalars)["size"]["value"] == len(text)
    raw = [path for path in (storm.folder / "raw").rglob("*") if path.is_file()]
    assert len(raw) == FILES


def test_no_file_is_left_that_no_row_names(storm):
    named = {f"{folder}/{output}" for folder, output in storm.ask("SELECT folder, output FROM run")}
    attempts = {str(path.relative_to(storm.results)) for path in storm.results.rglob("*") if path.is_file()}
    assert attempts - named == {".beamhub", ".lock"}
    assert named <= attempts
    folders = [path for path in storm.results.rglob("*") if path.is_dir()]
    assert [path for path in folders if not any(path.iterdir())] == []
    beside = {path.name for path in storm.folder.iterdir() if not path.name.startswith("beamhub.db-")}  # of our reading
    assert beside == {
        "beamhub.db", "beamhub.db.lock", "functions", ".functions", "log", "processing.yaml", "raw", "results"
    }  # fmt: skip
    assert len(list((storm.folder / ".functions").iterdir())) == 1


def test_counters_and_feed_agree_with_the_rows_after_all_kills(storm):
    counted = storm.ask("SELECT proposal, function, rule, state, n FROM counter WHERE n != 0")
    rows = storm.ask("SELECT proposal, function, rule, state, count(*) FROM run GROUP BY 1, 2, 3, 4")
    assert sorted(counted) == sorted(rows)
    files = storm.ask("SELECT name, files FROM proposal")
    assert sorted(files) == sorted(storm.ask("SELECT proposal, count(*) FROM file GROUP BY proposal"))
    assert storm.ask("SELECT value FROM sequence") == storm.ask("SELECT max(seq) FROM run")
    numbers = storm.ask("SELECT 'run', id, seq FROM run UNION ALL SELECT 'file', id, seq FROM file")
    assert storm.heard == {(kind, number): seq for kind, number, seq in numbers}


def test_a_run_that_was_lost_with_the_service_says_so_by_its_attempts_and_by_nothing_else(storm):
    wrong = storm.ask(
        "SELECT id FROM run WHERE attempts != losses + 1 OR error_kind IS NOT NULL "
        "OR transient_failures + data_failures + resource_failures > 0"
    )
    assert wrong == []
    assert storm.ask("SELECT sum(losses) FROM run")[0][0] >= len(storm.deaths)
