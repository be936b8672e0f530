"""Kills of the Hub and of its proxy, and servers that a restarted Hub does not reach."""

import contextlib
import sqlite3
from collections.abc import Iterator

import httpx
import pytest
from services.hub import RunningHub, wait_for

from beamhub.spawner.sites import processes

pytestmark = [pytest.mark.hub, pytest.mark.promise("Hub and proxy")]

# the Hub kills itself at the moment that the file "kill-at" names, once
MOMENTS = """
import inspect, os, pathlib
from beamhub.spawner.hybrid import HybridSpawner
from beamhub.spawner.sites.local import LocalServer, LocalSite
from beamhub.spawner.sites.processes import Process
from jupyterhub.proxy import Proxy

def die_at(moment):
    told = pathlib.Path("kill-at")
    if told.exists() and told.read_text() == moment:
        told.unlink()
        os.kill(os.getpid(), 9)

def hook(kind, name, before="", after=""):
    real = getattr(kind, name)
    async def waited(*args, **kwargs):
        die_at(before)
        found = await real(*args, **kwargs)
        die_at(after)
        return found
    def called(*args, **kwargs):
        die_at(before)
        found = real(*args, **kwargs)
        die_at(after)
        return found
    setattr(kind, name, waited if inspect.iscoroutinefunction(real) else called)

c.Spawner.auth_state_hook = lambda spawner, state: die_at("it is asked for")
hook(HybridSpawner, "_run_apply_user_options", "its plan is made", "its plan was made")
hook(HybridSpawner, "start", after="its intent is being written down")
hook(LocalServer, "submit", "its intent was written down")
hook(LocalServer, "_start", "its process is being started", "its process was started")
hook(HybridSpawner, "_finish", "its process was written down", "it was found to answer")
hook(HybridSpawner, "announced", "it announces itself", "it was announced")
hook(HybridSpawner, "start_polling", "its address was written down")
hook(Proxy, "add_user", "its route is being made", "its route was made")
hook(HybridSpawner, "stop", "its stop was asked for", "its stop is done at the site")
hook(Process, "signal", after="its process was told to end")
hook(HybridSpawner, "run_post_stop_hook", "its end was written down")
hook(HybridSpawner, "clear_state", after="its state was cleared")
"""
NEVER_BEGUN = [
    "it is asked for",
    "its plan is made",
    "its plan was made",
    "its intent is being written down",
    "its intent was written down",
    "its process is being started",
]
GOES_ON = [
    "its process was started",
    "its process was written down",
    "it announces itself",
    "it was announced",
    "it was found to answer",
    "its address was written down",
    "its route is being made",
    "its route was made",
]
STOPS = [
    "its process was told to end",
    "its stop is done at the site",
    "its end was written down",
    "its state was cleared",
]


@pytest.fixture(scope="module")
def hub(tmp_path_factory) -> Iterator[RunningHub]:
    with RunningHub(tmp_path_factory.mktemp("hub"), users=["ada"], extra=MOMENTS) as hub:
        yield hub


def servers_of(hub: RunningHub) -> set[int]:
    """Processes of all servers that the Hub ever started; each is one as long as nobody uses it."""
    return {process.pid for found in processes.of_jobs(f"bh-{hub.mark}-").values() for process in found}


def left_of(hub: RunningHub, user: str) -> list[str]:
    """What a server that is gone left: processes, files, tokens, rows, a route."""
    folder = hub.folder / "home" / user / ".beamhub"
    tokens = hub.api("GET", f"users/{user}/tokens").json()["api_tokens"]
    with contextlib.closing(sqlite3.connect(f"file:{hub.folder}/jupyterhub.sqlite?mode=ro", uri=True)) as rows:
        clients = rows.execute("SELECT identifier FROM oauth_clients WHERE identifier LIKE 'jupyterhub-user-%'")
        places = rows.execute("SELECT base_url FROM servers WHERE base_url LIKE '/user/%'")
        found = [f"row {one}" for (one,) in [*clients, *places]]
    found += [f"process {pid}" for pid in servers_of(hub)]
    found += [f"file {path.name}" for path in folder.glob("*") if path.name != "last-server.log"]
    found += [f"token {one['note']}" for one in tokens if one["note"].startswith("Server at")]
    found += [f"route {path}" for path in hub.api("GET", "proxy").json() if path.startswith("/user/")]
    return found + [f"state {hub.server(user)['state']['start']}" for _ in "1" if "start" in hub.server(user)["state"]]


