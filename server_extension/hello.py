"""``hello``: which extension this is, and whether the service can be reached."""

import json
from typing import Any

from jupyter_server.auth.decorator import authorized
from tornado import web

from beamhub.server_extension.handler import RESOURCE, Handler
from beamhub.server_extension.service import NOT_CONFIGURED, Down


class Hello(Handler):
    """Answers at once with what is known; with ``service=1`` the service is asked."""

    @web.authenticated
    @authorized("read", resource=RESOURCE)
    async def get(self) -> None:
        """``service`` is "ok", "down", "forbidden", "not configured", or "" where nobody asked yet."""
        asked = self.get_query_argument("service", "") == "1"
        word, message, proposals = await self._ask() if asked else (*self._known(), [])
        shared = self.shared
        self.answer(
            {
                "id": shared.id,
                "version": shared.version,
                "user": shared.owner,
                "service": word,
                "message": message,
                "proposals": proposals,
                "since": shared.upstream.status["since"],
            }
        )

    def _known(self) -> tuple[str, str]:
        upstream = self.shared.upstream
        if not self.shared.service.url:
            return "not configured", NOT_CONFIGURED
        if upstream.refused:
            return "forbidden", upstream.refused
        return ("ok", "") if upstream.status["live"] else ("", "")

    async def _ask(self) -> tuple[str, str, list[Any]]:
        if not self.shared.service.url:
            return "not configured", NOT_CONFIGURED, []
        try:
            answer = await self.shared.service.send("GET", "proposals")
        except Down as error:
            return "down", str(error), []
        if answer.code == 200:
            return "ok", "", json.loads(answer.body)["items"]
        if answer.code in (401, 403):
            self.log.error("the processing service refuses this server's token: %s", answer.message)
            return "forbidden", answer.message, []
        return "down", answer.message, []
