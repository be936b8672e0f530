"""Who may see what at a real Hub with the real service: tokens that expire, groups that end, where no token lies."""

import json
import re
import threading
import time
from pathlib import Path

import httpx
import pytest
from services.facility import facility
from services.hub import wait_for
from services.jupyter import OURS, jupyter

from beamhub.catalog import requests
from beamhub.catalog.client import Client, Service
from beamhub.catalog.errors import TokenExpired
from beamhub.processing import openapi

pytestmark = [pytest.mark.hub, pytest.mark.promise("access")]
EXTRA = """
c.Spawner.args = ["--ServerApp.jpserver_extensions={'beamhub.server_extension': True}", "--allow-root"]
"""
BOUND_S = 60.0  # which what the Hub said of somebody may be old
RESTART = "restart your server"


class Hearing:
    """A stream of changes that somebody listens to, in a thread: ``events`` with the moments at which they came."""

    def __init__(self, url, token):
        self.events, self.opened, self.ended = [], threading.Event(), None
        self.asked = (url, {"Authorization": f"token {token}"})
        threading.Thread(target=self._hear, daemon=True).start()
        assert self.opened.wait(60)

    def _hear(self):
        url, headers = self.asked
        try:
            with httpx.stream("GET", url, headers=headers, timeout=150) as stream:
                self.opened.set()
                name = ""
                for line in stream.iter_lines():
                    name = line.removeprefix("event: ") if line.startswith("event: ") else name
                    if line.startswith("data: "):
                        self.events.append((time.monotonic(), name, json.loads(line[6:])))
        except httpx.HTTPError:
            pass
        self.ended = time.monotonic()

    def told(self, name):
        """What was said under a name."""
        return [data for _, event, data in self.events if event == name]


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A facility in which ada has a real notebook server; eve is in her group, until she is not."""
    folder = tmp_path_factory.mktemp("facility")
    with facility(folder, command=["jupyterhub-singleuser"], extra=EXTRA) as made:
        made.hub.api("POST", "users/eve").raise_for_status()
        made.hub.api("POST", "groups/red/users", json={"users": ["eve"]}).raise_for_status()
        made.start_server("ada")
        made.tokens |= {who: made.hub.token(who) for who in ("bob", "eve")}
        made.secret = (folder / "home/ada/.beamhub").glob("bh-*/secret").__next__().read_text()
        made.drop("adas.nxs")
        wait_for(lambda: made.files("ada") == {"adas.nxs"})
        yield made


def minted(here, user, **how):
    """A token of a user, as the user's token page makes it."""
    return here.hub.as_user(user).post(f"hub/api/users/{user}/tokens", json=how).raise_for_status().json()["token"]


def known(here, token):
    """Whether the Hub knows a token."""
    answer = httpx.get(f"{here.hub.url}hub/api/user", headers={"Authorization": f"token {token}"}, timeout=30)
    return answer.status_code == 200


@pytest.fixture(scope="module")
def expired(here):
    """A token of ada's that was good for a second."""
    token = here.tokens["expired"] = minted(here, "ada", expires_in=1)
    wait_for(lambda: not known(here, token))
    return token


READS = {path for path, methods in openapi.document()["paths"].items() if "get" in methods}
OPEN = {"/health", "/openapi.json"}


@pytest.mark.parametrize("path", sorted(READS - OPEN))
def test_an_expired_token_opens_nothing_of_the_api_and_is_told_to_restart_the_server(here, expired, path):
    answer = here.ask("expired", path[1:].format(id=1, name="key"))
    assert (answer.status_code, answer.json()["reason"]) == (401, "token")
    assert RESTART in answer.json()["message"]


def test_an_expired_token_is_an_exception_in_the_kernel_that_says_what_to_do(here, expired):
    client = Client(Service(here.url("").removesuffix("api/v1/"), expired))
    try:
        with pytest.raises(TokenExpired, match=RESTART):
            client.send(requests.runs())
        with pytest.raises(TokenExpired, match=RESTART):
            next(client.follow())
    finally:
        client.close()


@pytest.fixture(scope="module")
def behind(here, tmp_path_factory):
    """The extension in a notebook server whose token expires while a page of it listens, and what that page hears."""
    token = here.tokens["expires"] = minted(here, "ada", expires_in=20)
    url = here.url("").removesuffix("api/v1/")
    with jupyter(tmp_path_factory.mktemp("server"), BEAMHUB_SERVICE_URL=url, JUPYTERHUB_API_TOKEN=token) as server:
        assert server.get("hello?service=1").json()["service"] == "ok"
        server.page = Hearing(f"{server.base_url}changes", OURS)
        wait_for(lambda: server.page.told("status")[-1:] and server.page.told("status")[-1]["live"])
        yield server


