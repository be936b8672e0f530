"""A page that is left open while nothing happens: it sends nothing, hears nothing, and keeps no server.

At both proxies at once: half a minute is waited for once. The heartbeat that a server is made to send at last shows
that what is counted as nothing would be something.
"""

import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from browser.tools import READY, kernel_idle, run_cell
from jupyter_client.session import Session
from playwright.sync_api import Page, expect
from services.facility import PROCESSING, Facility
from services.hub import LOCAL, PASSWORD, die_with_parent, wait_for
from services.proxy import configurable
from services.service import FUNCTION
from services.sight import OUT_OF_SIGHT
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

pytestmark = [pytest.mark.browser, pytest.mark.chp, pytest.mark.timeout(400)]
ROOT = Path(__file__).parents[2]
PROXIES = {"traefik": "", "configurable-http-proxy": configurable()}
IDLE_S = 33  # longer than heartbeats usually wait for each other (30 s), and than the service's own (20 s)
CULL_S = 15  # without activity; kernels are looked at each 5 s, the rest of what follows is told within a second
RULES = """
functions: [functions]
rules:
  sizes: {when: {storage: beamline, path: "*/*/*.raw"}, function: count}
"""
EXTRA = """
c.Spawner.args = ["--ServerApp.jpserver_extensions={'beamhub.server_extension': True}", "--allow-root",
                  "--ServerApp.tornado_settings={'ws_ping_interval': 3000}"]
c.Spawner.environment = {"JUPYTERHUB_ACTIVITY_INTERVAL": "1"}
c.JupyterHub.last_activity_interval = 1
"""
# ada's server: as soon as there is a file "beat" it sends a comment a second to each page that listens
BEAT = """
import functools, os
from tornado.ioloop import PeriodicCallback
from beamhub.server_extension.changes import Changes

plain = Changes.get

async def get(self):
    async def beat():
        if os.path.exists("beat"):
            self.write(": alive\\n\\n")
            await self.flush()
    beating = PeriodicCallback(beat, 1000)
    beating.start()
    try:
        await plain(self)
    finally:
        beating.stop()

Changes.get = functools.wraps(plain)(get)
"""


class Wire:
    """A stream of changes as bytes: all that comes through the proxy counts, whatever it means."""

    def __init__(self, here: Facility) -> None:
        parts = urlsplit(here.hub.url)
        self.socket = socket.create_connection((parts.hostname, parts.port))
        self.socket.sendall(
            f"GET /user/ada/beamhub/api/changes HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            f"Authorization: token {here.hub.token('ada')}\r\n\r\n".encode()
        )
        self.socket.setblocking(False)
        self.heard = b""

    def hears(self, text: bytes = b"") -> bool:
        """Whether a text came, after all that came until now is taken in."""
        with contextlib.suppress(BlockingIOError):
            while more := self.socket.recv(65536):
                self.heard += more
            raise EOFError("the stream ended")
        return text in self.heard


class Watched:
    """A page, and what its own connections (the extension, the kernel's channel) sent and heard since ``clear``."""

    def __init__(self, page: Page) -> None:
        self.page, self.traffic, self._of = page, [], {}
        client = page.context.new_cdp_session(page)
        client.send("Network.enable")
        client.on("Network.requestWillBeSent", lambda e: self._begun(e["requestId"], e["request"]["url"]))
        client.on("Network.webSocketCreated", lambda e: self._begun(e["requestId"], e["url"]))
        for event in ("dataReceived", "webSocketFrameSent", "webSocketFrameReceived"):
            client.on(f"Network.{event}", lambda e, event=event: self._count(event, self._of.get(e["requestId"], "")))

    def _begun(self, number: str, url: str) -> None:
        self._of[number] = url
        self._count("request", url)

    def _count(self, event: str, url: str) -> None:
        if "/beamhub/api/" in url or urlsplit(url).path.endswith("/channels"):
            self.traffic.append((event, url))

    def hide(self) -> None:
        """The tab goes out of sight."""
        self.page.evaluate(OUT_OF_SIGHT)


