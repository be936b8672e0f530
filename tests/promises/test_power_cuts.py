"""Cuts of the power at named moments, on disks that forget what was not brought to them: what counts is there."""

import contextlib
import itertools
import json
import random
import signal
import sqlite3
import time
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import pytest
from services.lives import CONFIG, FUNCTION, RULES, Mortal, content
from services.living import gone
from services.mortal import CUT, FIRST
from services.ports import free_port
from services.power import Disk, bring_to_disk, cut
from services.service import hub_api
from services.workbench import wait_for

from beamhub.processing.digest import digest_of_copy

pytestmark = [pytest.mark.promise("power, disks, clocks"), pytest.mark.timeout(300), pytest.mark.root]
AT_RANDOM, ANSWERED = "in a burst of files", "event answered"
POINTS = ("brought to disk", "renamed", "result committed", ANSWERED, AT_RANDOM)
POSTED = """
sources:
  watched: {kind: filesystem, storage: beamline, settle: 0.2s}
  posted: {kind: http, senders: {detector: {storages: [told]}}}
storages:
  beamline: {root: raw, layout: "{proposal}/{scan}"}
  told: {root: told, layout: "{proposal}/{scan}"}
"""
EVERY = '  told: {when: {storage: told, path: "*/*/*.raw"}, function: copy}\n'


def settings() -> str:
    """As for the kills, and a storage whose files are told of by CloudEvents."""
    other = ("storages:", "sources:", "  watched:", "  posted:")
    kept = [line for line in CONFIG.splitlines() if not line.startswith(other)]
    return "\n".join(kept) + "\n" + EVERY + POSTED


@dataclass
class Cut:
    """What was found on the disks when they were mounted again."""

    point: str
    code: int
    running: int
    unsynced: list[str]
    lost: set[str]
    nameless: int
    torn: list[str]
    unknown: set[str]
    mark: str
    integrity: str
    left: list = field(repr=False)


class Outage:
    """A service whose folder is one disk and whose results are another one."""

    def __init__(self, base: Path, hub_url: str) -> None:
        self.disk, self.folder = Disk(base / "disk.image", base / "service"), base / "service"
        self.results_disk = Disk(base / "results.image", self.folder / "results")
        self.running = Mortal(self.folder, hub_url, free_port(), FUNCTION, settings())
        (self.folder / "told").mkdir()
        bring_to_disk(self.folder / "functions/sizes.py")
        bring_to_disk(self.folder / "processing.yaml")
        (self.folder / "unsynced").mkdir()
        self.numbers = itertools.count()
        self.unsynced: list[Path] = []
        self.scribbled = 0.0
        self.names: list[str] = []
        self.answered: list[str] = []
        self.cuts: list[Cut] = []
        self.chance = random.Random(7)  # noqa: S311

    def ask(self, statement, *values):
        with contextlib.closing(sqlite3.connect(f"file:{self.folder}/beamhub.db?mode=ro", uri=True)) as connection:
            return connection.execute(statement, values).fetchall()

    def number(self, state):
        try:
            return self.ask("SELECT count(*) FROM run WHERE state = ?", (state))[0][0]
        except sqlite3.OperationalError:  # it is made in the first life
            return 0

    def known(self):
        return {Path(path).name for (path,) in self.ask("SELECT path FROM file")}

    def write(self, storage, name):
        path = self.folder / storage / f"{('red', 'green')[len(name) % 2]}/scan{name[:2]}/{name}.raw"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content(name))
        bring_to_disk(path)
        return path

    def drop(self, number):
        """Files arrive, each brought to disk by who writes it; until the power is cut."""
        with contextlib.suppress(OSError):
            for _ in range(number):
                name = f"{next(self.numbers):04}"
                self.write("raw", name)
                self.names.append(name)

    def scribble(self):
        """Two files are written that nobody brings to disk; false."""
        if time.monotonic() > self.scribbled + 0.5:
            self.scribbled = time.monotonic()
            with contextlib.suppress(OSError):
                for folder in (self.folder / "unsynced", self.folder / "results"):
                    path = folder / f"unsynced{next(self.numbers)}"
                    path.write_text("not brought to disk")
                    self.unsynced.append(path)
        return False

    def post(self):
        """A file is told of; whether that was answered."""
        name = f"t{next(self.numbers):04}"
        try:
            subject = str(self.write("told", name).relative_to(self.folder / "told"))
        except OSError:
            return False
        event = {
            "specversion": "1.0", "id": name, "source": "/detector", "type": "org.beamhub.file.closed",
            "subject": subject, "data": {"storage": "told"},
        }  # fmt: skip
        headers = {"Content-Type": "application/cloudevents+json"}
        told = self.running.ask("events", "detector", "POST", content=json.dumps(event), headers=headers)
        if told.status_code == 200:
            self.answered.append(subject)
        return told.status_code == 200

    def live(self, point):
        """One life, while files arrive, and its end at a point."""
        self.running.start()
        self.drop(6)
        before = self.number("done")
        life = self.running.live(CUT + point)
        over = self.running.has_ended
        wait_for(lambda: self.scribble() or over() or (self.number("done") >= before + FIRST and self.busy()), 60)
        self.end(point, life)
        code, left = self.running.ended(), self.running.below()
        assert all(gone(process, 10) for process in left)
        self.running.stop()
        self.results_disk.unmount()
        self.disk.unmount()
        self.disk.mount()
        self.results_disk.mount()
        self.cuts.append(self.found(point, code, left))

    def busy(self):
        """Whether a run is under way; else files come."""
        if self.number("queued") < 4:
            self.drop(4)
        return self.number("running")

    def end(self, point, life):
        """Files go on to arrive until the power is cut."""
        if point == AT_RANDOM:
            self.drop(self.chance.randrange(20, 30))
            self.post()
            self.off(life)
        elif point == ANSWERED:
            wait_for(self.post, 10)
            self.drop(8)
            wait_for(self.busy, 10)
            self.off(life)
        else:
            wait_for(
                lambda: self.scribble() or self.running.has_ended() or ((self.drop(1) or self.post()) and False), 60
            )

    def off(self, life):
        cut(self.folder / "results", self.folder)
        life.kill()

    def whole(self, path, *where):
        """Whether a result is there with all of what was measured in it: nothing if the cut came while it was."""
        name = Path(path).stem
        try:
            with h5py.File(self.folder.joinpath("results", *where)) as file:
                begin, end = file["begin"].asstr()[()], file["end"].asstr()[()]
        except (OSError, KeyError):
            return False
        return begin == end and (begin == content(name) or (begin == "" and name not in self.names))

    def raw_is_whole(self, name):
        (path,) = (self.folder / "raw").glob(f"*/*/{name}.raw")
        return path.read_text() == content(name)

    def found(self, point, code, left):
        rows = self.ask("SELECT path, folder, output FROM run JOIN file ON file.id = run.file WHERE state = 'done'")
        named = {folder for _, folder, _ in rows}
        results = self.folder / "results"
        return Cut(
            point, code, self.number("running"),
            [path.read_text() if path.exists() else "" for path in self.unsynced[-2:]],
            {name for name in self.names if not self.raw_is_whole(name)},
            len([path for path in results.glob("*/*/*") if str(path.relative_to(results)) not in named]),
            [str(path) for path, *where in rows if not self.whole(path, *where)],
            set(self.answered) - {path for (path,) in self.ask("SELECT path FROM file WHERE storage = 'told'")},
            (results / ".beamhub").read_text().strip(),
            self.ask("PRAGMA integrity_check")[0][0],
            left,
        )  # fmt: skip


