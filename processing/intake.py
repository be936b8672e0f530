"""Intake: what an event means is decided outside the transaction; then event, runs and position are written in one."""

import asyncio
import logging
from collections.abc import Sequence

from beamhub.catalog.records import Function
from beamhub.processing.columns import Cell, read_columns
from beamhub.processing.event import FileEvent, Position
from beamhub.processing.library import Library, UnknownFunction
from beamhub.processing.rules import columns, fields, planned
from beamhub.processing.settings import Settings
from beamhub.processing.storage import OutsideStorage, resolve_beneath
from beamhub.processing.store import Store
from beamhub.processing.work import Arrival

log = logging.getLogger(__name__)
COLUMNS_WITHIN_S = 10.0  # a storage that hangs must not hold the events back


class Intake:
    """Takes events of all sources in; what it was told is in the store when :meth:`take` returns.

    ``ready`` is set once the functions are known: a run records the version in force when its file arrived.
    """

    def __init__(self, store: Store, library: Library, settings: Settings) -> None:
        self._store = store
        self._library = library
        self.settings = settings
        self.ready = asyncio.Event()

    async def take(self, events: Sequence[FileEvent], position: Position | None = None) -> list[int]:
        """Decide and record; the ids of files that were new."""
        await self.ready.wait()
        arrivals = [await self._arrival(event) for event in events]
        return await self._store.call(self._store.intake, arrivals, position)

    async def _arrival(self, event: FileEvent) -> Arrival:
        storage = self.settings.storages.get(event.storage)
        proposal = fields(storage, event.path).get("proposal", "") if storage else ""
        if event.kind != "closed":
            return Arrival(event, proposal)
        runs = planned(self.settings.rules, self._find, event.storage, event.path)
        return Arrival(event, proposal, await self._columns(event), runs)

    async def _columns(self, event: FileEvent) -> dict[str, Cell]:
        wanted = columns(self.settings.rules, event.storage, event.path)
        if not wanted:
            return {}
        try:
            async with asyncio.timeout(COLUMNS_WITHIN_S):
                return await asyncio.to_thread(self._read, event, wanted)
        except TimeoutError:
            log.warning("%s: no columns within %g s", event.path, COLUMNS_WITHIN_S)
            return dict.fromkeys(wanted)

    def _read(self, event: FileEvent, wanted: dict[str, str]) -> dict[str, Cell]:
        try:
            path = resolve_beneath(self.settings.storages[event.storage].root, event.path)
        except (OutsideStorage, OSError) as error:
            log.info("no columns from %s: %s", event.path, error)
            return dict.fromkeys(wanted)
        return read_columns(path, wanted)

    def _find(self, name: str) -> Function | None:
        try:
            return self._library.find(name).record
        except UnknownFunction:
            return None  # the run is recorded all the same; it fails with the names that there are
