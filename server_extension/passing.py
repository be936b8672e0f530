"""``v1/…``: requests passed on to the service with this server's token, and its answers as they are."""

import re

from jupyter_server.auth.decorator import authorized
from tornado import web
from tornado.iostream import StreamClosedError

from beamhub.server_extension.handler import RESOURCE, Handler
from beamhub.server_extension.service import Answer, Down

# What of the service is passed on; not its events, stream, metrics and description.
PATHS = re.compile(
    r"runs|runs/count|runs/\d+|runs/\d+/(cancel|release)|files|files/explain|files/\d+|functions|rules"
    r"|rules/[^/]+/pause|requests/[\w-]+(/cancel)?|proposals|headings|results/\d+/(file|plot|image|pixels|preview\.png)"
)
ASKED = ("Idempotency-Key", "If-None-Match", "If-Range", "Range")
ANSWERED = (
    "Accept-Ranges",
    "BeamHub-Image",
    "Cache-Control",
    "Content-Disposition",
    "Content-Length",
    "Content-Range",
    "Content-Type",
    "Etag",
    "Retry-After",
)
OURS = ("_xsrf=", "token=")  # parts of a query that are for the notebook server alone


class Pass(Handler):
    """Passes on what is known, and nothing else."""

    @web.authenticated
    @authorized("read", resource=RESOURCE)
    async def get(self, path: str) -> None:
        """Pass a question on."""
        await self._pass("GET", path)

    @web.authenticated
    @authorized("execute", resource=RESOURCE)
    async def post(self, path: str) -> None:
        """Pass an order on."""
        await self._pass("POST", path, self.request.body or b"{}")

    async def _pass(self, method: str, path: str, body: bytes | None = None) -> None:
        if not PATHS.fullmatch(path):
            self.refuse(404, "not-found", f"there is nothing at v1/{path[:100]}")
            return
        headers = {name: value for name in ASKED if (value := self.request.headers.get(name))}
        query = "&".join(part for part in self.request.query.split("&") if part and not part.startswith(OURS))
        try:
            async with self.shared.service.stream(method, path, query, body, headers) as (answer, parts):
                self._begin(answer)
                async for part in parts:
                    self.write(part)
                    await self.flush()
        except StreamClosedError:
            return  # the page left
        except Down as error:
            if self._headers_written:
                raise
            self.refuse(503, "down", str(error))
            return
        if not self._finished:
            self.finish(set_content_type=answer.headers.get("Content-Type", "application/json"))

    def _begin(self, answer: Answer) -> None:
        """Status and headers; of a refusal also the body."""
        if answer.code == 401:
            self.refuse(401, "token", "this server's token is not known to the Hub any more: restart your server")
            return
        self.set_status(answer.code)
        for name in ANSWERED:
            if name in answer.headers:
                self.set_header(name, answer.headers[name])
        if answer.body:
            self.write(answer.body)
