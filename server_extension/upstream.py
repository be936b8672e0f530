"""Upstream: the one stream of changes from the service, handed on to all pages of this server."""

import asyncio
import json
import logging
import random
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from beamhub.server_extension.service import AWAY, Down, ProcessingService

if TYPE_CHECKING:
    from httpx_sse import ServerSentEvent

FULL = 10_000  # events that a page may be behind; then it asks for everything again
REMEMBERED = 2_000  # changes that a page which was away for a moment gets without asking for everything
JUST_NOW_S = 5.0  # what changed so recently a new page may have missed between its rows and its stream
REFUSED_S = 30.0  # between two tries where the service refuses this server's token
CONNECTING = "connecting to the processing service"


@dataclass(eq=False)
class Listener:
    """A page that listens: the proposals it watches (none: all that can be seen), and what it has not read yet."""

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

    def watches(self, change: dict[str, Any]) -> bool:
        """Whether a change is of a proposal that this page shows."""
        return not self.proposals or change.get("proposal") in self.proposals


class Upstream:
    """While any page listens there is one stream, of everything that this server's owner may see.

    A page is told only of what it watches. It hears events ``change``, ``reset`` (changes were missed: ask for
    everything again), ``proposals`` and, when it begins and whenever that changes, ``status``: ``live`` is true only
    while the service was heard within the last 45 seconds.
    """

    def __init__(self, service: ProcessingService, log: logging.Logger) -> None:
        self.service, self._log = service, log
        self.status: dict[str, Any] = {"live": False, "since": _now(), "message": CONNECTING}
        self.refused = ""
        self._listeners: set[Listener] = set()
        self._task: asyncio.Task[None] | None = None
        self._recent: deque[tuple[float, dict[str, Any]]] = deque()  # when it was heard, and the change
        self._last: int | None = None  # the seq that the stream goes on from
        self._complete_from: int | None = None  # all changes after this seq are in _recent

    @asynccontextmanager
    async def listening(self, proposals: frozenset[str], last: int | None = None) -> AsyncIterator[Listener]:
        """A listener for a page's time.

        Args:
            proposals: what the page watches.
            last: the ``seq`` of what the page shows; it is told of everything since, or to ask again. None: of what
                was heard in the last 5 s, since it asked for its rows a moment before it listens.
        """
        listener = Listener(proposals)
        if self._task is None:
            self._begin(last)
        listener.tell("status", self.status)
        self._catch_up(listener, last)
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)
            if not self._listeners:
                await self.close()

    async def close(self) -> None:
        """End the stream; nothing is live without it."""
        task, self._task = self._task, None
        if task is None:
            return
        self._tell_status(False, CONNECTING)
        self._forget()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def _begin(self, last: int | None) -> None:
        self._last = self._complete_from = last
        self._task = asyncio.create_task(self._keep_following())

    def _forget(self) -> None:
        """Nothing is known of what was before."""
        self._recent.clear()
        self._last = self._complete_from = None

    def _catch_up(self, listener: Listener, last: int | None) -> None:
        """What a page missed between its last look, some seconds ago where it does not say when, and now."""
        if last is not None and last != self._last and (self._complete_from is None or last < self._complete_from):
            listener.tell("reset", {})
            return
        since = time.monotonic() - JUST_NOW_S
        for heard, change in self._recent:
            missed = heard >= since if last is None else change["seq"] > last
            if missed and listener.watches(change):
                listener.tell("change", change)

    async def _keep_following(self) -> None:
        """Follow for as long as there is a listener; what ends it otherwise is told to them."""
        while True:
            try:
                await self._follow()
            except Down as error:  # there is no service in this server's life
                self._tell_status(False, str(error))
                return
            except Exception as error:  # a refusal, or what nobody thought of; the pages' stream must outlive both
                self._tell_lost(error)
            await asyncio.sleep(REFUSED_S * random.uniform(0.7, 1.3))  # noqa: S311 - no secret

    async def _follow(self) -> None:
        client = await self.service.follower()
        try:
            # it is said to be an iterator and is a generator: only closing it closes its connection
            async with aclosing(client.follow(after=self._last)) as events:  # type: ignore[type-var]
                async for event in events:
                    self._hear(event)
        finally:
            await client.close()

    def _hear(self, event: "ServerSentEvent | None") -> None:
        if event is None:
            self._tell_status(False, AWAY)
            return
        self.refused = ""
        self._tell_status(True, "")
        data = _object(event.data)
        if event.event == "reset":
            self._forget()
            self._complete_from = data.get("seq")
        if event.id.isdecimal():
            self._last = int(event.id)
            if self._complete_from is None:
                self._complete_from = self._last - 1
        if event.event == "change" and isinstance(data.get("seq"), int):
            self._remember(data)
            self._tell("change", data, [page for page in self._listeners if page.watches(data)])
        elif event.event in ("reset", "proposals"):
            self._tell(event.event, data, list(self._listeners))

    @staticmethod
    def _tell(event: str, data: dict[str, Any], listeners: list[Listener]) -> None:
        for listener in listeners:
            listener.tell(event, data)

    def _remember(self, change: dict[str, Any]) -> None:
        self._recent.append((time.monotonic(), change))
        if len(self._recent) > REMEMBERED:
            self._complete_from = self._recent.popleft()[1]["seq"]

    def _tell_lost(self, error: Exception) -> None:
        """Say a refusal to the pages, and in the log once, not at every try."""
        from beamhub.catalog.errors import CatalogError

        if not isinstance(error, CatalogError):
            self._log.error("following changes failed", exc_info=error)
            self._tell_status(False, "following changes failed; the notebook server's log says why")
            return
        if self.refused != str(error):
            self.refused = str(error)
            self._log.error("the processing service refuses this server's token: %s", error)
        self._tell_status(False, self.refused)

    def _tell_status(self, live: bool, message: str) -> None:
        if live == self.status["live"] and message == self.status["message"]:
            return
        since = _now() if live != self.status["live"] else self.status["since"]
        self.status = {"live": live, "since": since, "message": message}
        self._tell("status", self.status, list(self._listeners))


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
