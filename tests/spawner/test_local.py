# ruff: noqa: ASYNC220, S104 - short programs, and addresses that are refused
import asyncio
import contextlib
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import IO
from urllib.parse import urlsplit

import psutil
import pytest
from services.hub import LOCAL, STUB, RunningHub, wait_for
from services.living import lives
from services.ports import free_port
from traitlets.config import Config

from beamhub.spawner import moments
from beamhub.spawner.errors import CannotLaunch
from beamhub.spawner.sites import courier, listeners, processes
from beamhub.spawner.sites.accounts import shared_account, unix_account
from beamhub.spawner.sites.local import LocalConfig, LocalSite, Watched
from beamhub.spawner.sites.site import HubSettings, Truth

SLEEP = ["sleep", "60"]
STRANGER = 65534  # an account that no server of these tests runs as
TAKES = """
import socket, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Taker(HTTPServer):
    address_family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        print(flush=True)
with Taker((sys.argv[1], int(sys.argv[2])), Answer) as taker:
    print(flush=True)
    taker.serve_forever()
"""
LAST_THREAD = """
import ctypes, threading, time
threading.Thread(target=time.sleep, args=(60,)).start()
ctypes.CDLL(None).pthread_exit(None)
"""
needs_root = pytest.mark.root


@contextlib.contextmanager
def taken(port: int, address: str = "127.0.0.1", uid: int = STRANGER) -> Iterator[IO[bytes]]:
    """An account speaks HTTP at a port, which it asks for with SO_REUSEADDR; each time it was asked gives a line."""
    command = ["/usr/bin/python3", "-c", TAKES, address, str(port)]
    with subprocess.Popen(command, user=uid, cwd="/", stdout=-1, stderr=subprocess.DEVNULL) as taker:
        try:
            assert taker.stdout.readline() == b"\n"
            yield taker.stdout
        finally:
            taker.kill()


# Processes


def test_a_process_is_known_by_its_start_not_only_by_its_number():
    with subprocess.Popen(SLEEP) as popen:
        process = processes.identify(popen.pid)
        assert process.alive
        assert not processes.Process(process.pid, process.started + 1, process.boot).alive
        assert not processes.Process(process.pid, process.started, "another boot").alive
        processes.Process(process.pid, process.started + 1, process.boot).signal(9)
        assert process.alive
        process.signal(9)
    assert not process.alive


def test_a_process_that_ended_and_was_not_asked_for_is_not_alive():
    popen = subprocess.Popen(["true"])
    process = processes.identify(popen.pid)
    wait_for(lambda: psutil.Process(popen.pid).status() == psutil.STATUS_ZOMBIE)
    assert not process.alive
    popen.wait()


def test_processes_of_a_job_are_found_by_their_mark_the_oldest_first():
    job = f"bh-{secrets.token_hex(4)}-1-{secrets.token_hex(5)}"
    started = []
    for _ in range(2):
        started.append(subprocess.Popen(SLEEP, env={"BEAMHUB_JOB": job}))
        time.sleep(0.03)
    try:
        found = processes.of_jobs(job.rpartition("-")[0])
        assert [one.pid for one in found[job]] == [one.pid for one in started]
        assert processes.owner(found[job][0]) == os.geteuid()
    finally:
        for popen in started:
            popen.kill()
            popen.wait()


@needs_root
def test_of_a_mark_that_two_carry_one_owners_processes_can_be_ended(tmp_path):
    here = site(tmp_path)
    mark = f"{here.prefix}1-aaaaaaaaaa"
    started = [subprocess.Popen(SLEEP, env={"BEAMHUB_JOB": mark}, user=user, cwd="/") for user in (0, STRANGER)]
    try:
        stranger = pwd.getpwuid(STRANGER).pw_name
        wait_for(lambda: asyncio.run(here.about(mark)).keys() == {"root", stranger})
        assert asyncio.run(here.remove(mark, "root"))
        assert (started[0].wait(10), started[1].poll()) == (-signal.SIGKILL, None)
        assert asyncio.run(here.about(mark)).keys() == {stranger}
    finally:
        for popen in started:
            popen.kill()
            popen.wait()


# The courier


