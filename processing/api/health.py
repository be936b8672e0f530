"""For operators: whether the service is well, its numbers, its description."""

from importlib.resources import files

from sqlalchemy.exc import SQLAlchemyError

from beamhub.processing.api.handler import ApiHandler
from beamhub.processing.errors import Away
from beamhub.processing.query import RunQuery


class Open(ApiHandler):
    """Base of what anybody may ask."""

    async def prepare(self) -> None:
        """Nobody needs to say who asks."""


class Health(Open):
    """``health``."""

    async def get(self) -> None:
        """Well, if the store answers."""
        try:
            head = await self.service.store.call(self.service.store.head)
        except SQLAlchemyError as error:
            raise Away("the store does not answer", "store") from error
        self.answer({"status": "ok", "seq": head})


class Metrics(ApiHandler):
    """``metrics``, in Prometheus' text format."""

    async def get(self) -> None:
        """Runs by state, files, and the feed's head."""
        store = self.service.store
        every = await store.call(store.proposals)
        _, states = await store.call(store.count, RunQuery(tuple(one.name for one in every)))
        lines = ["# HELP beamhub_runs Runs by state.", "# TYPE beamhub_runs gauge"]
        lines += [f'beamhub_runs{{state="{state}"}} {number}' for state, number in sorted(states.items())]
        lines += ["# HELP beamhub_files_total Files that arrived.", "# TYPE beamhub_files_total counter"]
        lines += [f"beamhub_files_total {sum(one.files for one in every)}"]
        lines += ["# HELP beamhub_changes_total Changes of the feed.", "# TYPE beamhub_changes_total counter"]
        lines += [f"beamhub_changes_total {await store.call(store.head)}"]
        self.set_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.finish("\n".join(lines) + "\n")


class OpenApi(Open):
    """``openapi.json``."""

    async def get(self) -> None:
        """The description of this API."""
        self.finish(files("beamhub.processing").joinpath("openapi.json").read_text())
