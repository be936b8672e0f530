"""The service as a process, with a Hub that answers for one token."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from http.server import ThreadingHTTPServer

import psutil
import pytest
from services.living import family, gone
from services.service import CONFIG, HubApi, hub_api, processing
from services.workbench import wait_for

pytestmark = pytest.mark.timeout(240)
UP_WITHIN_S = 60  # for a service and its parent to be imported and started on a busy machine


@pytest.fixture(scope="module")
def hub_url():
    with hub_api() as url:
        yield url


@pytest.fixture
def running(tmp_path, hub_url):
    with processing(tmp_path / "service", hub_url) as made:
        yield made


def test_a_file_becomes_a_result_that_its_proposal_can_read_and_nothing_is_left_when_it_ends(running):
    running.start()
    wait_for(running.up, UP_WITHIN_S)
    running.drop("a.raw")
    (run,) = running.done(1)
    assert (run["function"], run["scalars"]["size"]["value"]) == ("count", 5.0)
    assert running.ask(f"results/{run['id']}/file").content[:4] == b"\x89HDF"
    assert running.ask("runs", "bob").json()["items"] == []
    assert running.ask("runs", "unknown").status_code == 401
    follows_its_settings(running)
    running.stop()
    assert {"time", "level", "logger", "message"} <= set(running.log()[0])


def follows_its_settings(running):
    config = running.folder / "processing.yaml"
    config.write_text(CONFIG.replace("rules:", "rulse:"))
    wait_for(lambda: running.logged("stays in force"))
    running.drop("still.raw")
    running.done(2)
    config.write_text(CONFIG.replace('"*/*/*.raw"', '"*/*/*.dat"').replace("settle: 0.2s", "settle: 0.3s"))
    wait_for(lambda: running.logged("is in force"))
    running.drop("other.raw")
    running.drop("other.dat")
    assert {run["file"]["name"] for run in running.done(3)} == {"a.raw", "still.raw", "other.dat"}


@pytest.mark.promise("kills of the service")
def test_a_killed_service_is_back_within_a_second_and_loses_nothing(running):
    running.start("--supervise")
    wait_for(running.up, UP_WITHIN_S)
    running.drop("first.raw")
    running.done(1)
    (slow,) = running.ask("runs", method="POST", json={"ids": [1], "parameters": {"wait": 3}}).json()["items"]
    wait_for(lambda: running.runs(ids=slow["id"])[0]["state"] == "running")
    before = running.service()
    left = family(before.pid)
    before.kill()
    killed = time.monotonic()
    running.drop("meanwhile.raw")
    after = wait_for_new(running, before)
    assert time.monotonic() - killed < 1.0
    assert all(gone(process, 5) for process in left)
    runs = running.done(3)
    assert {run["file"]["name"] for run in runs} == {"first.raw", "meanwhile.raw"}
    assert {run["id"]: run["attempts"] for run in runs}[slow["id"]] == 2
    assert len(running.runs()) == 3
    os.kill(running.copies[-1].pid, signal.SIGKILL)
    assert gone(after, 15)


def wait_for_new(running, before):
    wait_for(lambda: (now := running.service()) is not None and now.pid != before.pid)
    return running.service()


@pytest.mark.promise("kills of the service")
def test_a_second_copy_waits_and_takes_over(running):
    first = running.start()
    wait_for(running.up, UP_WITHIN_S)
    running.start()
    wait_for(lambda: running.logged("waiting for it to end"), UP_WITHIN_S)
    assert running.copies[1].poll() is None
    first.terminate()
    first.wait(20)
    wait_for(running.up, UP_WITHIN_S)


def test_a_wrong_configuration_is_told_whole_and_not_tried_again(running):
    (running.folder / "processing.yaml").write_text(CONFIG.replace("beamline, path", "nothing, path") + "typo: 1\n")
    copy = running.start("--supervise")
    assert copy.wait(UP_WITHIN_S) == 2
    assert running.logged("unknown key 'typo'")


def test_an_address_that_is_taken_is_said_in_one_line(running):
    other = ThreadingHTTPServer(("127.0.0.1", running.port), HubApi)
    copy = running.start()
    assert copy.wait(UP_WITHIN_S) == 1
    other.server_close()
    (line,) = [line for line in running.log() if line["level"] == "error"]
    assert "the service cannot start" in line["message"]
    assert "error" not in line


def test_a_service_that_cannot_start_is_tried_again_until_the_supervising_parent_is_told_to_end(running):
    other = ThreadingHTTPServer(("127.0.0.1", running.port), HubApi)
    copy = running.start("--supervise")
    wait_for(lambda: running.logged("starting it again in 1 s"), 3 * UP_WITHIN_S)
    copy.terminate()
    assert copy.wait(15) == 0
    other.server_close()


def test_a_store_of_another_version_is_said(running):
    with contextlib.closing(sqlite3.connect(running.folder / "beamhub.db")) as connection:
        connection.executescript(
            "CREATE TABLE alembic_version (version_num TEXT); INSERT INTO alembic_version VALUES ('x')"
        )
    assert running.start("--supervise").wait(UP_WITHIN_S) == 2
    assert running.logged("another version of BeamHub")


def test_another_stores_results_are_neither_used_nor_removed(running):
    output = running.folder / "results/red/7/1/out.h5"
    output.parent.mkdir(parents=True)
    output.write_bytes(b"measured")
    assert running.start("--supervise").wait(UP_WITHIN_S) == 2
    assert running.logged("holds results that this store knows nothing of")
    assert output.read_bytes() == b"measured"


def test_of_the_service_and_its_parent_other_programs_of_its_account_can_read_nothing(running):
    """Nor have the processes below it what the Hub gave it."""
    copy = running.start("--supervise")
    wait_for(running.up, UP_WITHIN_S)
    running.drop("a.raw")
    running.done(1)
    service = running.service()
    for process in (copy, service):
        for name in ("environ", "mem", "maps"):  # what is not dumpable is root's
            assert os.stat(f"/proc/{process.pid}/{name}").st_uid == 0
            assert os.stat(f"/proc/{process.pid}/{name}").st_mode & 0o077 in (0, 0o044)
    for process in psutil.Process(service.pid).children(recursive=True):
        assert "of the service" not in process.environ().values(), process.cmdline()


def test_a_thread_that_hangs_does_not_keep_the_service_from_ending(running):
    copy = running.start("--supervise")
    wait_for(running.up, UP_WITHIN_S)
    path, writers = running.folder / "processing.yaml", []
    path.unlink()
    os.mkfifo(path)

    def is_read():
        """Whether a thread reads there, which it does until the end of time."""
        with contextlib.suppress(OSError):  # nobody does yet
            writers.append(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
        return writers

    wait_for(is_read)
    copy.terminate()
    assert copy.wait(18) == 1
    assert running.logged("did not come to an end within 10 s")
    os.close(*writers)


@pytest.mark.promise("kills of the service")
def test_a_service_that_is_stopped_is_killed_by_its_parent_in_the_end(running):
    copy = running.start("--supervise")
    wait_for(running.up, UP_WITHIN_S)
    service = running.service()
    service.suspend()
    copy.terminate()
    copy.wait(30)
    assert gone(service)
    assert running.logged("is killed")


def test_without_a_hub_it_says_how_it_is_started(tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JUPYTERHUB")}
    command = [sys.executable, "-m", "beamhub.config.command", "processing"]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, "c.JupyterHub.services" in ended.stderr) == (2, True)
