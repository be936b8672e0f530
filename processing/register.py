"""The register: which proposals there are, and who sees which, without asking the database for all of them again."""

import asyncio

from beamhub.processing.access import Identity, may_see, visible
from beamhub.processing.settings import Settings
from beamhub.processing.store import Store


class Register:
    """Follows the files that arrive, and remembers what each set of groups sees."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._places: dict[tuple[str, str], str] = {}
        self._read_to = 0
        self._seen: dict[frozenset[str], frozenset[str]] = {}
        self._settings: Settings | None = None
        self._first = asyncio.Lock()  # it is a look at every file, and for all that wait for it

    async def visible(self, settings: Settings, identity: Identity) -> frozenset[str]:
        """The proposals with files that somebody may see."""
        await self._refresh()
        if settings is not self._settings:
            self._settings, self._seen = settings, {}
        if identity.kind != "user":
            return frozenset()
        if identity.groups not in self._seen:
            self._seen[identity.groups] = visible(settings, identity, self._all())
        return self._seen[identity.groups]

    async def may_see(self, settings: Settings, identity: Identity, proposal: str) -> bool:
        """Whether somebody may see a proposal, also one whose first file has not arrived."""
        seen = await self.visible(settings, identity)
        known = any(name == proposal for name, _ in self._places)
        return proposal in seen or (not known and may_see(settings, identity, proposal))

    def names(self) -> tuple[str, ...]:
        """All proposals that there were when somebody asked last."""
        return tuple(sorted({name for name, _ in self._places}))

    def _all(self) -> list[tuple[str, str, str]]:
        return [(name, storage, path) for (name, storage), path in self._places.items()]

    async def _refresh(self) -> None:
        if self._read_to:
            await self._read()
            return
        async with self._first:
            await self._read()

    async def _read(self) -> None:
        found = await self._store.call(self._store.places, self._read_to)
        for name, storage, path, newest in found:
            if (name, storage) not in self._places:
                self._places[name, storage] = path
                self._seen = {}
            self._read_to = max(self._read_to, newest)