def test_files_are_private_and_new(tmp_path):
    courier.deliver(str(tmp_path / "a/job"), {"token": "x"})
    assert (tmp_path / "a/job/token").read_text() == "x"
    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "a", tmp_path / "a/job", tmp_path / "a/job/token")] == [
        0o700, 0o700, 0o600,
    ]  # fmt: skip
    with pytest.raises(FileExistsError):
        courier.deliver(str(tmp_path / "a/job"), {"token": "y"})
    assert (tmp_path / "a/job/token").read_text() == "x"


def test_a_link_in_the_place_of_a_job_is_not_followed(tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "job").symlink_to("other")
    with pytest.raises(FileExistsError):
        courier.deliver(str(tmp_path / "job"), {"token": "x"})
    courier.remove(str(tmp_path / "job"))
    assert list((tmp_path / "other").iterdir()) == []
    (tmp_path / "other/server.log").symlink_to("/etc/passwd")
    with pytest.raises(OSError, match="symbolic"):
        courier.last_lines(str(tmp_path / "other"), 5)


def test_the_end_of_the_log_is_read_and_stays_when_the_rest_goes(tmp_path):
    courier.deliver(str(tmp_path / "job"), {"token": "x"})
    assert courier.last_lines(str(tmp_path / "job"), 2) == ""
    (tmp_path / "job/server.log").write_text("".join(f"line {number}\n" for number in range(9999)))
    assert courier.last_lines(str(tmp_path / "job"), 2) == "line 9997\nline 9998"
    courier.remove(str(tmp_path / "job"))
    assert [path.name for path in tmp_path.iterdir()] == ["last-server.log"]
    courier.remove(str(tmp_path / "job"))


# Accounts


@pytest.mark.parametrize(
    ("name", "folder"), [("ada", "ada"), ("..", "%2E."), ("a/b", "a%2Fb"), ("é", "%C3%A9")], ids=str
)
def test_everybody_has_a_private_folder_below_the_homes(tmp_path, name, folder):
    account = shared_account(name, tmp_path / "homes")
    assert account.home == tmp_path / "homes" / folder
    assert account.home.stat().st_mode & 0o777 == 0o700
    assert account.popen == {}


def test_a_home_that_is_a_link_is_not_used(tmp_path):
    (tmp_path / "ada").symlink_to(tmp_path)
    with pytest.raises(CannotLaunch, match="is a link"):
        shared_account("ada", tmp_path)


def test_an_account_that_is_not_there_is_said():
    with pytest.raises(CannotLaunch, match="there is no account 'nobody-of-this-name'"):
        unix_account("nobody-of-this-name")


def site(tmp_path: Path, **config: object) -> LocalSite:
    settings = HubSettings("t" + secrets.token_hex(4), tmp_path)
    return LocalSite("here", LocalConfig(kind="local", title="Here", **config), None, settings)


def hub(users: set[str], url: str = "http://127.0.0.1:8000", *, everybody: bool = False) -> SimpleNamespace:
    who = SimpleNamespace(allow_all=everybody, allowed_users=users, admin_users=set())
    return SimpleNamespace(authenticator=who, bind_url=url, config=Config())


@pytest.mark.parametrize(
    ("found", "reason"),
    [(hub({"ada", "bob"}), "more than one user"), (hub(set(), everybody=True), "more than one user"),
     (hub({"ada"}, "http://:8000"), "listens at"), (hub({"ada"}, "http://0.0.0.0:8000"), "0.0.0.0")],
    ids=["two", "all", "every address", "0.0.0.0"],
)  # fmt: skip
def test_the_hubs_own_account_is_not_shared_unless_it_is_said(tmp_path, found, reason):
    (problem,) = site(tmp_path, accounts="none").problems(found)
    assert reason in problem
    assert "insecure_shared_account: true" in problem
    assert site(tmp_path, accounts="none", insecure_shared_account=True).problems(found) == []
    assert site(tmp_path, accounts="none").problems(hub({"ada"})) == []


# Who listens


@needs_root
def test_who_listens_is_known_by_the_account():
    port = free_port()
    assert listeners.accounts("127.0.0.1", port) == set()
    with taken(port):
        assert listeners.accounts("127.0.0.1", port) == {STRANGER}
        assert listeners.accounts("127.0.0.2", port) == set()
        assert listeners.accounts("::1", port) == set()


