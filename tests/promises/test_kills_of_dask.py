"""SIGKILL of Dask's scheduler, of its workers, of what runs below them: nothing lost, nothing twice, no orphan."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys

import httpx
import psutil
import pytest
from distributed.security import Security
from services.living import family, gone, with_words
from services.ports import free_port
from services.service import Running, config, hub_api
from services.workbench import wait_for

pytestmark = pytest.mark.promise("kills of the service")
FUNCTION = """
import os
import subprocess
import time
from pathlib import Path
import h5py
from beamhub.processing.functions import Summary, function

@function(title="Size", version="1", timeout="60s", memory="1G")
def size(raw: Path, out: Path) -> Summary:
    with h5py.File(out, "w") as file:
        file["size"] = raw.stat().st_size
    return Summary()

@function(title="Held", version="1", timeout="110s", memory="1G")
def held(raw: Path, out: Path) -> Summary:
    helper = subprocess.Popen(["sleep", "4321"], start_new_session=True)
    Path("pids.new").write_text(f"{os.getpid()} {helper.pid}")
    Path("pids.new").rename("pids")
    while not raw.with_suffix(".tmp").exists():
        time.sleep(0.02)
    return size(raw, out)
"""
RULES = """
  size: {when: {storage: beamline, path: "*/*/*.raw"}, function: size}
  held: {when: {storage: beamline, path: "*/*/*.held"}, function: held}
"""


class Beamline(Running):
    """The service, and what can be seen of what it runs."""

    def begin(self):
        self.start()
        wait_for(self.up, 60)

    def named(self, *names):
        return {run["file"]["name"]: run for run in self.runs(limit=200) if run["file"]["name"] in names}

    def become(self, state, *names):
        """Wait until the runs of these files are all in this state."""
        wait_for(lambda: [r["state"] for r in self.named(*names).values()] == [state] * len(names), 60)
        return self.named(*names)

    def hold(self, name):
        """A run that is under way until its file is let go: its process, the program it started, and its run."""
        self.drop(f"{name}.held")
        wait_for(lambda: self.at_work(name), 60)
        return self.at_work(name)

    def at_work(self, name):
        for run in self.named(f"{name}.held").values():
            found = self.folder / f"results/red/{run['id']}/{run['attempts']}.part/pids"
            with contextlib.suppress(FileNotFoundError):
                return [psutil.Process(int(pid)) for pid in found.read_text().split()]
        return None

    def let_go(self, name):
        (self.folder / f"raw/red/scan1/{name}.tmp").touch()

    def failures(self, name):
        """Attempts, and failures by class."""
        with contextlib.closing(sqlite3.connect(f"file:{self.folder}/beamhub.db?mode=ro", uri=True)) as connection:
            return connection.execute(
                "SELECT attempts, transient_failures, data_failures, resource_failures, losses FROM run "
                "WHERE file_name = ?", (name,)
            ).fetchall()  # fmt: skip

    def published(self, run):
        """What lies in the folder of a run."""
        return sorted(str(p.relative_to(self.folder / "results")) for p in self.folder.glob(f"results/*/{run['id']}/*"))


@contextlib.contextmanager
def beamline(folder, executor):
    with hub_api() as hub_url:
        made = Beamline(folder, hub_url, free_port(), FUNCTION, config(RULES, executor))
        try:
            yield made
        finally:
            made.stop()


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A service with workers of its own."""
    with beamline(tmp_path_factory.mktemp("here"), "{kind: dask, workers: 2}") as made:
        made.begin()
        yield made


def done_once(made, *names):
    """All of them become done, and each has the one folder of its last attempt."""
    for run in made.become("done", *names).values():
        assert made.published(run) == [f"red/{run['id']}/{run['attempts']}"]


def test_a_run_whose_worker_is_killed_is_handed_out_again_and_becomes_done_once(here):
    function, program = here.hold("worker")
    guardian = function.parent()
    guardian.parent().kill()
    assert all(gone(process, 10) for process in (function, program, guardian))
    here.drop("meanwhile.raw")
    here.let_go("worker")
    done_once(here, "worker.held", "meanwhile.raw")
    assert here.failures("worker.held") == [(2, 1, 0, 0, 0)]


def test_runs_go_on_when_all_workers_are_killed_at_once_and_again_while_they_start(here):
    names = [f"all-{number}" for number in range(4)]
    here.hold(names[0])
    for name in names[1:]:
        here.drop(f"{name}.held")
    service, killed = psutil.Process(here.copies[-1].pid), set()
    for _ in range(2):
        workers = wait_for_workers(service, killed)
        killed |= set(workers)
        for worker in workers:
            worker.kill()
    for name in names:
        here.let_go(name)
    done_once(here, *(f"{name}.held" for name in names))


def wait_for_workers(service, but):
    """The processes of both workers, the youngest ones still importing."""

    def workers():
        return [child for child in with_words(service.children(), "spawn_main") if child not in but]

    wait_for(lambda: len(workers()) >= 2, 60)
    return workers()