def die_at(hub: RunningHub, moment: str, method: str) -> None:
    """Ask for a start or a stop of ada's server, and wait until the Hub killed itself."""
    (hub.folder / "kill-at").write_text(moment)
    with contextlib.suppress(httpx.HTTPError):
        hub.api(method, "users/ada/server")
    wait_for(lambda: hub.process.poll() is not None, 60, f"the Hub was not killed when {moment}")


def settled(hub: RunningHub) -> bool:
    """Wait until the Hub made up its mind, and say whether ada's server runs; there are never two of them."""

    def known() -> dict | None:
        assert len(servers_of(hub)) <= 1
        found = hub.server("ada")
        return None if found["pending"] else found

    return bool(wait_for(known, 60)["ready"])


def assert_one_served(hub: RunningHub, expected: set[int] | None = None) -> None:
    """One process is ada's server, and it is the one that answers through the proxy."""
    answering = hub.as_user("ada")

    def answers() -> int | None:
        with contextlib.suppress(httpx.HTTPError, ValueError, KeyError):
            return answering.get("user/ada/api").json()["pid"]
        return None

    pid = wait_for(answers, 60)
    assert servers_of(hub) == {pid}
    assert expected in (None, {pid})


def assert_gone(hub: RunningHub) -> None:
    """Nothing is left, soon."""
    with contextlib.suppress(TimeoutError):
        wait_for(lambda: not left_of(hub, "ada"), 10)
    assert left_of(hub, "ada") == []


def assert_starts_and_stops(hub: RunningHub) -> None:
    hub.start_server("ada", options={"profile": "small"})
    assert_one_served(hub)
    hub.stop_server("ada")
    assert_gone(hub)


@pytest.mark.parametrize("moment", NEVER_BEGUN)
def test_a_start_is_cleanly_over_when_the_hub_is_killed_before_there_is_a_process(hub, moment):
    die_at(hub, moment, "POST")
    assert servers_of(hub) == set()
    hub.start()
    assert not settled(hub)
    assert_gone(hub)
    assert_starts_and_stops(hub)


@pytest.mark.parametrize("moment", GOES_ON)
def test_a_start_goes_on_with_the_same_process_when_the_hub_is_killed_after_there_is_one(hub, moment):
    die_at(hub, moment, "POST")
    (started,) = servers_of(hub)
    hub.start()
    assert settled(hub)
    assert_one_served(hub, {started})
    hub.stop_server("ada")
    assert_gone(hub)


def test_a_server_whose_stop_never_reached_it_is_served_when_the_hub_is_killed(hub):
    hub.start_server("ada", options={"profile": "small"})
    (started,) = servers_of(hub)
    die_at(hub, "its stop was asked for", "DELETE")
    hub.start()
    assert settled(hub)
    assert_one_served(hub, {started})
    hub.stop_server("ada")
    assert_gone(hub)


@pytest.mark.parametrize("moment", STOPS)
def test_a_stop_leaves_nothing_when_the_hub_is_killed_after_it_reached_the_server(hub, moment):
    hub.start_server("ada", options={"profile": "small"})
    die_at(hub, moment, "DELETE")
    hub.start()
    wait_for(lambda: not settled(hub), 30)
    assert_gone(hub)
    assert_starts_and_stops(hub)