@needs_root
@pytest.mark.parametrize("everywhere", ["0.0.0.0", "::"])
def test_who_listens_everywhere_listens_where_nobody_else_does(everywhere):
    port = free_port()
    with taken(port, everywhere):
        assert listeners.accounts("127.0.0.1", port) == {STRANGER}
        assert listeners.accounts("::1", port) == ({STRANGER} if ":" in everywhere else set())


@needs_root
def test_who_listens_at_the_very_address_gets_what_is_sent_there():
    port = free_port()
    with taken(port, "::1"), taken(port, "127.0.0.2"), taken(port, "127.0.0.1", uid=0):
        assert listeners.accounts("127.0.0.1", port) == {0}
        assert listeners.accounts("127.0.0.2", port) == listeners.accounts("::1", port) == {STRANGER}


@needs_root
@pytest.mark.parametrize(("uid", "own"), [(STRANGER, True), (1, False), (None, False)], ids=["own", "other", "Hub's"])
async def test_a_server_is_where_its_account_listens(tmp_path, uid, own):
    here, port = site(tmp_path), free_port()
    server = here.child_class()(job="job")
    here.watched["job"] = Watched(uid=uid)
    assert await server.listens("127.0.0.1", port) is None
    with taken(port):
        assert await server.listens("127.0.0.1", port) is own


# Truth


async def test_an_ended_process_is_noticed_at_once_and_said(tmp_path):
    here, heard = site(tmp_path), []
    popen = subprocess.Popen(["sh", "-c", "sleep 0.2; exit 5"])
    here.listen("job", lambda: heard.append(here.watched["job"].truth))
    here.watch("job", Watched(processes.identify(popen.pid), popen=popen, truth=Truth.ALIVE))
    while not heard:  # noqa: ASYNC110 - the test's own limit ends it
        await asyncio.sleep(0.02)
    assert heard == [Truth.DEAD]
    assert here.watched["job"].code == 5


@pytest.mark.parametrize("ended", ["from outside", "by the site"])
async def test_a_process_whose_first_thread_ended_is_not_dead_before_there_is_an_exit_code(tmp_path, ended):
    here, popen = site(tmp_path), subprocess.Popen([sys.executable, "-c", LAST_THREAD])
    process = processes.identify(popen.pid)
    watched = Watched(process, popen=popen)
    here.watch("bh-x-1-0", watched)
    wait_for(lambda: not process.alive)
    assert watched.look() is Truth.ALIVE
    if ended == "from outside":
        popen.kill()
    else:
        await here.end("bh-x-1-0", now=True)
    wait_for(lambda: watched.look() is Truth.DEAD)
    assert watched.code == -signal.SIGKILL


@pytest.mark.parametrize("over", [True, False], ids=["by its time", "from outside"])
async def test_who_ended_a_server_in_its_time_says_so_whatever_the_clock_says(tmp_path, over):
    here, heard = site(tmp_path), []
    job = f"{here.prefix}1-0123456789"
    popen = subprocess.Popen(SLEEP, env={"BEAMHUB_JOB": job})
    server = here.child_class()(job=job)
    ends_at = moments.now() - 1 if over else None
    here.listen(job, lambda: heard.append((server.truth(), server.time_was_over())))
    here.watch(job, Watched(processes.identify(popen.pid), popen=popen, ends_at=ends_at, truth=Truth.ALIVE))
    await here.snapshot()
    if not over:
        popen.terminate()
    while not heard:  # noqa: ASYNC110 - the test's own limit ends it
        await asyncio.sleep(0.02)
    assert heard == [(Truth.DEAD, over)]


async def test_a_job_is_dead_only_after_a_whole_look_did_not_show_it(tmp_path):
    here = site(tmp_path)
    here.watch("bh-x-1-0", Watched())
    assert here.watched["bh-x-1-0"].look() is Truth.UNKNOWN
    await here.snapshot()
    assert here.watched["bh-x-1-0"].look() is Truth.DEAD


