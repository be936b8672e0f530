import calendar
import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest
from services.hub import LOCAL, RunningHub, wait_for
from services.living import lives

from beamhub.spawner.sites import processes

pytestmark = pytest.mark.hub

# what a server's name says is what happens to it
BEHAVIOUR = """
import os, pathlib
def crash_once(spawner):
    mark = pathlib.Path("crashed")
    if spawner.name == "crash" and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), 9)
    return ""
c.Spawner.environment = {
    "STUB_SLEEP": lambda spawner: {"slow": "3"}.get(spawner.name.rstrip("123"), "0"),
    "STUB_GATE": lambda spawner: str(pathlib.Path(f"gate-{spawner.name}").resolve()) if "gated" in spawner.name else "",
    "STUB_DIE": lambda spawner: "3" if spawner.name == "broken" else "",
    "CRASH": crash_once,
}
c.JupyterHub.init_spawners_timeout = 1

# kill -9 of the Hub when a process was started and nobody wrote its number down; when a job announces itself
from beamhub.spawner.hybrid import HybridSpawner
from beamhub.spawner.sites.local import LocalServer
def crash(name):
    mark = pathlib.Path(f"crashed-{name}")
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), 9)
def popen(self, *args, real=LocalServer._start):
    found = real(self, *args)
    if self.name == "popen":
        crash("popen")
    return found
async def announced(self, *args, real=HybridSpawner.announced):
    if self.name == "announce":
        crash("announce")
    return await real(self, *args)
LocalServer._start, HybridSpawner.announced = popen, announced
c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 1}
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory) -> Iterator[RunningHub]:
    folder = tmp_path_factory.mktemp("hub")
    with RunningHub(folder, users=["ada", "bob", "eve"], groups={"imaging": ["bob"]}, extra=BEHAVIOUR) as hub:
        yield hub


def start_of(hub: RunningHub, user: str, name: str = "") -> dict:
    server = hub.server(user, name)
    return ((server or {}).get("state") or {}).get("start") or {}


def process_of(hub: RunningHub, user: str, name: str = "") -> psutil.Process:
    return psutil.Process(start_of(hub, user, name)["child"]["process"]["pid"])


def tokens(hub: RunningHub, user: str) -> list[str]:
    found = hub.api("GET", f"users/{user}/tokens").json()["api_tokens"]
    return [token["note"] for token in found if token["note"].startswith("Server at")]


def stop_all(hub: RunningHub, user: str) -> None:
    for name, server in hub.api("GET", f"users/{user}").json()["servers"].items():
        if not server["stopped"]:
            hub.stop_server(user, name)


def test_a_server_starts_answers_and_stops(hub):
    hub.start_server("ada", options={"profile": "small"})
    said = hub.as_user("ada").get("user/ada/api").json()
    assert said["environment"]["BEAMHUB_SITE"] == "here"
    assert said["environment"]["BEAMHUB_PROFILE"] == "small"
    ends = time.strptime(said["environment"]["BEAMHUB_ENDS_AT"], "%Y-%m-%dT%H:%M:%SZ")
    assert 3500 < calendar.timegm(ends) - time.time() <= 3601
    process = process_of(hub, "ada")
    hub.stop_server("ada")
    assert not lives(process)
    assert tokens(hub, "ada") == []
    assert "start" not in hub.server("ada")["state"]


def test_a_home_is_private_and_nothing_but_the_log_stays(hub):
    hub.start_server("ada")
    home = hub.folder / "home/ada"
    (job,) = [path for path in (home / ".beamhub").iterdir() if path.is_dir()]
    assert home.stat().st_mode & 0o777 == job.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in job.iterdir()} == {0o600}
    hub.stop_server("ada")
    wait_for(lambda: not job.exists())
    assert [path.name for path in (home / ".beamhub").iterdir()] == ["last-server.log"]


def test_progress_says_plain_sentences_from_the_beginning(hub):
    assert hub.ask_server("ada", "slow1", {"profile": "small"}).status_code in (201, 202)
    events = hub.progress("ada", "slow1")
    said = [event["message"] for event in events]
    assert "Your server is there, its programs are being loaded" in said
    assert [event["progress"] for event in events] == sorted(event["progress"] for event in events)
    assert events[-1]["ready"]
    hub.stop_server("ada", "slow1")


def test_named_servers_run_side_by_side(hub):
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda name: hub.start_server("ada", name, {"profile": "small"}), ["", "one", "two"]))
    places = {name: start_of(hub, "ada", name)["url"] for name in ("", "one", "two")}
    assert len(set(places.values())) == 3
    client = hub.as_user("ada")
    assert {
        client.get(f"user/ada/{name}/api").json()["environment"]["JUPYTERHUB_SERVER_NAME"] for name in ("one", "two")
    } == {"one", "two"}
    hub.stop_server("ada", "one")
    assert client.get("user/ada/two/api").status_code == 200
    stop_all(hub, "ada")


def test_refused_options_are_said_and_not_kept(hub):
    hub.start_server("eve", options={"profile": "small", "walltime": 14400})
    hub.stop_server("eve")
    accepted = hub.server("eve")["user_options"]
    for options, reason in (
        ({"profile": "none"}, "no profile 'none'"),
        ({"profile": "gpu"}, "the group imaging"),
    ):
        refused = hub.ask_server("eve", options=options)
        assert refused.status_code == 400
        assert reason in refused.json()["message"]
    kept = hub.server("eve")["user_options"]
    assert kept == accepted
    hub.start_server("eve")
    assert hub.server("eve")["user_options"] == accepted
    hub.stop_server("eve")


def test_a_server_survives_kill_9_of_the_hub_and_its_token_is_revoked_by_a_later_stop(hub):
    hub.start_server("ada", options={"profile": "small"})
    before, process = start_of(hub, "ada"), process_of(hub, "ada")
    hub.kill()
    assert lives(process)
    hub.start()
    hub.wait_ready("ada")
    assert start_of(hub, "ada") == before
    assert hub.as_user("ada").get("user/ada/api").json()["pid"] == process.pid
    hub.stop_server("ada")
    assert not lives(process)
    assert tokens(hub, "ada") == []


def test_a_start_survives_kill_9_of_the_hub_with_progress_to_see(hub):
    hub.ask_server("ada", "gated1", {"profile": "small"})
    wait_for(lambda: start_of(hub, "ada", "gated1").get("phase") == "announced")
    process = process_of(hub, "ada", "gated1")
    hub.kill()
    hub.start()
    wait_for(lambda: hub.server("ada", "gated1")["pending"] == "spawn")
    threading.Timer(2, (hub.folder / "gate-gated1").touch).start()
    said = [event["message"] for event in hub.progress("ada", "gated1")]
    assert any(message.startswith("Your server is there, its programs are being loaded") for message in said)
    hub.wait_ready("ada", "gated1")
    assert process_of(hub, "ada", "gated1") == process
    assert hub.as_user("ada").get("user/ada/gated1/api").json()["pid"] == process.pid
    hub.stop_server("ada", "gated1")
    assert tokens(hub, "ada") == []


@pytest.mark.parametrize("moment", ["popen", "announce"])
def test_a_start_survives_kill_9_of_the_hub_at_any_moment(hub, moment):
    with contextlib.suppress(httpx.HTTPError):
        hub.ask_server("ada", moment, {"profile": "small"})
    wait_for(lambda: hub.process.poll() is not None)
    hub.kill()
    assert len(processes.of_jobs(f"bh-{hub.mark}-")) == 1
    hub.start()
    hub.wait_ready("ada", moment)
    wait_for(lambda: start_of(hub, "ada", moment)["child"].get("process"))
    process = process_of(hub, "ada", moment)
    assert hub.as_user("ada").get(f"user/ada/{moment}/api").json()["pid"] == process.pid
    hub.stop_server("ada", moment)
    assert not lives(process)
    assert tokens(hub, "ada") == []


def test_a_start_that_was_intended_and_never_submitted_is_over_after_a_restart(hub):
    with contextlib.suppress(httpx.HTTPError):
        hub.ask_server("bob", "crash", {"profile": "small"})
    wait_for(lambda: hub.process.poll() is not None)
    hub.kill()
    hub.start()
    hub.wait_gone("bob", "crash")
    assert tokens(hub, "bob") == []
    hub.start_server("bob", "crash", {"profile": "small"})
    hub.stop_server("bob", "crash")


def test_a_start_that_a_restarted_hub_finishes_can_be_stopped(hub):
    hub.ask_server("ada", "gated2", {"profile": "small"})
    wait_for(lambda: start_of(hub, "ada", "gated2").get("phase") == "announced")
    process = process_of(hub, "ada", "gated2")
    hub.kill()
    hub.start()
    wait_for(lambda: hub.server("ada", "gated2")["pending"] == "spawn")
    hub.stop_server("ada", "gated2")
    assert not lives(process)
    assert tokens(hub, "ada") == []


def test_a_server_that_died_while_the_hub_was_down_is_noticed(hub):
    hub.start_server("ada", options={"profile": "small"})
    process = process_of(hub, "ada")
    hub.kill()
    process.kill()
    hub.start()
    hub.wait_gone("ada")
    assert tokens(hub, "ada") == []


def test_a_server_that_dies_by_itself_is_noticed_and_said(hub):
    hub.start_server("ada", options={"profile": "small"})
    with contextlib.suppress(httpx.HTTPError):
        hub.as_user("ada").get("user/ada/die")
    hub.wait_gone("ada", within_s=10)
    kept = hub.server("ada")["state"]["kept"]
    assert kept["ended"].startswith("Your server ended without having been stopped. It ended with code 7.")
    assert "the stub was told to die" in kept["ended"]
    assert "the stub was told to die" in hub.log()


def test_a_server_that_dies_while_it_starts_is_said_with_its_last_lines(hub):
    asked = hub.ask_server("ada", "broken", {"profile": "small"})
    if asked.status_code == 202:  # it took longer than the Hub waits with its answer
        message = hub.progress("ada", "broken")[-1]["message"].removeprefix("Spawn failed: ")
    else:
        assert asked.status_code == 400
        message = asked.json()["message"]
    assert message.startswith("Your server ended while it was starting. It ended with code 3.")
    assert "the stub cannot load what it needs" in message
    assert "consecutive spawns failed" not in hub.log()
    assert tokens(hub, "ada") == []


def test_a_start_can_be_stopped(hub):
    hub.ask_server("ada", "slow2", {"profile": "small"})
    wait_for(lambda: start_of(hub, "ada", "slow2").get("phase") == "announced")
    process = process_of(hub, "ada", "slow2")
    hub.stop_server("ada", "slow2")
    assert not lives(process)
    assert tokens(hub, "ada") == []


def test_a_process_that_belongs_to_no_server_is_ended(hub):
    import subprocess

    job = f"bh-{hub.mark}-999-0123456789"
    lost = subprocess.Popen(["sleep", "300"], env={"BEAMHUB_JOB": job})
    hub.kill()
    hub.start()  # looks for them at its start, and again some seconds later
    assert lost.wait(20) == -signal.SIGKILL
    assert f"{job} at This computer belongs to no server" in hub.log()


def test_a_server_whose_site_was_taken_out_of_the_file_goes_on_and_can_be_stopped_when_it_is_back(tmp_path):
    def refuses(method: str, path: str) -> bool:
        answer = hub.api(method, path)
        assert answer.status_code == 409
        assert "put the site 'here' back into compute.yaml" in answer.json()["message"]
        return start_of(hub, "ada") == before

    with RunningHub(tmp_path, extra="c.JupyterHub.init_spawners_timeout = 1") as hub:
        hub.start_server("ada", options={"profile": "small"})
        before, process = start_of(hub, "ada"), process_of(hub, "ada")
        hub.kill()
        (tmp_path / "compute.yaml").write_text(LOCAL.replace("here", "elsewhere"))
        process.suspend()  # so that it does not answer the Hub that looks for it
        hub.start()
        assert refuses("DELETE", "users/ada/server")
        assert refuses("DELETE", "users/ada")
        process.resume()
        hub.wait_ready("ada")
        assert refuses("DELETE", "users/ada/server")
        assert refuses("DELETE", "users/ada")
        assert hub.server("ada")["ready"]
        assert hub.as_user("ada").get("user/ada/api").json()["pid"] == process.pid
        hub.process.terminate()  # a Hub that ends stops what it can
        hub.process.wait(20)
        assert lives(process)
        hub.start()
        hub.wait_ready("ada")
        (tmp_path / "compute.yaml").write_text(LOCAL)
        wait_for(lambda: "compute.yaml was changed and is in force" in hub.log())
        hub.stop_server("ada")
        assert not lives(process)
        assert tokens(hub, "ada") == []
        assert "start" not in hub.server("ada")["state"]


def test_a_user_is_deleted_with_all_servers_or_not_at_all(hub):
    hub.api("POST", "users/joe").raise_for_status()
    for name in ("", "one"):
        hub.start_server("joe", name, {"profile": "small"})
    hub.ask_server("joe", "gated3", {"profile": "small"})
    wait_for(lambda: start_of(hub, "joe", "gated3").get("phase") == "announced")
    running = [process_of(hub, "joe", name) for name in ("", "one", "gated3")]
    answer = hub.api("DELETE", "users/joe")
    assert (answer.status_code, "the server gated3 of joe is starting" in answer.json()["message"]) == (409, True)
    assert [lives(process) for process in running] == [True] * 3
    hub.stop_server("joe", "gated3")
    assert hub.api("DELETE", "users/joe").status_code == 204
    assert [lives(process) for process in running] == [False] * 3
    assert hub.api("GET", "users/joe").status_code == 404


def test_a_user_is_not_deleted_while_a_server_starts_that_ended_for_it(hub):
    hub.api("POST", "users/jim").raise_for_status()
    gate = hub.folder / "gate-gated4"
    gate.touch()
    for name in ("gated4", "last"):
        hub.start_server("jim", name, {"profile": "small"})
    gate.unlink()
    slow = process_of(hub, "jim", "last")
    slow.suspend()
    with ThreadPoolExecutor() as pool:
        deleted = pool.submit(hub.api, "DELETE", "users/jim")
        wait_for(lambda: hub.server("jim", "last")["pending"] == "stop")
        assert hub.ask_server("jim", "gated4", {"profile": "small"}).status_code == 202
        slow.resume()
        answer = deleted.result()
    assert (answer.status_code, "the server gated4 of jim is starting" in answer.json()["message"]) == (409, True)
    hub.stop_server("jim", "gated4")
    assert hub.api("DELETE", "users/jim").status_code == 204


def test_the_token_of_a_server_may_do_five_things_and_lies_nowhere_but_with_it(hub):
    hub.start_server("ada", options={"profile": "small"})
    process = process_of(hub, "ada")
    token = process.environ()["JUPYTERHUB_API_TOKEN"]
    secret = next((hub.folder / "home/ada/.beamhub").glob("bh-*/secret")).read_text()
    answer = httpx.get(f"{hub.url}hub/api/user", headers={"Authorization": f"token {token}"}).json()
    assert set(answer["scopes"]) >= {"users:activity!user=ada", "access:servers!server=ada/"}
    found = hub.api("GET", "users/ada/tokens").json()["api_tokens"]
    (scopes,) = [one["scopes"] for one in found if one["note"] == "Server at /user/ada/"]
    implied = {f"read:users:{what}!user=ada" for what in ("name", "groups", "activity")}  # the Hub adds these
    assert set(scopes) - implied == {
        "users:activity!user=ada", "access:servers!server=ada/", "access:services!service=beamhub",
        "custom:beamhub:read", "custom:beamhub:write",
    }  # fmt: skip
    for value in (token, secret):
        assert value not in hub.log()
        assert value.encode() not in (hub.folder / "jupyterhub.sqlite").read_bytes()
        assert value not in str(hub.server("ada"))
        assert holders(value) <= {process.pid}
    assert secret not in str(process.environ())
    hub.stop_server("ada")
    assert httpx.get(f"{hub.url}hub/api/user", headers={"Authorization": f"token {token}"}).status_code == 403


def holders(value: str) -> set[int]:
    """Processes that show a value in their arguments or their environment."""
    found = set()
    for path in [*Path("/proc").glob("[0-9]*/cmdline"), *Path("/proc").glob("[0-9]*/environ")]:
        with contextlib.suppress(OSError):
            if value.encode() in path.read_bytes():
                found.add(int(path.parent.name))
    return found - {os.getpid()}