async def compute(server: httpx.Client, code: str) -> None:
    """Let a kernel compute in bob's server, without a page."""
    kernel = wait_for(lambda: (made := server.post("user/bob/api/kernels")).status_code == 201 and made.json()["id"])
    url = f"{server.base_url}user/bob/api/kernels/{kernel}".replace("http", "ws", 1)
    session = Session(username="bob")
    asked = session.msg("execute_request", {"code": code, "silent": False, "store_history": False})
    channel = await websocket_connect(HTTPRequest(f"{url}/channels", headers=server.headers))
    await channel.write_message(json.dumps({**asked, "channel": "shell"}, default=str))
    wait_for(lambda: server.get(f"user/bob/api/kernels/{kernel}").json()["execution_state"] == "busy")
    channel.close()
    while await channel.read_message() is not None:  # until it is closed
        pass


class Place:
    """A facility behind one proxy: ada looks at a table, bob's kernel computes and says nothing."""

    def __init__(self, folder: Path, proxy: str) -> None:
        self.here = Facility(folder, command=["jupyterhub-singleuser"], extra=EXTRA + proxy)
        (folder / "compute.yaml").write_text(LOCAL)
        (folder / "processing.yaml").write_text(PROCESSING + RULES)
        (folder / "functions").mkdir(mode=0o700)
        (folder / "functions/sizes.py").write_text(FUNCTION)
        home = folder / "home/ada"
        (home / ".jupyter").mkdir(parents=True, mode=0o700)
        (home / ".jupyter/jupyter_server_config.py").write_text(BEAT)
        shutil.copy(ROOT / "examples/demo/home/tutorial.ipynb", home)

    def ready(self) -> None:
        """Start what takes its time."""
        hub = self.here.hub
        hub.start()
        for user in ("ada", "bob"):
            hub.ask_server(user, options={"profile": "small"}).raise_for_status()
        wait_for(self.here.up, 90, "the service does not answer")
        for user in ("ada", "bob"):
            hub.wait_ready(user)
        asyncio.run(compute(hub.as_user("bob"), "import time; time.sleep(3600)"))
        self.here.drop("a.raw")
        ada = hub.as_user("ada")
        wait_for(lambda: '"done"' in ada.get("user/ada/beamhub/api/v1/runs").text)  # else its end would be heard

    def open(self, browser) -> Watched:
        """Ada's page in Lab."""
        page = browser.new_context(viewport={"width": 1280, "height": 1000}).new_page()
        page.set_default_timeout(60_000)
        page.goto(f"{self.here.hub.url}hub/login?next=/hub/home")
        page.fill("#username_input", "ada")
        page.fill("#password_input", PASSWORD)
        page.click("#login_submit")
        expect(page.locator("#logout")).to_be_visible()
        watched = Watched(page)
        page.goto(f"{self.here.hub.url}user/ada/lab/tree/tutorial.ipynb")
        kernel_idle(page)
        return watched

    def look(self, browser) -> None:
        """Open ada's table, and a bare stream besides."""
        self.ada = self.open(browser)
        run_cell(self.ada.page, 0)
        expect(self.ada.page.locator(f"{READY} .bh-row .bh-tail")).to_have_text(["a.raw"])
        expect(self.ada.page.locator(f"{READY} .bh-live")).to_have_text("● live")
        self.wire = Wire(self.here)
        wait_for(lambda: self.wire.hears(b'"live": true'))

    def clear(self) -> None:
        """What was sent and heard so far does not count."""
        self.wire.hears()
        self.wire.heard = b""
        self.ada.traffic.clear()

    def silent(self) -> bool:
        """Whether nothing was sent or heard since."""
        self.wire.hears()
        return not self.wire.heard and not self.ada.traffic

    def end(self) -> None:
        """Ends what was started, and what was opened."""
        with contextlib.suppress(AttributeError):
            self.wire.socket.close()
        self.here.hub.stop()

    def there(self, user: str) -> bool:
        """Whether a user's server is there, for the Hub."""
        server = self.here.hub.server(user)
        return bool(server and server["ready"])


