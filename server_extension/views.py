"""``selection/{view}`` over HTTP."""

import math

from jupyter_server.auth.decorator import authorized
from tornado import web

from beamhub.server_extension.handler import RESOURCE, Handler
from beamhub.server_extension.selection import CannotSelect, parse


class SelectionHandler(Handler):
    """A page selects, a kernel asks."""

    @web.authenticated
    @authorized("read", resource=RESOURCE)
    async def get(self, view: str) -> None:
        """What is selected, or was ``at`` a moment (seconds since 1970)."""
        asked = self.get_query_argument("at", "")
        try:
            at = float(asked) if asked else None
        except ValueError:
            at = math.nan
        if at is not None and not math.isfinite(at):
            self.refuse(400, "bad-request", f"at={asked[:40]!r} is no moment: send seconds since 1970")
            return
        self.answer(self.shared.selections.get(view, at))

    @web.authenticated
    @authorized("write", resource=RESOURCE)
    async def put(self, view: str) -> None:
        """Select."""
        try:
            self.shared.selections.put(view, *parse(self.request.body))
        except CannotSelect as error:
            self.refuse(400, "bad-request", str(error))
            return
        self.set_status(204)
        self.finish()