@pytest.fixture(scope="module")
def minute(here, behind):
    """A minute in which eve loses her group, a token is revoked and one expires, while their streams are open."""
    revoked = here.hub.api("POST", "users/ada/tokens", json={"note": "revoked"}).json()
    here.tokens["revoked"] = revoked["token"]
    streams = {who: Hearing(here.url("changes"), here.tokens[who]) for who in ("ada", "eve", "revoked")}
    here.drop("before.nxs")
    wait_for(lambda: all(stream.told("change") for stream in streams.values()))
    here.hub.api("DELETE", f"users/ada/tokens/{revoked['id']}").raise_for_status()
    streams["gone"] = time.monotonic()
    here.hub.api("DELETE", "groups/red/users", json={"users": ["eve"]}).raise_for_status()
    streams["lost"] = time.monotonic()
    wait_for(lambda: not known(here, here.tokens["expires"]), 60)
    streams["expired"] = time.monotonic()
    return streams


def test_a_group_removed_while_the_stream_is_open_ends_its_hints_within_a_minute(here, minute):
    eve = minute["eve"]
    wait_for(lambda: eve.told("proposals"), BOUND_S)
    when = next(moment for moment, name, _ in eve.events if name == "proposals")
    assert when - minute["lost"] < BOUND_S
    assert eve.told("proposals") == [{"proposals": []}]
    heard, others = len(eve.told("change")), len(minute["ada"].told("change"))
    here.drop("after.nxs")
    wait_for(lambda: len(minute["ada"].told("change")) > others)
    assert len(eve.told("change")) == heard
    assert here.files("eve") == set()
    assert here.ask("eve", "runs?proposal=red").status_code == 404
    assert {"adas.nxs", "before.nxs", "after.nxs"} <= here.files("ada")


def test_a_token_that_was_revoked_ends_its_stream_within_a_minute(here, minute):
    assert wait_for(lambda: minute["revoked"].ended, BOUND_S) - minute["gone"] < BOUND_S
    assert here.ask("revoked", "runs").status_code == 401


def test_a_token_that_expires_while_a_page_listens_is_told_to_the_page_within_a_minute(behind, minute):
    told = wait_for(lambda: [data for data in behind.page.told("status") if RESTART in data["message"]], BOUND_S)
    assert not told[0]["live"]
    when = next(moment for moment, name, data in behind.page.events if name == "status" and RESTART in data["message"])
    assert when - minute["expired"] < BOUND_S
    assert behind.log().count(RESTART) == 1


@pytest.mark.parametrize("path", ["v1/runs", "v1/files", "v1/proposals", "v1/results/1/file", "hdf5/1/meta"])
def test_with_an_expired_token_every_answer_of_the_extension_says_to_restart_the_server(behind, minute, path):
    def refused():
        answer = behind.get(path)
        return answer if answer.status_code != 200 else None  # what the Hub said before counts for half a minute

    answer = wait_for(refused, BOUND_S)
    assert answer.status_code == 401
    assert RESTART in answer.json()["message"]
    hello = behind.get("hello?service=1").json()
    assert (hello["service"], RESTART in hello["message"]) == ("forbidden", True)


PAGES = (
    "hub/home", "hub/spawn/ada", "hub/token", "hub/api/user", "hub/none", "user/bob/", "user/ada/lab",
    "user/ada/api/status", "user/ada/beamhub/api/hello", "services/beamhub/", "services/beamhub/api/v1/runs",
    "services/beamhub/api/v1/health",
)  # fmt: skip
# where tokens have to be: of the server, its secret, of Jupyter's own programs of the same account, of the operator
HOLD = re.compile(r".*/(bh-[^/]*/(token|secret)|runtime/jpserver-.*|jupyterhub_config\.py)")


def holding(values, places):
    """Which values are in which places."""
    return {(name, where) for name, value in values.items() for where, text in places.items() if value.encode() in text}


def contents(folder):
    """All files below a folder."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path): path.read_bytes() for path in paths}


def test_no_token_is_in_any_log_file_or_page(here, expired, behind, minute):
    page = here.hub.logged_in("ada")
    values = {**here.tokens, "admin": here.hub.admin, "secret": here.secret, "ada's own": here.hub.token("ada")}
    seen = {path: page.get(path).content for path in PAGES}
    for name, value in values.items():  # somebody sends it in the address, or where it does not belong
        for path in PAGES:
            query = {"token": value} | ({"next": f"/hub/?token={value}"} if path.startswith("hub/") else {})
            seen[f"{path} for {name}"] = httpx.get(f"{here.hub.url}{path}", params=query, timeout=30).content
        httpx.get(here.url("runs"), headers={"Authorization": f"Basic {value}"}, timeout=30)
        behind.get("v1/runs", params={"token": value})
    files = contents(here.folder)
    hold = {path for path in files if HOLD.fullmatch(path)}
    assert holding(values, seen | {path: text for path, text in files.items() if path not in hold}) == set()
    assert holding(values, {"log": behind.log().encode()}) == set()
    holders = {path for _, path in holding(values, {path: files[path] for path in hold})}
    assert {path for path in map(Path, holders) if path.stat().st_mode & path.parent.stat().st_mode & 0o077} == set()
    assert {Path(path).name for path in files} >= {"hub.log", "server.log", "jupyterhub.sqlite", "beamhub.db"}
    assert {name for name, _ in holding(values, {path: files[path] for path in hold})} >= {"ada", "secret", "admin"}
    here.hub.stop_server("ada")
    own = {name: values[name] for name in ("ada", "secret")}
    wait_for(lambda: holding(own, contents(here.folder)) == set())
