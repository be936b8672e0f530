"""Kills of the Hub and of its proxy, and servers that a restarted Hub does not reach."""

import contextlib
import re
import shutil
import signal
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import psutil
import pytest
from playwright.sync_api import Page, expect, sync_playwright
from services.hub import PASSWORD, TLS, RunningHub, wait_for
from services.living import called
from services.proxy import ExternalProxy
from services.scripted import Answer, scripted

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

    return bool(wait_for(known, 80)["ready"])


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


def test_a_start_goes_on_when_the_hub_was_away_for_longer_than_a_start_may_take(hub):
    die_at(hub, "its process was written down", "POST")
    (started,) = servers_of(hub)
    with sqlite3.connect(hub.folder / "jupyterhub.sqlite") as rows:
        rows.execute("UPDATE spawners SET state = json_set(state, '$.start.give_up_at', 1.0)")
    rows.close()
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


GATED = """
c.Spawner.environment = {"STUB_GATE": "%s/gate"}
"""
PAGE_GIVES_UP = 10.0  # seconds without the Hub; a page that loaded itself anew blindly was lost after eight


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield browser.new_page()
        browser.close()


@pytest.mark.browser
def test_the_page_of_a_start_says_what_it_waits_for_while_the_hub_is_away_and_goes_on(tmp_path, page):
    with RunningHub(tmp_path, users=["ada"], extra=GATED % tmp_path) as hub:
        page.goto(f"{hub.url}hub/spawn/ada")
        page.fill("#username_input", "ada")
        page.fill("#password_input", PASSWORD)
        page.click("#login_submit")
        page.get_by_role("radio", name=re.compile("Small analysis")).check()
        page.get_by_role("button", name="Start").click()
        said = page.locator("#progress-message")
        expect(said).to_contain_text("its programs are being loaded", timeout=60_000)
        (started,) = servers_of(hub)
        hub.kill()
        expect(said).to_contain_text("The Hub does not answer; trying again", timeout=30_000)
        page.wait_for_timeout(PAGE_GIVES_UP * 1000)
        expect(said).to_contain_text("The Hub does not answer; trying again")
        hub.start()
        expect(said).to_contain_text("its programs are being loaded", timeout=60_000)
        (tmp_path / "gate").touch()
        expect(page.locator("body")).to_contain_text(f'"pid": {started}', timeout=60_000)


HTTP_TIMEOUT = 3  # seconds
FIVE = ["ada", "bob", "eve", "joe", "kim"]
UNREACHABLE = """
import pathlib
c.Spawner.http_timeout = {timeout}
"""
DEMO = """
pathlib.Path("rules.toml").unlink(missing_ok=True)  # as the demo's configuration does
"""
PRODUCTION = """
c.JupyterHub.services.append({{"name": "beamhub", "url": "{service}", "api_token": "{token}"}})
"""
AWAY = {"refused": (signal.SIGUSR1, signal.SIGUSR2), "SIGSTOPped": (signal.SIGSTOP, signal.SIGCONT)}


class Shape:
    """Five running servers in one of the two shapes: everything is the Hub's child, or only the servers are."""

    def __init__(self, kind: str, hub: RunningHub, proxy: ExternalProxy | None) -> None:
        self.kind, self.hub, self.proxy = kind, hub, proxy

    def start(self) -> None:
        """Start the Hub and five servers."""
        self.hub.start()
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda user: self.hub.start_server(user, options={"profile": "small"}), FIVE))
        self.servers = {user: psutil.Process(wait_for(lambda user=user: self.answer(user))) for user in FIVE}

    def answer(self, user: str) -> int | None:
        """Who answers as the server of a user; None when nobody does."""
        with contextlib.suppress(httpx.HTTPError, ValueError, KeyError):
            url, headers = f"{self.hub.url}user/{user}/api", {"Authorization": f"token {self.hub.admin}"}
            return int(httpx.get(url, headers=headers, timeout=2, verify=TLS).json()["pid"])
        return None

    def answers(self) -> list[int]:
        """Who answers as any of the servers."""
        with ThreadPoolExecutor() as pool:
            return [pid for pid in pool.map(self.answer, FIVE) if pid]

    def served(self, users: list[str]) -> bool:
        """Whether each of these servers is ready, and answers as the process that it was from the beginning."""
        return all(self.hub.server(one)["ready"] and self.answer(one) == self.servers[one].pid for one in users)

    def says(self, user: str, message: str) -> bool:
        """Whether the page that waits for a server says this."""
        path = f"{self.hub.url}hub/api/users/{user}/server/progress"
        headers = {"Authorization": f"token {self.hub.admin}", "Accept": "text/event-stream"}
        with httpx.stream("GET", path, headers=headers, timeout=30) as answer:
            return any(message in line for line in answer.iter_lines())

    def services_served(self) -> bool:
        """Whether the external service is reached, where there is one."""
        if self.proxy is None:
            return True
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"{self.hub.url}services/beamhub/", timeout=2).status_code == 200
        return False

    def traefik(self) -> psutil.Process:
        """The proxy's process."""
        if self.proxy is not None:
            return psutil.Process(self.proxy.process.pid)
        return called(psutil.Process(self.hub.process.pid).children(), "traefik")[0]

    def restart(self) -> None:
        """Restart the Hub: by kill -9 in the demo's shape, where a polite end would end the servers as well."""
        if self.kind == "demo":
            self.hub.process.kill()
        else:
            self.hub.process.terminate()
        self.hub.process.wait(30)
        self.hub.start()


