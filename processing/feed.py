"""The change feed: what changed in some proposals, in commit order, as it happens."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from beamhub.catalog.records import Change
from beamhub.processing.store import Store

LARGEST = 1000  # changes of one batch
LOOK_S = 1.0  # between two looks where the store's own news may not reach us (another process writes)


class Feed:
    """Wakes everybody who waits for changes after each commit."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: set[asyncio.Event] = set()
        loop = asyncio.get_running_loop()
        store.on_commit(lambda _: loop.call_soon_threadsafe(self._wake))

    def _wake(self) -> None:
        for event in self._waiting:
            event.set()

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
                head = await self._store.call(self._store.head)
                if head > after:
                    found = await self._store.call(self._store.changes, await proposals(), after, LARGEST)
                    after = found[-1].seq if len(found) >= LARGEST else max([head, *(c.seq for c in found[-1:])])
                    if found:
                        yield found, after
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
