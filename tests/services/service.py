"""``beamhub processing`` as a process, with a Hub that answers for a few tokens."""

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import psutil
from services.api import INGEST, READ, WRITE, user
from services.living import family, gone, lives
from services.ports import free_port
from services.workbench import wait_for

FUNCTION = """
import os
import time
from pathlib import Path
from typing import Annotated
import h5py
from pydantic import Field
from beamhub.processing.functions import Scalar, Summary, function

@function(title="Bytes", version="1", timeout="20s", memory="1G")
def count(raw: Path, out: Path, wait: Annotated[float, Field(ge=0)] = 0) -> Summary:
    with h5py.File(out, "w") as file:
        file["size"] = raw.stat().st_size
    time.sleep(wait)
    return Summary(scalars={"size": Scalar(value=raw.stat().st_size, unit="B")})
"""
HEAD = """
store: sqlite:///beamhub.db
single_user: true
storages: {beamline: {root: raw, layout: "{proposal}/{scan}"}}
sources:
  watched: {kind: filesystem, storage: beamline, settle: 0.2s}
  posted: {kind: http, senders: {detector: {storages: [beamline], prefixes: [red/posted]}}}
functions: [functions]
"""


def config(rules: str, executor: str = "{kind: dask, workers: 2}") -> str:
    """A processing.yaml with a watched folder ``raw`` and these rules, a line each."""
    return f"{HEAD}executors: {{here: {executor}}}\nrules:\n{rules.lstrip(chr(10))}"


CONFIG = config(
    """
  sizes: {when: {storage: beamline, path: "*/*/*.raw"}, function: count}
""",
    executor="{kind: dask, workers: 1}",
)


USERS = {
    "alice": user("alice", ["red", "green"], WRITE),
    "bob": user("bob", ["blue"], READ),
    "staff": user("carol", ["red", "staff"], WRITE),
    "detector": {"kind": "service", "name": "detector", "scopes": list(INGEST)},
}


class HubApi(BaseHTTPRequestHandler):
    def do_GET(self):
        found = USERS.get(self.headers["Authorization"].partition(" ")[2])
        body = json.dumps(found or {"status": 403}).encode()
        self.send_response(200 if found else 403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Not logged."""


@contextlib.contextmanager
def hub_api() -> Iterator[str]:
    """The address of a Hub's API that knows the users above."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), HubApi)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hub/api"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def processing(folder: Path, hub_url: str, config: str = CONFIG, function: str = FUNCTION) -> Iterator["Running"]:
    """A folder with a processing.yaml, its functions and its storage; what was started there ends with it."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Running(folder, hub_url, free_port(), function, config)
    try:
        yield made
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            made.stop()


class Running:
    """``beamhub processing`` in a folder."""

    def __init__(self, folder: Path, hub_url: str, port: int, functions: str = FUNCTION, config: str = CONFIG) -> None:
        self.folder, self.port = folder, port
        (folder / "raw").mkdir()
        (folder / "functions").mkdir()
        (folder / "functions/sizes.py").write_text(functions)
        (folder / "functions/sizes.py").chmod(0o644)
        (folder / "processing.yaml").write_text(config)
        self.environment = os.environ | {
            "JUPYTERHUB_API_URL": hub_url,
            "JUPYTERHUB_API_TOKEN": "of the service",
            "JUPYTERHUB_SERVICE_NAME": "beamhub",
            "JUPYTERHUB_SERVICE_URL": f"http://127.0.0.1:{self.port}",
            "JUPYTERHUB_SERVICE_PREFIX": "/services/beamhub/",
        }
        self.copies: list[subprocess.Popen[bytes]] = []

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a copy of the service."""
        command = [sys.executable, "-m", "beamhub.config.command", "processing", "--config", "processing.yaml"]
        with (self.folder / "log").open("a") as log:
            copy = subprocess.Popen([*command, *arguments], cwd=self.folder, env=self.environment, stderr=log)
        self.copies.append(copy)
        return copy

    def log(self) -> list[dict[str, Any]]:
        """What was logged, parsed."""
        lines = (self.folder / "log").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def logged(self, text: str) -> bool:
        """Whether the log holds a text."""
        return text in (self.folder / "log").read_text()

    def ask(self, path: str, who: str = "alice", method: str = "GET", **more: Any) -> httpx.Response:
        """One request to its API; 599 where nobody answers."""
        url = f"http://127.0.0.1:{self.port}/services/beamhub/api/v1/{path}"
        try:
            headers = {"Authorization": f"token {who}"} | more.pop("headers", {})
            return httpx.request(method, url, headers=headers, timeout=30, **more)
        except httpx.TransportError:
            return httpx.Response(599)

    def up(self) -> bool:
        """Whether it answers."""
        return self.ask("health").status_code == 200

    def runs(self, **query: Any) -> list[dict[str, Any]]:
        """The runs that Alice sees."""
        answer = self.ask("runs", params=query)
        return answer.json()["items"] if answer.status_code == 200 else []

    def drop(self, name: str, proposal: str = "red") -> None:
        """A raw file is written."""
        path = self.folder / "raw" / proposal / "scan1" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("12345")

    def service(self) -> psutil.Process | None:
        """The process that listens, below a supervising parent or not."""
        below = psutil.Process(self.copies[-1].pid).children()
        return next(filter(lives, below), None)

    def done(self, number: int, within_s: float = 60) -> list[dict[str, Any]]:
        """Wait until so many runs are done, and return them."""
        wait_for(lambda: len(self.runs(state="done", limit=500)) >= number, within_s)
        return self.runs(state="done", limit=500)

    def processes(self) -> list[psutil.Process]:
        """All that run here."""
        return [p for copy in self.copies if copy.poll() is None for p in family(copy.pid)]

    def stop(self) -> None:
        """End all, and see that nothing is left."""
        left = self.processes()
        for copy in self.copies:
            copy.terminate()
        for copy in self.copies:
            copy.wait(20)
        assert all(gone(process, 5) for process in left)
