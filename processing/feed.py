"""The change feed: what changed in some proposals, in commit order, as it happens."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from beamhub.catalog.records import Change
from beamhub.processing.store import Store

LARGEST = 1000  # changes of one batch
LOOK_S = 1.0  # between two looks, for everybody together, at a store that another process may have changed
GAP_S = 0.05  # between two batches for one listener: what changes in between is told once


class Feed:
    """Wakes everybody who waits for changes after each commit."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: set[asyncio.Event] = set()
        self._head, self._looked = 0, -LOOK_S
        loop = asyncio.get_running_loop()
        store.on_commit(lambda head: loop.call_soon_threadsafe(self._move_to, head))

    def _move_to(self, head: int) -> None:
        if head > self._head:
            self._head = head
            self._wake()

    def _wake(self) -> None:
        for event in self._waiting:
            event.set()

    async def _current(self) -> int:
        """The number of the last change."""
        now = asyncio.get_running_loop().time()
        if now - self._looked >= LOOK_S:
            self._looked = now
            try:
                self._move_to(await self._store.call(self._store.head))
            except Exception:  # whatever it is, everybody else has to hear of it too, by looking
                self._looked = -LOOK_S
                self._wake()
                raise
        return self._head

    async def changes(
        self, proposals: Callable[[], Awaitable[frozenset[str]]], after: int
    ) -> AsyncIterator[tuple[list[Change], int]]:
        """Changes after a number, batch by batch, each with the number to go on from; runs until it is closed.

        Args:
            proposals: those to tell of; asked again for every batch, so that a lost group ends its hints.
            after: the last number that is known already.
        """
        event = asyncio.Event()
        self._waiting.add(event)
        try:
            while True:
                event.clear()
                head = await self._current()
                if head > after:
                    found = await self._store.call(self._store.changes, await proposals(), after, LARGEST)
                    after = found[-1].seq if len(found) >= LARGEST else max([head, *(c.seq for c in found[-1:])])
                    if found:
                        yield found, after
                        await asyncio.sleep(GAP_S)
                        continue
                if head <= after:
                    await _wait(event)
        finally:
            self._waiting.discard(event)


async def _wait(event: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(LOOK_S):
            await event.wait()
    except TimeoutError:
        return
