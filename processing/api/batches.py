"""Requests: how far what was asked for again is, by the Idempotency-Key that it was asked with."""

from beamhub.processing.access import WRITE
from beamhub.processing.api.again import key_of
from beamhub.processing.api.handler import ApiHandler
from beamhub.processing.errors import NotFound


class OwnRequest(ApiHandler):
    """Base of the handlers of one of the asker's own requests."""

    async def tell(self, name: str) -> None:
        """Answer with how far it is."""
        store = self.service.store
        found = await store.call(store.batch, self.key(name), sorted(await self.visible()))
        if found is None:
            raise NotFound(f"you asked for nothing with the Idempotency-Key {name[:40]!r}")
        self.answer(found)

    def key(self, name: str) -> str:
        """As which the request is stored; nobody else's can be named."""
        return key_of(self.identity.name, name)


class OneRequest(OwnRequest):
    """``requests/{name}``: what became of it."""

    async def get(self, name: str) -> None:
        """How many of its runs are in each state."""
        await self.tell(name)


class CancelRequest(OwnRequest):
    """``requests/{name}/cancel``."""

    async def post(self, name: str) -> None:
        """Cancel what still waits of it."""
        self.require(WRITE)
        store = self.service.store
        await store.call(store.cancel_batch, self.key(name), sorted(await self.visible()))
        await self.tell(name)