@pytest.fixture(scope="module", params=["demo", "production"])
def shape(request, tmp_path_factory) -> Iterator[Shape]:
    folder = tmp_path_factory.mktemp(request.param)
    extra, proxy = UNREACHABLE.format(timeout=HTTP_TIMEOUT), None
    with scripted() as service:
        service.say(Answer(parts=[b"served"]))
        if request.param == "demo":
            extra += DEMO
        else:
            proxy = ExternalProxy(folder)
            extra += proxy.config + PRODUCTION.format(service=service.url, token="0" * 32)
        hub = RunningHub(folder, users=FIVE, extra=extra)
        try:
            if proxy is not None:
                proxy.start(hub.port)
            found = Shape(request.param, hub, proxy)
            found.start()
            yield found
        finally:
            hub.stop()
            if proxy is not None:
                proxy.kill()


def test_running_servers_are_served_again_after_kill_9_of_the_proxy_and_nothing_else_was_touched(shape):
    hub_before, killed = shape.hub.process.pid, shape.traefik()
    killed.kill()
    if shape.proxy is not None:  # what a service manager does
        shape.proxy.kill()
        shape.proxy.start(shape.hub.port)
    shape.hub.wait()
    wait_for(lambda: shape.served(FIVE) and shape.services_served(), 60)
    assert shape.hub.process.poll() is None
    assert shape.hub.process.pid == hub_before
    assert shape.traefik() != killed
    shape.hub.stop_server("kim")
    shape.hub.start_server("kim")
    shape.servers["kim"] = psutil.Process(shape.answer("kim"))
    assert shape.served(FIVE)


def test_the_proxy_ends_with_the_hub_where_it_is_its_child_and_goes_on_where_it_is_not(shape):
    proxy = shape.traefik()
    shape.hub.process.kill()
    shape.hub.process.wait()
    if shape.kind == "demo":
        proxy.wait(30)
    else:
        assert sorted(shape.answers()) == sorted(process.pid for process in shape.servers.values())
    shape.hub.start()
    wait_for(lambda: shape.served(FIVE) and shape.services_served(), 60)
    assert (shape.traefik() == proxy) is (shape.kind == "production")


@pytest.mark.parametrize("way", AWAY)
def test_five_servers_are_served_again_when_a_restarted_hub_did_not_reach_them_for_longer_than_http_timeout(shape, way):
    leave, come_back = AWAY[way]
    for process in shape.servers.values():
        process.send_signal(leave)
    wait_for(lambda: not shape.answers(), 30)
    shape.restart()
    until = time.monotonic() + 2 * HTTP_TIMEOUT
    while time.monotonic() < until:
        assert [shape.hub.server(user)["pending"] for user in FIVE] == ["spawn"] * 5
        time.sleep(0.2)
    for user in FIVE[1:]:
        shape.servers[user].send_signal(come_back)
    wait_for(lambda: shape.served(FIVE[1:]), 60)  # they need not wait for the first
    assert shape.hub.server("ada")["pending"] == "spawn"
    assert shape.says("ada", "Your server runs, the Hub waits until it answers")
    shape.servers["ada"].send_signal(come_back)
    wait_for(lambda: shape.served(FIVE), 60)
    assert len(servers_of(shape.hub)) == 5
