"""The computer's clock jumps an hour, forth and back, while runs are queued, running and waiting to be tried again."""

import time

import pytest
from services.clock import Clock
from services.hub import RunningHub
from services.living import family, with_words
from services.service import config, hub_api, processing
from services.workbench import wait_for

from beamhub.spawner.sites.local import LocalSite

pytestmark = [pytest.mark.promise("power, disks, clocks"), pytest.mark.timeout(300), pytest.mark.compiler]
FUNCTION = """
import os
import time
from pathlib import Path
import h5py
from beamhub.processing.functions import Scalar, Summary, function

@function(title="Slow", version="1", timeout="30s", memory="1G")
def slow(raw: Path, out: Path, wait: float = 0.3) -> Summary:
    with h5py.File(out, "w") as file:
        file["size"] = raw.stat().st_size
    time.sleep(wait)
    return Summary(scalars={"size": Scalar(value=raw.stat().st_size, unit="B")})

@function(title="Flaky", version="1", timeout="30s", memory="1G")
def flaky(raw: Path, out: Path) -> Summary:
    time.sleep(0.2)
    seen = raw.parent.parent.parent.parent / "seen"
    seen.mkdir(exist_ok=True)
    times = len(list(seen.glob(f"{raw.name}.*")))
    (seen / f"{raw.name}.{times}").touch()
    if times < 1:
        raise ConnectionError("not yet")
    with h5py.File(out, "w") as file:
        file["size"] = raw.stat().st_size
    return Summary(scalars={"now": Scalar(value=time.time(), unit="s")})
"""
CONFIG = config(
    """
  slow: {when: {storage: beamline, path: "*/*/*.raw"}, function: slow}
  flaky: {when: {storage: beamline, path: "*/*/flaky*.raw"}, function: flaky}
""",
    executor="{kind: dask, workers: 1}",
)
HOUR = 3600


class Jumping:
    """A service whose clock jumps."""

    def __init__(self, service, clock):
        self.service, self.clock, self.names = service, clock, []

    def runs(self, state):
        return self.service.runs(state=state, limit=500)

    def drop(self, kind, number):
        names = [f"{kind}{at}-{number}.raw" for at in range(number)]
        self.names += names
        for name in names:
            self.service.drop(name)

    def busy(self):
        """Whether there are runs that wait to be tried again, others in the queue, and one that runs."""
        waiting = [run for run in self.runs("queued") if run["next_try"]]
        return len(waiting) >= 2 and len(waiting) < len(self.runs("queued")) and self.runs("running")

    def all_are_done(self):
        def names():
            return {run["file"]["name"] for run in self.runs("done") if run["rule"] == "slow"}

        wait_for(lambda: names() >= set(self.names), 60)
        wait_for(lambda: not self.runs("queued") and not self.runs("running"), 60)
        assert {run["state"] for run in self.service.runs(limit=500)} == {"done"}

    def workers(self):
        return with_words(family(self.service.copies[-1].pid), "spawn_main")


@pytest.fixture(scope="module")
def jumping(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clock")
    with hub_api() as hub_url, processing(folder / "service", hub_url, CONFIG, FUNCTION) as service:
        clock = Clock(folder)
        service.environment |= clock.environment
        service.start()
        wait_for(lambda: service.logged("functions can run"), 60)
        yield Jumping(service, clock)
        service.stop()


@pytest.mark.parametrize(("to_s", "number"), [(HOUR, 5), (-HOUR, 6)], ids=["forth", "back"])
def test_when_the_clock_jumps_an_hour_every_file_has_its_result_within_seconds(jumping, to_s, number):
    jumping.drop("plain", number)
    jumping.drop("flaky", number)
    wait_for(jumping.busy, 60)
    begun = {run["id"] for run in jumping.runs("running")}
    jumping.clock.jump(to_s)
    jumping.drop("late", 2 + number)
    jumping.all_are_done()
    assert [run["id"] for run in jumping.runs("done") if run["id"] in begun and run["finished"] < run["started"]] == []


def test_a_worker_that_is_lost_after_the_clock_was_set_back_is_replaced(jumping):
    for worker in jumping.workers():
        worker.kill()
    jumping.drop("after", 2)
    jumping.all_are_done()


def test_after_all_jumps_nothing_was_done_twice_and_no_retry_is_lost(jumping):
    runs = jumping.service.runs(limit=500)
    assert sorted(run["file"]["name"] for run in runs if run["rule"] == "slow") == sorted(jumping.names)
    flaky = {run["file"]["name"]: run["attempts"] for run in runs if run["rule"] == "flaky"}
    assert flaky == {name: 2 for name in jumping.names if name.startswith("flaky")}


@pytest.mark.hub
def test_a_server_on_this_computer_keeps_the_time_it_has_left_when_the_clock_jumps(tmp_path, monkeypatch):
    clock = Clock(tmp_path)
    for name, value in clock.environment.items():
        monkeypatch.setenv(name, value)
    with RunningHub(tmp_path) as running:
        running.start_server("ada", options={"profile": "small"})  # for an hour
        pid = running.server("ada")["state"]["start"]["child"]["process"]["pid"]
        clock.jump(2 * HOUR)
        time.sleep(3 * LocalSite.interval)
        assert running.server("ada")["ready"]
        assert running.server("ada")["state"]["start"]["child"]["process"]["pid"] == pid
        clock.jump(-2 * HOUR)
        assert running.as_user("ada").get("user/ada/api").json()["pid"] == pid
        running.stop_server("ada")
