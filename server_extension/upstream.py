"""The one connection to the service: requests passed on, and one stream of changes for all pages of this server."""

import asyncio
import contextlib
import json
import logging
import random
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest, HTTPResponse

TIMEOUT_S = 60.0
WAITS_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
FULL = 10_000  # events that a page may be behind; then it asks for everything again


class Down(Exception):
    """The service does not answer."""


@dataclass(eq=False)
class Listener:
    """A page that listens: the proposals it watches, and what it has not read yet."""

    proposals: frozenset[str]
    queue: "asyncio.Queue[tuple[str, dict[str, Any]]]" = field(default_factory=lambda: asyncio.Queue(FULL))

    def tell(self, event: str, data: dict[str, Any]) -> None:
        """Put an event into the queue; a page that is too far behind is told to ask again."""
        try:
            self.queue.put_nowait((event, data))
        except asyncio.QueueFull:
            while not self.queue.empty():
                self.queue.get_nowait()
            self.queue.put_nowait(("reset", {}))


class Upstream:
    """The service as this server sees it.

    Args:
        url: of the service, empty where there is none.
        token: of this server.
        silence: seconds without a byte after which the stream is taken for dead.
        log: where outages are told.
    """

    def __init__(self, url: str, token: str, silence: float, log: logging.Logger) -> None:
        self.url = url.rstrip("/") + "/" if url else ""
        self._token, self._silence, self._log = token, silence, log
        self._http = AsyncHTTPClient(force_instance=True, max_clients=100)
        self._listeners: set[Listener] = set()
        self._task: asyncio.Task[None] | None = None
        self._stream: asyncio.Task[Any] | None = None
        self._last = ""
        self._heard = 0.0
        self.status: dict[str, Any] = {"live": False, "since": _now(), "message": "not connected yet"}

    async def send(
        self,
        method: str,
        path: str,
        query: str = "",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> HTTPResponse:
        """Ask the service with this server's token; any status is an answer.

        Raises:
            Down: there is none, or it does not answer.
        """
        if not self.url:
            raise Down("this server knows no processing service: start it from a BeamHub Hub")
        request = HTTPRequest(
            f"{self.url}api/v1/{path}" + (f"?{query}" if query else ""),
            method,
            headers={**(headers or {}), **self._who()},
            body=body if method in ("POST", "PUT") else None,
            allow_nonstandard_methods=True,
            request_timeout=TIMEOUT_S,
            follow_redirects=False,
        )
        try:
            return await self._http.fetch(request, raise_error=False)
        except (OSError, HTTPClientError) as error:
            raise Down(f"the processing service does not answer ({error}); it may be restarting") from error

    @contextlib.asynccontextmanager
    async def listening(self, proposals: frozenset[str]) -> AsyncIterator[Listener]:
        """A listener for a page's time; the stream upstream is there while anybody listens."""
        listener = Listener(proposals)
        listener.tell("status", self.status)
        self._listeners.add(listener)
        self._adjust()
        try:
            yield listener
        finally:
            self._listeners.discard(listener)
            self._adjust()

    async def close(self) -> None:
        """End the stream."""
        for task in (self._stream, self._task):
            if task is not None:
                task.cancel()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
        self._http.close()

    def _who(self) -> dict[str, str]:
        return {"Authorization": f"token {self._token}"}

    def _adjust(self) -> None:
        """One stream of everything that this server's owner may see, while anybody listens."""
        if not self._listeners and self._task is not None:
            self._task.cancel()
            self._task, self._last = None, ""
        elif self._listeners and self._task is None:
            self._task = asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        """Keep the stream, and tell the pages whether it is there."""
        failures = 0
        while True:
            self._heard = time.monotonic()
            self._stream = asyncio.create_task(self._read())
            watch = asyncio.create_task(self._watch_silence(self._stream))
            message = "the processing service ended the stream"
            try:
                message = await self._stream or message
            except asyncio.CancelledError:
                if asyncio.current_task().cancelling():  # type: ignore[union-attr]
                    raise
                message = "the stream was silent for too long" if watch.done() else ""
            except (OSError, HTTPClientError) as error:
                message = f"the processing service does not answer ({error})"
            finally:
                self._stream.cancel()
                watch.cancel()
            failures = 0 if self.status["live"] else failures + 1
            if message:
                self._tell_status(False, message)
                await asyncio.sleep(WAITS_S[min(failures, len(WAITS_S) - 1)] * random.uniform(0.7, 1.3))  # noqa: S311

    async def _watch_silence(self, stream: "asyncio.Task[Any]") -> None:
        while time.monotonic() - self._heard < self._silence:  # noqa: ASYNC110 - time is what is waited for
            await asyncio.sleep(min(1.0, self._silence / 4))
        stream.cancel()

    async def _read(self) -> str:
        """One connection's life; why it ended, as a sentence."""
        if not self.url:
            await asyncio.sleep(3600)
            return "this server knows no processing service"
        parser = _Parser()
        headers = self._who() | ({"Last-Event-ID": self._last} if self._last else {})
        refused: list[bytes] = []

        def header(line: str) -> None:
            if line.startswith("HTTP/") and " 200" not in line:
                refused.append(b"")

        def chunk(data: bytes) -> None:
            self._heard = time.monotonic()
            if refused:
                refused.append(data)
                return
            if not self.status["live"]:
                self._tell_status(True, "")
            for event, number, text in parser.feed(data):
                self._last = number or self._last
                self._pass_on(event, text)

        request = HTTPRequest(
            f"{self.url}api/v1/changes",
            headers=headers,
            header_callback=header,
            streaming_callback=chunk,
            request_timeout=0,
            connect_timeout=10,
        )
        answer = await self._http.fetch(request, raise_error=False)
        if answer.code == 200:
            return "the processing service ended the stream"
        if answer.code in (401, 403):
            self._log.error("the processing service refuses this server's token: %s", b"".join(refused)[:500])
        return _message(b"".join(refused)) or f"the processing service answered {answer.code}"

    def _pass_on(self, event: str, text: str) -> None:
        try:
            data = json.loads(text) if text else {}
        except ValueError:
            return
        for listener in self._listeners:
            if event != "change" or data.get("proposal") in listener.proposals or not listener.proposals:
                listener.tell(event, data)

    def _tell_status(self, live: bool, message: str) -> None:
        if live == self.status["live"] and message == self.status["message"]:
            return
        since = _now() if live != self.status["live"] else self.status["since"]
        self.status = {"live": live, "since": since, "message": message}
        for listener in self._listeners:
            listener.tell("status", self.status)


class _Parser:
    """Server-sent events out of bytes as they come."""

    def __init__(self) -> None:
        self._rest = b""
        self._event, self._id, self._data = "", "", ""

    def feed(self, data: bytes) -> list[tuple[str, str, str]]:
        """Event, id and data of each event that is complete; an id alone comes with an empty event."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        found = []
        for line in lines:
            name, _, value = line.decode(errors="replace").rstrip("\r").partition(":")
            value = value.removeprefix(" ")
            if not name and not value and line.strip() == b"":
                if self._data or self._id:
                    found.append((self._event, self._id, self._data))
                self._event, self._id, self._data = "", "", ""
            elif name == "event":
                self._event = value
            elif name == "id":
                self._id = value
            elif name == "data":
                self._data += value
        return found


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return ""


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
