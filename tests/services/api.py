"""The service's API in this process: a real store, a library that was described beforehand, and a Hub that answers."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from tornado.testing import bind_unused_port
from tornado.web import HTTPError

from beamhub.catalog.records import Scalar
from beamhub.processing.api.handler import Service
from beamhub.processing.api.routes import application
from beamhub.processing.api.server import server
from beamhub.processing.event import FileEvent, identity
from beamhub.processing.feed import Feed
from beamhub.processing.intake import Intake
from beamhub.processing.library import Library
from beamhub.processing.notice import Notice
from beamhub.processing.settings import Settings
from beamhub.processing.store import Store
from beamhub.processing.work import Failure, Outcome, Retry

PREFIX = "/services/beamhub/"
READ = ("access:services!service=beamhub", "custom:beamhub:read")
WRITE = (*READ, "custom:beamhub:write")
INGEST = ("access:services!service=beamhub", "custom:beamhub:ingest")
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
FUNCTIONS = [
    {
        "module": "sums.py",
        "name": name,
        "title": title,
        "version": "1",
        "description": "",
        "timeout_s": 60.0,
        "memory_bytes": 2**30,
        "parameters": {
            "type": "object",
            "properties": {
                "bins": {"type": "integer", "minimum": 1, "default": 100},
                "mask": {"type": "string", "format": "path"},
            },
            "additionalProperties": False,
        },
    }
    for name, title in (("add", "Sum"), ("mean", "Mean"))
]


class FakeHub:
    """Knows tokens as the Hub does; while ``away`` it does not answer."""

    def __init__(self) -> None:
        self.api_url = "http://127.0.0.1:9/hub/api"
        self.access_scopes = {"access:services", "access:services!service=beamhub"}
        self.away = False
        self.tokens = {
            "alice": user("alice", ["red", "everybody"], WRITE),
            "bob": user("bob", ["blue", "everybody"], WRITE),
            "reader": user("alice", ["red"], READ),
            "staff": user("carol", ["p03-staff", "everybody"], WRITE),
            "admin": user("dave", ["data-admins"], WRITE),
            "nobody": user("eve", [], WRITE),
            "stranger": user("alice", ["red"], ("custom:beamhub:read", "custom:beamhub:write")),
            "ingester": {"kind": "service", "name": "ingester", "scopes": list(INGEST)},
            "other": {"kind": "service", "name": "other", "scopes": list(INGEST)},
            "prometheus": {"kind": "service", "name": "prometheus", "scopes": list(READ)},
            "pushing": user("alice", ["red"], (*WRITE, "custom:beamhub:ingest")),
        }

    async def user_for_token(self, token: str, use_cache: bool = True, *, sync: bool = True) -> dict | None:
        if self.away:
            raise HTTPError(502, "Failed to check authorization (upstream problem)")
        return self.tokens.get(token)


def user(name: str, groups: list[str], scopes: tuple[str, ...]) -> dict:
    return {"kind": "user", "name": name, "admin": False, "groups": groups, "scopes": list(scopes)}


@dataclass
class Bench:
    """A service with two proposals: red, which Alice sees, and blue, which Bob sees."""

    folder: Path
    store_url: str = "sqlite:///beamhub.db"
    hub: FakeHub = field(default_factory=FakeHub)
    notice: Notice = field(default_factory=Notice)
    url: str = ""

    def __post_init__(self) -> None:
        (self.folder / "raw").mkdir()
        functions = self.folder / "functions"
        functions.mkdir()
        (functions / "sums.py").write_text("")
        self.settings = Settings.model_validate(
            {
                "store": self.store_url,
                "storages": {
                    "beamline": {"root": "raw", "layout": "{proposal}/{scan}", "staff": "p03-staff"},
                    "other": {"root": "raw", "layout": "{proposal}"},
                },
                "access": {"proposal_group": "{proposal}", "all": ["data-admins"]},
                "sources": {
                    "posted": {
                        "kind": "http",
                        "senders": {"ingester": {"storages": ["beamline"], "prefixes": ["red", "blue/scan1"]}},
                    }
                },
                "functions": ["functions"],
                "rules": {
                    "sum": {
                        "title": "Sum",
                        "when": {"storage": "beamline", "path": "*/*/*.nxs"},
                        "function": "add",
                        "with": {"bins": 7},
                    }
                },
            },
            context={"folder": self.folder},
        )
        self.store = Store.open(self.settings.store)
        describe = lambda copy, digest: {"functions": FUNCTIONS, "mistakes": {}}  # noqa: E731
        self.library = Library(self.settings.functions, self.folder / "copies", describe)
        self.library.refresh()
        self.intake = Intake(self.store, self.library, self.settings)
        self.intake.ready.set()

    def arrive(self, *paths: str, storage: str = "beamline") -> list[int]:
        """Files become complete; the ids of their runs."""
        before = self._newest_run()
        events = [
            FileEvent("watched", storage, identity(path, 3, number, 1), storage, path, 3, NOON)
            for number, path in enumerate(paths)
        ]
        arrivals = [asyncio.run(self.intake._arrival(event)) for event in events]
        self.store.intake(arrivals)
        return list(range(before + 1, self._newest_run() + 1))

    def finish(self, run: int, scalars: dict[str, float] | None = None, output: bytes = b"0123456789") -> None:
        """A queued run comes to its end, with an output, a preview and a plot."""
        claim = self.claim(run)
        folder = self.settings.results / f"{claim.proposal}/{run}/{claim.attempt}"
        folder.mkdir(parents=True)
        (folder / "out.nxs").write_bytes(output)
        (folder / "preview.png").write_bytes(PICTURE)
        (folder / "plot.json").write_text('{"title": "I(Q)", "x": {"label": "Q"}, "y": {"label": "I"}, "curves": []}')
        found = {name: Scalar(value=value) for name, value in (scalars or {}).items()}
        outcome = Outcome(found, "out.nxs", "preview.png", "plot.json", log_tail="measured", where="here")
        assert self.store.publish(run, claim.attempt, outcome, str(folder.relative_to(self.settings.results)))

    def fail(self, run: int, quarantined: bool = False) -> None:
        claim = self.claim(run)
        failure = Failure("resource", "Timeout", "took too long", ("line 1",))
        assert self.store.fail(run, claim.attempt, failure, Retry(None, quarantined))

    def claim(self, run: int):
        """Have a run claimed; others that come first stay claimed."""
        self.claims = getattr(self, "claims", {}) | {claim.run: claim for claim in self.store.claim(1000)}
        return self.claims[run]

    def service(self) -> Service:
        feed = Feed(self.store)
        return Service(self.settings, self.store, self.library, feed, self.intake, self.hub, notice=self.notice)

    def client(self, token: str = "", **headers: str) -> httpx.AsyncClient:
        """Somebody with a token."""
        said = {"Authorization": f"token {token}"} if token else {}
        return httpx.AsyncClient(base_url=self.url, headers=said | headers, timeout=20)

    def ask(self, token: str, method: str, path: str, **more) -> httpx.Response:
        """One request, where no loop runs."""
        headers = {"Authorization": f"token {token}"} if token else {}
        self.http = getattr(self, "http", None) or httpx.Client(timeout=20)
        return self.http.request(method, self.url + path, headers=headers | more.pop("headers", {}), **more)

    def _newest_run(self) -> int:
        with self.store.reading() as connection:
            return connection.exec_driver_sql("SELECT coalesce(max(id), 0) FROM run").scalar_one()


@contextlib.asynccontextmanager
async def listening(bench: Bench) -> AsyncIterator[Bench]:
    """The bench's API on a free port, in this loop."""
    service = bench.service()
    http = server(application(service, PREFIX))
    socket, port = bind_unused_port()
    http.add_socket(socket)
    bench.running, bench.url = service, f"http://127.0.0.1:{port}{PREFIX}api/v1/"
    try:
        yield bench
    finally:
        http.stop()
        await http.close_all_connections()
        service.images.close()


@contextlib.contextmanager
def serving(bench: Bench) -> Iterator[Bench]:
    """The bench's API in a thread of its own, for tests that have no loop."""
    loop, ready, done = asyncio.new_event_loop(), threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with listening(bench):
            ready.set()
            await done.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    ready.wait(10)
    try:
        yield bench
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(10)
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
        bench.store.close()
        if http := getattr(bench, "http", None):
            http.close()


def told(answer: httpx.Response, status: int = 200) -> Any:
    """What an answer says, whose status is this one."""
    assert answer.status_code == status, answer.text
    return answer.json()


def problem(answer: httpx.Response, status: int, reason: str | None = None) -> str:
    """The message of a refusal with this status and reason."""
    said = told(answer, status)
    assert set(said) == {"message", "reason", "code"}
    assert said["code"] == status
    assert "Traceback" not in said["message"]
    assert reason is None or said["reason"] == reason
    return said["message"]


def _picture() -> bytes:
    import io

    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (64, 32)).save(out, "PNG")
    return out.getvalue()


PICTURE = _picture()
