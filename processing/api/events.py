"""Events that services post."""

from beamhub.processing.access import INGEST
from beamhub.processing.api.handler import ApiHandler
from beamhub.processing.errors import NotAllowed
from beamhub.processing.sources.http import file_event, read_events


class Events(ApiHandler):
    """``events``: CloudEvents in; the answer comes after the commit."""

    scope = INGEST

    async def post(self) -> None:
        """Take one event or a batch in, all or none."""
        if self.identity.kind != "service":
            raise NotAllowed("only services of the Hub may send events, with their own token", "sender")
        headers = dict(self.request.headers.get_all())
        events = read_events(headers.get("Content-Type", ""), headers, self.request.body)
        settings = self.service.settings
        new = await self.service.take([file_event(event, self.identity.name, settings) for event in events])
        self.answer({"received": len(events), "new": len(new)})