@pytest.fixture(scope="module")
def places(tmp_path_factory, browser) -> Iterator[dict[str, Place]]:
    with contextlib.ExitStack() as stack, ThreadPoolExecutor() as threads:
        made = {}
        for name, proxy in PROXIES.items():
            made[name] = Place(tmp_path_factory.mktemp("facility"), proxy)
            stack.callback(made[name].end)
        list(threads.map(Place.ready, made.values()))
        for place in made.values():
            place.look(browser)
        yield made


def clear(places: dict[str, Place], page: Page) -> None:
    """What opening a page brings with it is over, and nothing of it counts."""
    for _ in range(30):
        for place in places.values():
            place.clear()
        page.wait_for_timeout(2000)
        if all(place.silent() for place in places.values()):
            return
    pytest.fail("what opening a page brings with it does not end")


@pytest.fixture(scope="module")
def quiet(places) -> dict[str, tuple[bytes, list]]:
    """What came while nothing happened: to the bare stream, and of the page's own connections."""
    page = next(iter(places.values())).ada.page
    clear(places, page)
    page.wait_for_timeout(IDLE_S * 1000)
    for place in places.values():
        place.wire.hears()
    return {name: (place.wire.heard, list(place.ada.traffic)) for name, place in places.items()}


@pytest.mark.promise("Hub and proxy")
@pytest.mark.parametrize("proxy", PROXIES)
def test_an_idle_page_asks_nothing_and_hears_not_a_byte(quiet, proxy):
    assert quiet[proxy] == (b"", [])


@pytest.mark.promise("Hub and proxy")
@pytest.mark.parametrize("proxy", PROXIES)
def test_a_page_that_was_idle_hears_what_comes_next(quiet, places, proxy):
    place = places[proxy]
    place.here.drop("b.raw")
    expect(place.ada.page.locator(f"{READY} .bh-row .bh-tail")).to_have_text(["b.raw", "a.raw"])
    wait_for(lambda: place.wire.hears(b"event: change"))
    assert {event for event, _ in place.ada.traffic} >= {"request", "dataReceived"}


@pytest.mark.parametrize("proxy", PROXIES)
def test_a_heartbeat_would_be_counted(quiet, places, proxy):
    place = places[proxy]
    clear({proxy: place}, place.ada.page)
    (place.here.folder / "home/ada/beat").touch()
    for _ in range(50):
        if place.wire.hears(b": alive") and any("/changes" in url for _, url in place.ada.traffic):
            break
        place.ada.page.wait_for_timeout(200)
    assert place.wire.hears(b": alive")
    assert {event for event, url in place.ada.traffic if "/changes" in url} == {"dataReceived"}
    (place.here.folder / "home/ada/beat").unlink()


@pytest.fixture(scope="module")
def culled(quiet, places) -> Iterator[dict[str, Place]]:
    """Ada's tab is out of sight, with its table live and her kernel there; servers are ended that did nothing."""
    with contextlib.ExitStack() as stack:
        for place in places.values():
            place.ada.hide()
            hub = place.here.hub
            command = [sys.executable, "-m", "jupyterhub_idle_culler", f"--timeout={CULL_S}", "--cull-every=1"]
            told = {**os.environ, "JUPYTERHUB_API_TOKEN": hub.admin, "JUPYTERHUB_API_URL": f"{hub.url}hub/api"}
            log = stack.enter_context((place.here.folder / "culler.log").open("w"))
            culler = subprocess.Popen(command, env=told, stdout=log, stderr=log, preexec_fn=die_with_parent)
            stack.callback(culler.wait)
            stack.callback(culler.kill)
        yield places


@pytest.mark.promise("Hub and proxy")
@pytest.mark.parametrize("proxy", PROXIES)
def test_a_server_whose_page_is_only_left_open_is_ended_as_idle(culled, proxy):
    place = culled[proxy]
    wait_for(lambda: not place.there("ada"), 3 * CULL_S, "the idle server is still there")


@pytest.mark.promise("Hub and proxy")
@pytest.mark.parametrize("proxy", PROXIES)
def test_a_server_whose_kernel_computes_is_not_ended_as_idle_though_it_says_nothing(culled, proxy):
    place = culled[proxy]
    place.ada.page.wait_for_timeout(2000)
    assert "Culling server ada" in (place.here.folder / "culler.log").read_text()
    assert place.there("bob")