@pytest.fixture(scope="module")
def outage(tmp_path_factory):
    """A cut at each point, then all is brought to its end."""
    with hub_api() as hub_url:
        made = Outage(tmp_path_factory.mktemp("outage"), hub_url)
        try:
            for point in POINTS:
                made.live(point)
            made.running.start()
            life = made.running.live("none")
            wait_for(lambda: made.known() >= {f"{name}.raw" for name in made.names}, 60)
            wait_for(lambda: not made.number("queued") and not made.number("running"), 120)
            life.terminate()
            made.code = made.running.ended()
            yield made
        finally:
            made.running.stop()
            made.results_disk.unmount()
            made.disk.unmount()


@pytest.mark.parametrize("point", POINTS)
def test_the_power_is_cut_and_what_was_not_brought_to_disk_is_gone(outage, point):
    """The control: the disks forget, else nothing here proves anything."""
    (found,) = [one for one in outage.cuts if one.point == point]
    assert found.code == -signal.SIGKILL
    assert found.running
    assert (found.unsynced, found.lost) == (["", ""], set())


@pytest.mark.parametrize("point", POINTS)
def test_after_a_power_cut_every_row_names_a_whole_result_and_every_answered_event_is_known(outage, point):
    (found,) = [one for one in outage.cuts if one.point == point]
    assert (found.torn, found.unknown, found.integrity) == ([], set(), "ok")
    assert found.mark == outage.ask("SELECT name FROM identity")[0][0]
    assert found.nameless or point not in ("brought to disk", "renamed")


def test_after_all_power_cuts_every_file_has_one_whole_result_of_each_rule_and_no_other_is_left(outage):
    rows = outage.ask("SELECT file.path, rule, state, folder, output FROM run JOIN file ON file.id = run.file")
    expected = {(f"{name}.raw", rule) for name in outage.names for rule in RULES.get(name[-1], {"every"})}
    expected |= {(Path(path).name, "told") for path in outage.answered}
    found = [(Path(path).name, rule) for path, rule, *_ in rows]
    assert sorted(pair for pair in found if pair in expected) == sorted(expected)
    results = outage.folder / "results"
    assert [path for path, _, state, *_ in rows if state != "done"] == []
    assert [path for path, _, _, *where in rows if not outage.whole(path, *where)] == []
    named = {folder for *_, folder, _ in rows}
    assert {str(path.relative_to(results)) for path in results.glob("*/*/*")} == named


def test_after_all_power_cuts_counters_feed_and_copies_of_functions_are_right(outage):
    counted = outage.ask("SELECT proposal, function, rule, state, n FROM counter WHERE n != 0")
    assert sorted(counted) == sorted(
        outage.ask("SELECT proposal, function, rule, state, count(*) FROM run GROUP BY 1, 2, 3, 4")
    )
    newest = "SELECT max(seq) FROM (SELECT seq FROM run UNION ALL SELECT seq FROM file)"
    assert outage.ask("SELECT value FROM sequence") == outage.ask(newest)
    copies = list((outage.folder / ".functions").iterdir())
    assert [copy.name for copy in copies] == [digest_of_copy(copy) for copy in copies]
    assert outage.code == 0
