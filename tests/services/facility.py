"""A facility: a real Hub with the real service as its own, and users in groups of proposals.

with facility(folder) as here:
    here.start_server("ada")           # ada is in the group of proposal red, bob in that of blue
    here.ask("ada", "runs")            # with the token of ada's server
"""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import psutil
from services.hub import STUB, TLS, RunningHub, wait_for
from services.ports import free_port

PROCESSING = """
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
      "command": ["{python}", "-m", "beamhub.config.command", "processing", "--supervise",
                  "--config", "{folder}/processing.yaml"]}},
    {{"name": "detector", "api_token": "{detector}"}},
]
c.JupyterHub.load_roles += [{{"name": "detector", "services": ["detector"],
    "scopes": ["access:services!service=beamhub", "custom:beamhub:ingest"]}}]
"""
DETECTOR = "d" * 32


class Facility:
    """A Hub with the service; ada is in the group of proposal red, bob in that of blue.

    Args:
        folder: an empty folder.
        command: what a server is.
        extra: further lines of jupyterhub_config.py.
    """

    def __init__(self, folder: Path, command: Sequence[str] = STUB, extra: str = "") -> None:
        self.folder, self.port = folder, free_port()
        (folder / "raw").mkdir()
        (folder / "processing.yaml").write_text(PROCESSING)
        service = EXTRA.format(port=self.port, folder=folder, python=sys.executable, detector=DETECTOR)
        self.hub = RunningHub(folder, groups={"red": ["ada"], "blue": ["bob"]}, command=command, extra=service + extra)
        self.tokens = {"detector": DETECTOR}

    def start_server(self, user: str) -> None:
        """Start somebody's server, and keep its token."""
        job = self.hub.start_server(user, options={"profile": "small"})["state"]["start"]["job"]
        self.tokens[user] = (self.folder / f"home/{user}/.beamhub/{job}/token").read_text()

    def ask(self, who: str, path: str, method: str = "GET", **more: Any) -> httpx.Response:
        """A request to the service's API with somebody's token."""
        headers = {"Authorization": f"token {self.tokens[who]}"} if who else {}
        return httpx.request(method, self.url(path), headers=headers, timeout=20, verify=TLS, **more)

    def url(self, path: str) -> str:
        """An address of the service's API."""
        return f"{self.hub.url}services/beamhub/api/v1/{path}"

    def up(self) -> bool:
        """Whether the service answers."""
        try:
            return self.ask("", "health").status_code == 200
        except httpx.HTTPError:
            return False

    def drop(self, name: str, proposal: str = "red") -> None:
        """A file becomes complete."""
        path = self.folder / "raw" / proposal / "scan1" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("12345")

    def files(self, who: str) -> set[str]:
        """The files that somebody sees."""
        return {found["name"] for found in self.ask(who, "files").json()["items"]}

    def listening(self) -> psutil.Process | None:
        """The service's process, by its port."""
        found = [c.pid for c in psutil.net_connections("tcp4") if c.status == "LISTEN" and c.laddr.port == self.port]
        return psutil.Process(found[0]) if found else None


@contextlib.contextmanager
def facility(folder: Path, **more: Any) -> Iterator[Facility]:
    """A facility that runs, without servers."""
    made = Facility(folder, **more)
    with made.hub:
        wait_for(made.up, 90, "the service does not answer")
        yield made
