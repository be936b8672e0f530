"""For operators: whether the service is well, its numbers, its description."""

from importlib.resources import files

from beamhub.processing.api.handler import ApiHandler
from beamhub.processing.errors import NotAllowed
from beamhub.processing.query import RunQuery


class Open(ApiHandler):
    """Base of what anybody may ask."""

    async def prepare(self) -> None:
        """Nobody needs to say who asks."""


class Health(Open):
    """``health``."""

    async def get(self) -> None:
        """Well, if the store answers."""
        self.answer({"status": "ok", "seq": await self.service.store.call(self.service.store.head)})


class Metrics(ApiHandler):
    """``metrics``, in Prometheus' text format."""

    async def get(self) -> None:
        """The numbers, for services and for those who see every proposal."""
        everything = set(self.service.settings.access.all) & self.identity.groups
        if self.identity.kind != "service" and not everything:
            raise NotAllowed("metrics tell of every proposal; they are for services of the Hub", "metrics")
        store = self.service.store
        await self.visible()
        count = await store.call(store.count, RunQuery(self.service.register.names()))
        self.set_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.finish(self.service.metrics.text(count.states, await store.call(store.head)))


class OpenApi(Open):
    """``openapi.json``."""

    async def get(self) -> None:
        """The description of this API."""
        self.finish(files("beamhub.processing").joinpath("openapi.json").read_text())