async def test_a_job_without_a_number_is_found_by_its_mark(tmp_path):
    here = site(tmp_path)
    job = f"{here.prefix}1-0123456789"
    popen = subprocess.Popen(SLEEP, env={"BEAMHUB_JOB": job})
    here.watch(job, Watched())
    await here.snapshot()
    assert here.watched[job].process.pid == popen.pid
    assert here.watched[job].truth is Truth.ALIVE
    assert await here.jobs() == {job}
    await here.end(job)
    assert popen.wait(5) == -15
    assert here.watched[job].truth is Truth.DEAD


async def test_a_job_whose_process_is_just_being_given_its_program_is_found(tmp_path, monkeypatch):
    here = site(tmp_path)
    job = f"{here.prefix}1-0123456789"
    becomes = f"import os; input(); os.execve('/usr/bin/sleep', ['sleep', '60'], {{'BEAMHUB_JOB': '{job}'}})"
    with subprocess.Popen([sys.executable, "-c", becomes], stdin=-1, text=True, env={}) as popen:
        environment = Path(f"/proc/{popen.pid}/environ")

        def goes_on(_):
            popen.stdin.write("\n")
            popen.stdin.flush()
            wait_for(lambda: job.encode() in environment.read_bytes())

        monkeypatch.setattr(processes, "time", SimpleNamespace(sleep=goes_on))
        here.watch(job, Watched())
        await here.snapshot()
        monkeypatch.undo()
        assert here.watched[job].process == processes.identify(popen.pid)
        assert await here.remove(job)
        assert popen.wait(5) == -signal.SIGKILL


async def test_a_look_that_fails_and_news_that_cannot_be_taken_end_no_site(tmp_path, monkeypatch, caplog):
    here, looked = site(tmp_path), asyncio.Event()
    popen = subprocess.Popen(["true"])
    here.watch("bh-x-1-0", Watched(processes.identify(popen.pid), popen=popen, truth=Truth.ALIVE))
    here.watch("bh-x-2-0", Watched())
    here.listen("bh-x-1-0", lambda: 1 / 0)
    here.listen("bh-x-2-0", looked.set)
    monkeypatch.setattr(here, "interval", 0.01, raising=False)
    fails = iter([OSError("no memory")])

    async def find():
        for error in fails:
            raise error
        await LocalSite._find(here)

    monkeypatch.setattr(here, "_find", find)
    running = asyncio.create_task(here.run())
    await looked.wait()
    running.cancel()
    assert here.watched["bh-x-2-0"].truth is Truth.DEAD
    assert "Looking at the servers of here failed; it is tried again" in caplog.text
    assert "What became of bh-x-1-0 could not be written down" in caplog.text


async def test_what_a_server_started_ends_with_it(tmp_path):
    here = site(tmp_path)
    job = f"{here.prefix}1-0123456789"
    popen = subprocess.Popen(["sh", "-c", "setsid sleep 61 & echo $!; wait"], env={"BEAMHUB_JOB": job}, stdout=-1)
    child = processes.identify(int(popen.stdout.readline()))
    here.watch(job, Watched(processes.identify(popen.pid), popen=popen))
    await here.end(job)
    popen.wait()
    popen.stdout.close()
    assert not child.alive


# On a real Hub


GATED = """
import pathlib
c.Spawner.environment = {"STUB_GATE": lambda spawner: str(pathlib.Path(f"gate-{spawner.name}").resolve())}
c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 1}
c.JupyterHub.init_spawners_timeout = 1
"""


def take_port(running: RunningHub, name: str) -> int:
    """Ask for a server and wait until its port is reserved and nobody listens there yet; the port."""
    assert running.ask_server("ada", name, {"profile": "small"}).status_code in (201, 202)
    start = wait_for(lambda: (found := running.server("ada", name)["state"]["start"])["phase"] == "announced" and found)
    port = urlsplit(start["url"]).port
    stub = psutil.Process(start["child"]["process"]["pid"])
    wait_for(
        lambda: any("stub_server" in word for word in stub.cmdline()) and not listeners.accounts("127.0.0.1", port)
    )
    return port


