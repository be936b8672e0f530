"""Intake: what an event means is decided outside the transaction; then event, runs and position are written in one."""

import asyncio
import logging
import time
from collections.abc import Sequence

from beamhub.catalog.records import Function
from beamhub.processing.column_reader import ColumnReader
from beamhub.processing.columns import Cell
from beamhub.processing.event import FileEvent, Position
from beamhub.processing.library import Library, UnknownFunction
from beamhub.processing.rules import columns, fields, planned
from beamhub.processing.settings import Settings
from beamhub.processing.store import Store
from beamhub.processing.work import Arrival

log = logging.getLogger(__name__)
COLUMNS_WITHIN_S = 10.0  # for all files of a batch: a storage that hangs must not hold the events back


class Intake:
    """Takes events of all sources in; what it was told is in the store when :meth:`take` returns.

    ``ready`` is set once the functions are known: a run records the version in force when its file arrived.
    """

    def __init__(self, store: Store, library: Library, settings: Settings) -> None:
        self._store = store
        self._library = library
        self._reader = ColumnReader()
        self._reading = asyncio.Lock()
        self.settings = settings
        self.ready = asyncio.Event()

    async def take(self, events: Sequence[FileEvent], position: Position | None = None) -> list[int]:
        """Decide and record; the ids of files that were new."""
        await self.ready.wait()
        new = await self._unknown(events)
        until = time.monotonic() + COLUMNS_WITHIN_S
        arrivals = [await self._arrival(event, until) for event in new]
        if not arrivals and position is None:
            return []
        return await self._store.call(self._store.intake, arrivals, position)

    def close(self) -> None:
        """Let go of what reads columns."""
        self._reader.close()

    async def _unknown(self, events: Sequence[FileEvent]) -> list[FileEvent]:
        """Leave out what is known, so that nothing is read from a million files when a source starts again."""
        if any(event.kind != "closed" for event in events):
            return list(events)  # what is known now may be told of as removed and, after that, as there again
        known = await self._store.call(self._store.known, [(event.instance, event.file_id) for event in events])
        return [event for event in events if (event.instance, event.file_id) not in known]

    async def _arrival(self, event: FileEvent, until: float | None = None) -> Arrival:
        storage = self.settings.storages.get(event.storage)
        proposal = fields(storage, event.path).get("proposal", "") if storage else ""
        if event.kind != "closed":
            return Arrival(event, proposal)
        runs = planned(self.settings.rules, self._find, event.storage, event.path)
        left = COLUMNS_WITHIN_S if until is None else until - time.monotonic()
        return Arrival(event, proposal, await self._columns(event, left), runs)

    async def _columns(self, event: FileEvent, within_s: float) -> dict[str, Cell]:
        storage = self.settings.storages.get(event.storage)
        wanted = columns(self.settings.rules, event.storage, event.path)
        if storage is None or not wanted:
            return {}
        if within_s <= 0:  # a storage that hangs for one file is not asked for each of a batch
            log.warning("no columns from %s: its storage is too slow", event.path)
            return dict.fromkeys(wanted)
        async with self._reading:
            found, why = await asyncio.to_thread(self._reader.read, storage.root, event.path, wanted, within_s)
        if why:
            log.info("columns of %s: %s", event.path, why)
        return found

    def _find(self, name: str) -> Function | None:
        try:
            return self._library.find(name).record
        except UnknownFunction:
            return None  # the run is recorded all the same; it fails with the names that there are
