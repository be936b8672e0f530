"""The processing service as its documented API describes it, in the test's own loop, and as unwell as a test wants it.

Two runs of proposal ``red``, a stream of changes that says what :meth:`FakeService.change` is told, and ``answers``:
what is answered instead of the truth, by path.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.iostream import StreamClosedError
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

PREFIX = "/services/beamhub/"


@dataclass
class FakeService:
    """``streams`` are the open streams; ``asked`` is each request: method, path below the API, query, headers."""

    url: str = ""
    token: str = "alices-token"
    head: int = 10
    mute: bool = False
    output: bytes = b"0123456789"
    asked: list[tuple[str, str, str, dict[str, str]]] = field(default_factory=list)
    streams: "set[Stream]" = field(default_factory=set)
    answers: dict[str, tuple[int, bytes, dict[str, str]]] = field(default_factory=dict)

    async def change(self, proposal: str, number: int = 1) -> int:
        """A run of a proposal changes; its ``seq``."""
        self.head += 1
        data = {"seq": self.head, "proposal": proposal, "kind": "run", "id": number}
        for stream in list(self.streams):
            await stream.say(f"event: change\nid: {self.head}\ndata: {json.dumps(data)}\n\n")
        return self.head

    def lose(self) -> None:
        """All streams end."""
        for stream in list(self.streams):
            stream.gone.set()

    def requests(self, path: str) -> list[dict[str, str]]:
        """The headers of all requests of a path."""
        return [headers for _, asked, _, headers in self.asked if asked == path]

    def refuse(self, path: str, code: int, message: str, reason: str = "scope") -> None:
        """Answer with a problem from now on."""
        problem = {"message": message, "reason": reason, "code": code}
        self.answers[path] = (code, json.dumps(problem).encode(), {"Content-Type": "application/json"})


class Plain(RequestHandler):
    """Answers one request."""

    def initialize(self, fake: FakeService) -> None:
        self.fake = fake

    def prepare(self) -> None:
        self.path = self.request.path.removeprefix(f"{PREFIX}api/v1/")
        self.fake.asked.append((self.request.method, self.path, self.request.query, dict(self.request.headers)))
        if self.path in self.fake.answers:
            code, body, headers = self.fake.answers[self.path]
            self.set_status(code)
            for name, value in headers.items():
                self.set_header(name, value)
            self.finish(body)
        elif self.request.headers.get("Authorization") != f"token {self.fake.token}":
            self.set_status(401)
            self.finish({"message": "the Hub does not know this token", "reason": "token", "code": 401})

    def get(self) -> None:
        found: Any = {"items": [], "seq": self.fake.head}
        if self.path == "proposals":
            found = {"items": [{"name": "red"}]}
        elif self.path.startswith("runs/"):
            found = {"id": int(self.path.partition("/")[2]), "output": ""}
        elif self.path.endswith("/file"):
            found = self.fake.output
        self.finish(found)

    def post(self) -> None:
        self.set_status(201)
        self.finish({"items": [json.loads(self.request.body)]})


class Stream(Plain):
    """Says changes until the asker leaves or the service loses it."""

    async def get(self) -> None:
        self.gone = asyncio.Event()
        self.set_header("Content-Type", "text/event-stream")
        self.fake.streams.add(self)
        try:
            if not self.fake.mute:
                await self.say(":\n\n")
            await self.gone.wait()
        finally:
            self.fake.streams.discard(self)

    async def say(self, text: str) -> None:
        with suppress(StreamClosedError):
            self.write(text)
            await self.flush()

    def on_connection_close(self) -> None:
        if hasattr(self, "gone"):
            self.gone.set()


@asynccontextmanager
async def fake_service() -> AsyncIterator[FakeService]:
    """The service on a free port, while the block runs."""
    fake = FakeService()
    application = Application([(r".*/changes", Stream, {"fake": fake}), (r"/.*", Plain, {"fake": fake})])
    server = HTTPServer(application)
    listening, port = bind_unused_port()
    server.add_socket(listening)
    fake.url = f"http://127.0.0.1:{port}{PREFIX}"
    try:
        yield fake
    finally:
        server.stop()
        fake.lose()
        await server.close_all_connections()
        await asyncio.sleep(0)