@needs_root
@pytest.mark.hub
def test_a_program_of_another_account_at_a_servers_port_is_not_taken_for_the_server(tmp_path):
    with RunningHub(tmp_path, extra=GATED) as running:
        with taken(take_port(running, "goes")):
            time.sleep(2)
            assert not running.server("ada", "goes")["ready"]
            running.kill()
            running.start()
            time.sleep(2)
            assert not running.server("ada", "goes")["ready"]
        (tmp_path / "gate-goes").touch()
        running.wait_ready("ada", "goes")
        said = running.as_user("ada").get("user/ada/goes/api").json()
        assert said["pid"] == running.server("ada", "goes")["state"]["start"]["child"]["process"]["pid"]

        port = take_port(running, "stays")
        with taken(port):
            threading.Timer(1, (tmp_path / "gate-stays").touch).start()  # once somebody listens
            said = running.progress("ada", "stays")[-1]
        assert said["failed"]
        assert f"Somebody else's program listens at port {port} of This computer" in said["message"]
        assert "Address already in use" in said["message"]

        port = take_port(running, "later")
        with taken(port):
            running.kill()
            running.start()
            time.sleep(1)
            (tmp_path / "gate-later").touch()
            running.wait_gone("ada", "later")
        ended = running.server("ada", "later")["state"]["kept"]["ended"]
        assert f"Somebody else's program listens at port {port} of This computer" in ended


@needs_root
@pytest.mark.hub
def test_a_program_of_another_account_is_not_taken_for_a_server_whose_site_is_not_in_the_file(tmp_path):
    with RunningHub(tmp_path, extra="c.JupyterHub.init_spawners_timeout = 1") as running:
        start = running.start_server("ada", options={"profile": "small"})["state"]["start"]
        running.kill()
        psutil.Process(start["child"]["process"]["pid"]).kill()
        (tmp_path / "compute.yaml").write_text(LOCAL.replace("here", "elsewhere"))
        with taken(urlsplit(start["url"]).port) as looks:
            running.start()
            for _ in range(4):  # of one that is believed there are two: ours, and the Hub's own
                looks.readline()
            assert not running.server("ada")["ready"]
            (tmp_path / "compute.yaml").write_text(LOCAL)
            running.wait_gone("ada")


@pytest.mark.hub
def test_a_server_ends_when_its_time_is_over(tmp_path):
    compute = LOCAL.replace("choices: [1h, 4h], default: 1h", "choices: [8s], default: 8s")
    with RunningHub(tmp_path, compute=compute) as running:
        running.start_server("ada", options={"profile": "small"})
        running.wait_gone("ada", within_s=40)
        assert running.server("ada")["state"]["kept"]["ended"] == "Your server's time was over."


@pytest.mark.hub
def test_the_real_notebook_server_starts_and_stops(tmp_path):
    extra = "c.Spawner.args = ['--allow-root']" if os.geteuid() == 0 else ""
    with RunningHub(tmp_path, command=["jupyterhub-singleuser"], extra=extra) as running:
        running.start_server("ada", options={"profile": "small"})
        said = running.as_user("ada").get("user/ada/api/status").json()
        assert said["kernels"] == 0
        process = psutil.Process(running.server("ada")["state"]["start"]["child"]["process"]["pid"])
        running.as_user("ada").post("user/ada/api/kernels", json={}).raise_for_status()
        (kernel,) = wait_for(lambda: process.children())
        running.stop_server("ada")
        assert not lives(process)
        assert not lives(kernel)


UNIX = """
sites:
  here: {kind: local, title: This computer, accounts: unix, start_timeout: 120s}
environments:
  python: {title: Python, python: /usr/bin}
profiles:
  small: {title: Small, sites: [here], environments: [python]}
"""