@pytest.mark.parametrize("victim", ["function", "guardian"])
def test_a_run_whose_process_is_killed_fails_for_want_of_resources_and_nothing_of_it_stays(here, victim):
    """It may be what ended it: that is told, and it is not tried again by itself."""
    function, program = here.hold(f"killed-{victim}")
    guardian = function.parent()
    (function if victim == "function" else guardian).kill()
    here.drop(f"after-{victim}.raw")
    (run,) = here.become("failed", f"killed-{victim}.held").values()
    assert (run["error"]["kind"], run["error"]["type"]) == ("resource", "ProcessDied")
    assert "SIGKILL" in run["error"]["message"]
    assert here.failures(f"killed-{victim}.held") == [(1, 0, 0, 1, 0)]
    assert all(gone(process, 10) for process in (function, program, guardian))
    assert here.published(run) == []
    done_once(here, f"after-{victim}.raw")


@pytest.mark.parametrize("victim", ["function", "guardian"])
def test_a_warm_process_that_is_killed_while_it_has_nothing_to_do_costs_no_run_anything(here, victim):
    function, program = here.hold(f"warm-{victim}")
    guardian = function.parent()
    here.let_go(f"warm-{victim}")
    done_once(here, f"warm-{victim}.held")
    if victim == "function":
        guardian.suspend()  # it has not noticed yet when the next run comes
    killed = function if victim == "function" else guardian
    killed.kill()
    assert gone(killed, 10)
    names = [f"next-{victim}-{number}.raw" for number in range(6)]
    for name in names:
        here.drop(name)
    done_once(here, *names)
    assert [here.failures(name) for name in names] == [[(1, 0, 0, 0, 0)]] * 6
    assert all(gone(process, 10) for process in (function, program, guardian))


def test_while_workers_are_killed_the_page_hears_of_every_step_of_a_run(here):
    function, _ = here.hold("heard")
    (run,) = here.named("heard.held").values()
    states = []
    url = f"http://127.0.0.1:{here.port}/services/beamhub/api/v1/changes"
    with httpx.stream("GET", url, headers={"Authorization": "token alice"}, timeout=60) as response:
        lines = response.iter_lines()
        next(lines)
        function.parent().parent().kill()
        here.let_go("heard")
        for line in lines:
            if line.startswith("data") and f'"id": {run["id"]}}}' in line and '"run"' in line:
                now = here.named("heard.held")["heard.held"]
                states.append((now["state"], (now["error"] or {}).get("message", "")))
                if now["state"] == "done":
                    break
    assert states[0][0] == "queued"
    assert "its worker was lost" in states[0][1]
    assert states[-1] == ("done", "")


class Cluster:
    """A scheduler and a worker that are started by somebody else, at an address, with TLS."""

    def __init__(self, folder):
        self.folder, self.port, self.processes = folder, free_port(), []
        temporary = Security.temporary()
        options = {"ca_file": temporary.tls_ca_file, "cert": temporary.tls_client_cert, "key": temporary.tls_client_key}
        for name, text in options.items():
            (folder / f"{name}.pem").write_text(text)
        self.files = {name: str(folder / f"{name}.pem") for name in options}
        names = {"CA_FILE": "ca_file", "CLIENT__CERT": "cert", "CLIENT__KEY": "key"}
        self.environment = {f"DASK_DISTRIBUTED__COMM__TLS__{n}": self.files[file] for n, file in names.items()}

    def start(self):
        """Both, as after a restart of their machine."""
        address, tls = f"tls://127.0.0.1:{self.port}", []
        for name, path in self.files.items():
            tls += [f"--tls-{name.replace('_', '-')}", path]
        here = ["--host", "127.0.0.1", "--no-dashboard", *tls]
        self.processes = [
            self._start("scheduler", "--port", str(self.port), "--protocol", "tls", *here),
            self._start("worker", address, "--nthreads", "1", "--no-nanny", "--protocol", "tls", *here),
        ]

    def _start(self, *words):
        command = [sys.executable, "-m", "dask", *words]
        environment = os.environ | {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}
        with (self.folder / "dask.log").open("a") as log:
            return subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log, env=environment)

    def end(self, number=signal.SIGTERM):
        """The scheduler is ended; its worker follows."""
        below = [each for process in self.processes if process.poll() is None for each in family(process.pid)]
        self.processes[0].send_signal(number)
        for process in self.processes:
            process.wait(60)
        return below


@pytest.fixture
def there(tmp_path):
    """A service whose functions run at an address."""
    for name in ("service", "dask"):
        (tmp_path / name).mkdir()
    cluster = Cluster(tmp_path / "dask")
    address = f"tls://127.0.0.1:{cluster.port}"
    with beamline(tmp_path / "service", f'{{kind: dask, workers: 1, address: "{address}"}}') as made:
        made.environment |= cluster.environment
        cluster.start()
        made.begin()
        yield made, cluster
        cluster.end()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_runs_wait_for_a_scheduler_that_is_killed_and_go_on_when_it_is_there_again(there, number):
    made, cluster = there
    function, program = made.hold("scheduler")
    below = cluster.end(number)
    assert all(gone(process, 10) for process in (function, program, *below))
    made.let_go("scheduler")
    names = [f"away-{number}.raw" for number in range(4)]
    for name in names:
        made.drop(name)
    wait_for(lambda: made.logged("waits for Dask's scheduler"), 60)
    assert {run["state"] for run in made.named("scheduler.held", *names).values()} <= {"queued", "running"}
    wait_for(lambda: made.failures("scheduler.held")[0][1] == 1, 60)  # transient
    cluster.start()
    done_once(made, "scheduler.held", *names)
    assert made.failures("scheduler.held") == [(2, 1, 0, 0, 0)]
