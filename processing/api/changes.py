"""The change feed as server-sent events."""

import asyncio
import contextlib
import json

from tornado.iostream import StreamClosedError

from beamhub.processing.access import READ
from beamhub.processing.api.handler import ApiHandler, whole
from beamhub.processing.errors import NotFound, Refused

ALIVE_S = 20.0  # between two signs of life, at which access is looked at again


class Changes(ApiHandler):
    """``changes``: a stream of hints; the rows are to be fetched."""

    known = ("proposal", "after")

    async def get(self) -> None:
        """Stream until the asker leaves, or may not read any more.

        Events: ``change`` (a :class:`~beamhub.catalog.records.Change`), ``reset`` (the number that was asked to go on
        from is none of this store: ask for everything again), ``proposals`` (those that can be seen changed).
        """
        named = tuple(self.get_query_arguments("proposal", strip=False))
        seen = await self.visible()
        for name in named:
            if name not in seen:
                raise NotFound(f"there is no proposal {name[:100]!r} that you may see", "proposal")
        self._seen = seen
        head = await self.service.store.call(self.service.store.head)
        last = self.request.headers.get("Last-Event-ID") or self.text("after")
        after = whole("Last-Event-ID", last) if last else head
        self.set_header("Content-Type", "text/event-stream; charset=utf-8")
        self.set_header("X-Accel-Buffering", "no")
        with contextlib.suppress(StreamClosedError, asyncio.CancelledError):
            if after > head:
                after = head
                await self._send("reset", {"seq": head}, head)
            await self._comment()
            await self._stream(named, after)

    async def _stream(self, named: tuple[str, ...], after: int) -> None:
        alive = asyncio.create_task(self._keep_alive())
        self._telling = asyncio.create_task(self._tell(named, after))
        try:
            await asyncio.wait({alive, self._telling}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (alive, self._telling):
                task.cancel()
            await asyncio.gather(alive, self._telling, return_exceptions=True)

    async def _tell(self, named: tuple[str, ...], after: int) -> None:
        chosen = frozenset(named)
        feed = self.service.feed.changes(lambda: self._seen & chosen if named else self._seen, after)
        async for changes, seq in feed:
            for change in changes:
                if change.proposal not in self._seen:
                    continue
                self.write(f"event: change\nid: {change.seq}\ndata: {change.model_dump_json()}\n\n")
            if changes and changes[-1].seq < seq:
                self.write(f"id: {seq}\n\n")
            await self.flush()

    async def _keep_alive(self) -> None:
        """Say something every now and then, and end the stream when the asker may not read any more."""
        while True:
            await asyncio.sleep(ALIVE_S)
            try:
                self.identity = await self.authenticate()
                self.require(READ)
            except Refused as error:
                if error.code != 503:
                    return
            seen = await self.visible()
            if seen != self._seen:
                self._seen = seen
                await self._send("proposals", {"proposals": sorted(seen)})
            await self._comment()

    async def _comment(self) -> None:
        self.write(":\n\n")
        await self.flush()

    async def _send(self, event: str, data: dict[str, object], number: int | None = None) -> None:
        marked = f"id: {number}\n" if number is not None else ""
        self.write(f"event: {event}\n{marked}data: {json.dumps(data)}\n\n")
        await self.flush()

    def on_connection_close(self) -> None:
        """The asker left."""
        if telling := getattr(self, "_telling", None):
            telling.cancel()
