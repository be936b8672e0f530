"""The service as the Hub's own, reached with the token of a user's server."""

import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest
from services.hub import STUB, RunningHub, free_port, wait_for
from services.workbench import gone

pytestmark = pytest.mark.hub

CONFIG = """
single_user: true
storages: {beamline: {root: raw, layout: "{proposal}/{scan}"}}
sources:
  watched: {kind: filesystem, storage: beamline, settle: 0.2s}
  posted: {kind: http, senders: {detector: {storages: [beamline], prefixes: [red]}}}
executors: {here: {kind: dask, workers: 1}}
"""
EXTRA = """
c.JupyterHub.services += [
    {{"name": "beamhub", "url": "http://127.0.0.1:{port}", "cwd": "{folder}",
      "command": ["{python}", "-m", "beamhub.config.command", "processing", "--supervise"]}},
    {{"name": "detector", "api_token": "{detector}"}},
]
c.JupyterHub.load_roles += [{{"name": "detector", "services": ["detector"],
    "scopes": ["access:services!service=beamhub", "custom:beamhub:ingest"]}}]
"""
KEEPS_ITS_TOKEN = """
import os, runpy, sys
open({folder!r} + "/token-" + os.environ["JUPYTERHUB_USER"], "w").write(os.environ["JUPYTERHUB_API_TOKEN"])
sys.argv = [{stub!r}]
runpy.run_path({stub!r}, run_name="__main__")
"""
DETECTOR = "d" * 32


class Site:
    """A Hub with the service; ada is in the group of proposal red, bob in that of blue."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        (folder / "raw").mkdir()
        (folder / "processing.yaml").write_text(CONFIG)
        extra = EXTRA.format(port=self.port, folder=folder, python=sys.executable, detector=DETECTOR)
        command = [sys.executable, "-c", KEEPS_ITS_TOKEN.format(folder=str(folder), stub=STUB[1])]
        self.hub = RunningHub(folder, groups={"red": ["ada"], "blue": ["bob"]}, command=command, extra=extra)
        self.tokens = {"detector": DETECTOR}

    def start_server(self, user: str) -> None:
        self.hub.start_server(user, options={"profile": "small"})
        self.tokens[user] = (self.folder / f"token-{user}").read_text()

    def ask(self, who: str, path: str, method: str = "GET", **more) -> httpx.Response:
        headers = {"Authorization": f"token {self.tokens[who]}"} if who else {}
        return httpx.request(method, self.url(path), headers=headers, timeout=20, **more)

    def url(self, path: str) -> str:
        return f"{self.hub.url}services/beamhub/api/v1/{path}"

    def up(self) -> bool:
        try:
            return self.ask("", "health").status_code == 200
        except httpx.HTTPError:
            return False

    def drop(self, name: str, proposal: str = "red") -> None:
        path = self.folder / "raw" / proposal / "scan1" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("12345")

    def files(self, who: str) -> set[str]:
        return {found["name"] for found in self.ask(who, "files").json()["items"]}

    def listening(self) -> psutil.Process | None:
        """The service's process, by its port."""
        found = [c.pid for c in psutil.net_connections("tcp4") if c.status == "LISTEN" and c.laddr.port == self.port]
        return psutil.Process(found[0]) if found else None


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    made = Site(tmp_path_factory.mktemp("site"))
    with made.hub:
        wait_for(made.up, 40, "the service does not answer")
        made.start_server("ada")
        made.start_server("bob")
        yield made


def test_the_token_of_a_server_reaches_the_service_with_exactly_its_scopes(site):
    who = httpx.get(f"{site.hub.url}hub/api/user", headers={"Authorization": f"token {site.tokens['ada']}"}).json()
    ours = {scope for scope in who["scopes"] if "beamhub" in scope}
    assert ours == {"access:services!service=beamhub", "custom:beamhub:read", "custom:beamhub:write"}
    assert site.ask("ada", "runs").status_code == 200
    assert site.ask("ada", "runs", "POST", json={"ids": []}).status_code == 201
    assert site.ask("ada", "events", "POST", json={}).json()["reason"] == "scope"
    assert site.ask("", "runs").status_code == 401


@pytest.mark.promise("access")
def test_a_file_is_seen_by_the_group_of_its_proposal_only(site):
    site.drop("adas.nxs")
    wait_for(lambda: "adas.nxs" in site.files("ada"))
    assert site.files("bob") == set()
    assert site.ask("bob", "runs?proposal=red").status_code == 404


def test_a_service_that_is_named_tells_of_files(site):
    event = {"specversion": "1.0", "id": "1", "source": "/detector", "type": "org.beamhub.file.closed"}
    event |= {"subject": "red/scan2/posted.nxs", "data": {"storage": "beamline", "size": 3}}
    headers = {"Authorization": f"token {DETECTOR}", "Content-Type": "application/cloudevents+json"}
    answer = httpx.post(site.url("events"), json=event, headers=headers)
    assert (answer.status_code, answer.json()) == (200, {"received": 1, "new": 1})
    assert "posted.nxs" in site.files("ada")
    assert site.ask("detector", "runs").status_code == 403


@pytest.mark.promise("access")
def test_a_token_that_was_revoked_ends_its_stream_within_a_minute(site):
    made = site.hub.api("POST", "users/ada/tokens", json={"note": "test"}).json()
    headers = {"Authorization": f"token {made['token']}"}
    with httpx.stream("GET", site.url("changes"), headers=headers, timeout=70) as stream:
        lines = stream.iter_lines()
        assert next(lines) == ":"
        site.hub.api("DELETE", f"users/ada/tokens/{made['id']}").raise_for_status()
        revoked = time.monotonic()
        assert set(lines) <= {":", ""}
    assert time.monotonic() - revoked < 60
    assert httpx.get(site.url("runs"), headers=headers).status_code == 401


@pytest.mark.promise("kills of the service")
def test_the_service_dies_with_its_hub_and_nothing_is_missing_when_both_are_back(site):
    process = site.listening()
    site.hub.kill()
    assert gone(process, 15)
    site.drop("meanwhile.nxs")
    site.hub.start()
    wait_for(site.up, 40, "the service does not answer")
    wait_for(lambda: site.files("ada") == {"adas.nxs", "posted.nxs", "meanwhile.nxs"})
