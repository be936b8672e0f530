"""An HTTP server in this process that answers as it is told, for what a real service does not do on demand."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from tornado.httpserver import HTTPServer
from tornado.iostream import StreamClosedError
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler


@dataclass
class Answer:
    """One answer: its parts are sent one after the other; ``hold`` seconds pass before the end."""

    status: int = 200
    parts: list[bytes] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    hold: float = 0.0


@dataclass
class Scripted:
    """Answers requests in turn, the last answer again and again; ``asked`` is what came."""

    url: str = ""
    answers: list[Answer] = field(default_factory=list)
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    def say(self, *answers: Answer) -> None:
        """What to answer from now on."""
        self.answers[:] = answers
        self.asked.clear()


class _Handler(RequestHandler):
    def initialize(self, script: Scripted) -> None:
        self.script = script

    async def get(self) -> None:
        script = self.script
        script.asked.append((self.request.method, self.request.uri, dict(self.request.headers)))
        answer = script.answers.pop(0) if len(script.answers) > 1 else script.answers[0]
        self.set_status(answer.status)
        for name, value in answer.headers.items():
            self.set_header(name, value)
        with contextlib.suppress(StreamClosedError):
            for part in answer.parts:
                self.write(part)
                await self.flush()
            await asyncio.sleep(answer.hold)

    head = post = get


@contextlib.contextmanager
def scripted() -> Iterator[Scripted]:
    """The server, while the block runs."""
    script, loop = Scripted(), asyncio.new_event_loop()

    async def start() -> HTTPServer:
        listening, port = bind_unused_port()
        server = HTTPServer(Application([(r"/.*", _Handler, {"script": script})]))
        server.add_socket(listening)
        script.url = f"http://127.0.0.1:{port}/services/beamhub/"
        return server

    async def stop(server: HTTPServer) -> None:
        server.stop()
        await server.close_all_connections()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    try:
        yield script
    finally:
        asyncio.run_coroutine_threadsafe(stop(server), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
