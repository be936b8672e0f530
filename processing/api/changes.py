"""The change feed as server-sent events."""

import asyncio
import contextlib
import json
import logging

from tornado.iostream import StreamClosedError

from beamhub.processing.access import READ
from beamhub.processing.api.handler import STORE_AWAY, ApiHandler, whole
from beamhub.processing.errors import Refused

log = logging.getLogger(__name__)
ALIVE_S = 20.0  # between two signs of life, at which the Hub is asked again who this is
WITHOUT_HUB_S = 30.0  # how long a stream goes on while the Hub does not answer


class Changes(ApiHandler):
    """``changes``: a stream of hints; the rows are to be fetched."""

    known = ("proposal", "after")

    async def get(self) -> None:
        """Stream until the asker leaves, or may not read any more.

        Events: ``change`` (a :class:`~beamhub.catalog.records.Change`), ``reset`` (the number that was asked to go on
        from is none of this store: ask for everything again), ``proposals`` (those that can be seen changed, or their
        notice).
        """
        self._named = await self.named_proposals()
        self._seen = await self.visible()
        self._confirmed = self._asked = asyncio.get_running_loop().time()
        self._writing = asyncio.Lock()
        head = await self.service.store.call(self.service.store.head)
        last = self.request.headers.get("Last-Event-ID") or self.text("after")
        after = whole("Last-Event-ID", last) if last else head
        self.set_header("Content-Type", "text/event-stream; charset=utf-8")
        self.set_header("X-Accel-Buffering", "no")
        with contextlib.suppress(StreamClosedError), self.service.metrics.streams.track_inprogress():
            reset = _event("reset", {"seq": head}, head) if after > head else ""
            await self._send(f":\n\n{reset}")
            await self._stream(min(after, head))

    async def _stream(self, after: int) -> None:
        """Tell of changes and of being alive, until either cannot go on."""
        parts = (asyncio.create_task(self._tell(after)), asyncio.create_task(self._keep_alive()))
        self._telling = parts[0]
        await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        for part in parts:
            part.cancel()
        for end in await asyncio.gather(*parts, return_exceptions=True):
            if isinstance(end, STORE_AWAY):
                log.warning("a change stream ends, since the store does not answer: %s", end)
            elif isinstance(end, Exception) and not isinstance(end, Refused | StreamClosedError):
                log.error("a change stream ends", exc_info=end)

    async def _tell(self, after: int) -> None:
        async for changes, seq in self.service.feed.changes(self._shown, after):
            lines = [_event("change", change.model_dump(), change.seq) for change in changes]
            if changes[-1].seq < seq:
                lines.append(f"id: {seq}\n\n")
            await self._send("".join(lines))

    async def _keep_alive(self) -> None:
        while True:
            noticed = await self.service.notice.changes(ALIVE_S)
            await self._shown()
            await self._send(_event("proposals", {"proposals": sorted(self._seen)}) if noticed else ":\n\n")

    async def _shown(self) -> frozenset[str]:
        """The proposals to tell of now.

        Raises:
            Refused: the asker may not read any more.
        """
        now = asyncio.get_running_loop().time()
        if now - self._asked >= ALIVE_S / 2:
            self._asked = now
            await self._ask_again(now)
        seen = await self.visible()
        if seen != self._seen:
            self._seen = seen
            await self._send(_event("proposals", {"proposals": sorted(seen)}))
        return seen & self._named if self._named else seen

    async def _ask_again(self, now: float) -> None:
        try:
            self.identity = await self.authenticate()
            self.require(READ)
        except Refused as error:
            if error.code != 503 or now - self._confirmed > WITHOUT_HUB_S:
                raise
        else:
            self._confirmed = now

    async def _send(self, text: str) -> None:
        async with self._writing:  # of two writes at once, one would never be told that it was done
            self.write(text)
            await self.flush()

    def on_connection_close(self) -> None:
        """The asker left."""
        if telling := getattr(self, "_telling", None):
            telling.cancel()


def _event(event: str, data: dict[str, object], number: int | None = None) -> str:
    marked = f"id: {number}\n" if number is not None else ""
    return f"event: {event}\n{marked}data: {json.dumps(data)}\n\n"