@pytest.fixture(scope="module")
def people() -> Iterator[list[str]]:
    names = [f"bh{secrets.token_hex(4)}" for _ in range(2)]
    for name in names:
        subprocess.run(["useradd", "--create-home", name], check=True)
    yield names
    for name in names:
        subprocess.run(["userdel", "--remove", name], check=True, stderr=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def stub() -> Iterator[list[str]]:
    """The stub where every account can read it; the Hub's own files are not."""
    shared = Path(tempfile.mkdtemp(prefix="beamhub-"))
    shared.chmod(0o755)
    copy = Path(shutil.copy(STUB[1], shared))
    copy.chmod(0o644)
    yield ["/usr/bin/python3", str(copy)]
    shutil.rmtree(shared)


@pytest.fixture(scope="module")
def unix_hub(people, stub) -> Iterator[RunningHub]:
    folder = Path(tempfile.mkdtemp(prefix="beamhub-hub-"))
    with RunningHub(folder, compute=UNIX, users=[*people, "stranger"], command=stub) as running:
        yield running
    shutil.rmtree(folder)


def as_account(name: str, *command: str) -> subprocess.CompletedProcess:
    return subprocess.run(command, user=name, group=pwd.getpwnam(name).pw_gid, extra_groups=[], capture_output=True)


@needs_root
@pytest.mark.hub
def test_servers_of_two_accounts_cannot_look_into_each_other(unix_hub, people):
    for name in people:
        unix_hub.start_server(name, options={})
    for name, other in (people, reversed(people)):
        account = pwd.getpwnam(name)
        said = unix_hub.as_user(name).get(f"user/{name}/api").json()
        assert said["uid"] == account.pw_uid
        assert said["environment"]["HOME"] == account.pw_dir
        process = psutil.Process(said["pid"])
        assert set(process.uids()) == {account.pw_uid}
        assert (process.gids().real, process.cwd()) == (account.pw_gid, account.pw_dir)
        (folder,) = (Path(account.pw_dir) / ".beamhub").iterdir()
        assert {path.stat().st_uid for path in [folder, *folder.iterdir()]} == {account.pw_uid}
        token = folder / "token"
        assert as_account(name, "cat", str(token)).stdout.decode() == process.environ()["JUPYTERHUB_API_TOKEN"]
        assert as_account(other, "cat", str(token)).returncode != 0
        assert as_account(other, "cat", f"/proc/{process.pid}/environ").returncode != 0
    for name in people:
        unix_hub.stop_server(name)
        wait_for(lambda name=name: not list((Path(pwd.getpwnam(name).pw_dir) / ".beamhub").glob("bh-*")))


# root that file permissions hold for, as they do for it on NFS with root_squash
SQUASHED = """
import ctypes
header, capabilities = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
assert ctypes.CDLL(None).capget(header, capabilities) == 0
for which in (0, 1, 2):
    capabilities[which] &= ~0b110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
assert ctypes.CDLL(None).capset(header, capabilities) == 0
"""


@needs_root
@pytest.mark.hub
def test_a_server_starts_in_a_home_that_root_may_not_enter(people, stub, tmp_path):
    name, home = people[0], Path(pwd.getpwnam(people[0]).pw_dir)
    home.chmod(0o700)
    with RunningHub(tmp_path, compute=UNIX, users=people, command=stub, extra=SQUASHED) as running:
        running.start_server(name, options={})
        pid = running.as_user(name).get(f"user/{name}/api").json()["pid"]
        assert psutil.Process(pid).cwd() == str(home)
        running.stop_server(name)
        wait_for(lambda: [path.name for path in (home / ".beamhub").iterdir()] == ["last-server.log"])


@needs_root
@pytest.mark.hub
def test_a_server_of_an_account_survives_kill_9_of_the_hub(unix_hub, people):
    unix_hub.start_server(people[0], options={})
    pid = unix_hub.as_user(people[0]).get(f"user/{people[0]}/api").json()["pid"]
    process = psutil.Process(pid)
    unix_hub.kill()
    unix_hub.start()
    unix_hub.wait_ready(people[0])
    assert unix_hub.as_user(people[0]).get(f"user/{people[0]}/api").json()["pid"] == pid
    unix_hub.stop_server(people[0])
    assert not lives(process)


@needs_root
@pytest.mark.hub
def test_who_has_no_account_reads_it(unix_hub):
    answer = unix_hub.ask_server("stranger", options={})
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("there is no account 'stranger' on this computer.")


@needs_root
@pytest.mark.hub
def test_a_folder_that_cannot_be_written_is_named_and_nothing_is_started(unix_hub, people):
    folder = Path(pwd.getpwnam(people[1]).pw_dir) / ".beamhub"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)  # root's
    try:
        answer = unix_hub.ask_server(people[1], options={})
    finally:
        folder.rmdir()
    assert answer.status_code == 400
    assert f"{folder}" in answer.json()["message"]
    assert "Permission denied" in answer.json()["message"]
    assert processes.of_jobs(f"bh-{unix_hub.mark}-") == {}
    unix_hub.start_server(people[1], options={})
    unix_hub.stop_server(people[1])
