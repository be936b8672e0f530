"""What pages and kernels ask of this extension, below ``<base>/beamhub/api/``."""

import asyncio
import json
import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from jupyter_server.extension.handler import ExtensionHandlerMixin
from tornado import web
from tornado.iostream import StreamClosedError

from beamhub.server_extension.upstream import Down, Upstream

RESOURCE = "beamhub"
RETRY_AFTER_S = 5
MOST_SELECTED = 1000
MOST_VIEWS = 200
# What of the service is passed on; not its events, metrics and description.
PATHS = re.compile(
    r"runs|runs/count|runs/\d+|runs/\d+/(cancel|release)|files|files/explain|files/\d+|functions|rules"
    r"|rules/[^/]+/pause|proposals|results/\d+/(file|plot|preview\.png)"
)
PASSED = (
    "Content-Type",
    "Etag",
    "Cache-Control",
    "Content-Range",
    "Accept-Ranges",
    "Retry-After",
    "Content-Disposition",
)


@dataclass
class Shared:
    """What all handlers know: this extension's id, whose server this is, the service, and what is selected."""

    id: str
    owner: str
    upstream: Upstream
    selections: dict[str, dict[str, Any]]


class Handler(ExtensionHandlerMixin, APIHandler):
    """Base: acts with the owner's token, so for the owner only."""

    auth_resource = RESOURCE
    _track_activity = False

    @property
    def shared(self) -> Shared:
        """What all handlers know."""
        shared: Shared = self.settings["beamhub"]
        return shared

    async def prepare(self) -> None:  # type: ignore[override]
        """Refuse everybody but the owner of this server; jupyter-server finds out first who asks."""
        await super().prepare()
        owner, user = self.shared.owner, self.current_user
        if owner and user is not None and getattr(user, "username", "") != owner:
            self.refuse(
                403, "not-owner", f"this server belongs to {owner}: its processed data is shown to {owner} only"
            )

    def refuse(self, code: int, reason: str, message: str) -> None:
        """Answer with a problem, and end the request."""
        self.set_status(code)
        if code == 503:
            self.set_header("Retry-After", str(RETRY_AFTER_S))
        self.finish(json.dumps({"message": message, "reason": reason, "code": code}))


class Hello(Handler):
    """``hello``: which extension this is; with ``service=1`` also whether the service can be reached."""

    @web.authenticated
    @authorized("read", resource=RESOURCE)
    async def get(self) -> None:
        """Id and owner at once; the service's state as a word and a sentence where that is asked for."""
        asked = self.get_query_argument("service", "") == "1"
        word, message, proposals = await self._service() if asked else ("", "", [])
        self.finish(
            json.dumps(
                {
                    "id": self.shared.id,
                    "user": self.shared.owner,
                    "service": word,
                    "message": message,
                    "proposals": proposals,
                    "since": self.shared.upstream.status["since"],
                }
            )
        )

    async def _service(self) -> tuple[str, str, list[Any]]:
        if not self.shared.upstream.url:
            return "not configured", "this server knows no processing service: start it from a BeamHub Hub", []
        try:
            answer = await self.shared.upstream.send("GET", "proposals")
        except Down as error:
            return "down", str(error), []
        if answer.code == 200:
            return "ok", "", json.loads(answer.body)["items"]
        message = _problem(answer.body)
        if answer.code in (401, 403):
            self.log.error("the processing service refuses this server's token: %s", message)
            return "forbidden", message, []
        return "down", message, []


class Pass(Handler):
    """``v1/…``: what the service answers to this server's token."""

    @web.authenticated
    @authorized("read", resource=RESOURCE)
    async def get(self, path: str) -> None:
        """Pass a question on."""
        await self._pass("GET", path)

    @web.authenticated
    @authorized("execute", resource=RESOURCE)
    async def post(self, path: str) -> None:
        """Pass an order on."""
        await self._pass("POST", path)

    async def _pass(self, method: str, path: str) -> None:
        if not PATHS.fullmatch(path):
            self.refuse(404, "not-found", f"there is nothing at v1/{path[:100]}")
            return
        headers = {n: v for n in ("Range", "Idempotency-Key", "If-None-Match") if (v := self.request.headers.get(n))}
        query = "&".join(part for part in self.request.query.split("&") if part and not part.startswith("_xsrf="))
        try:
            answer = await self.shared.upstream.send(method, path, query, self.request.body or b"{}", headers)
        except Down as error:
            self.refuse(503, "down", str(error))
            return
        if answer.code == 401:
            self.refuse(401, "token", "this server's token is not known to the Hub any more: restart your server")
            return
        self.set_status(answer.code)
        for name in PASSED:
            if name in answer.headers:
                self.set_header(name, answer.headers[name])
        self.finish(answer.body or b"", set_content_type=answer.headers.get("Content-Type", "application/json"))


class Changes(Handler):
    """``changes``: hints for a page; not a byte while nothing changes."""

    @web.authenticated
    @authorized("read", resource=RESOURCE)
    async def get(self) -> None:
        """Stream events ``change``, ``reset``, ``proposals``, ``status`` until the page leaves."""
        proposals = frozenset(self.get_query_arguments("proposal", strip=False))
        self.set_header("Content-Type", "text/event-stream; charset=utf-8")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Accel-Buffering", "no")
        self._task = asyncio.current_task()
        async with self.shared.upstream.listening(proposals) as listener:
            try:
                while True:
                    event, data = await listener.queue.get()
                    self.write(f"event: {event}\ndata: {json.dumps(data)}\n\n")
                    while not listener.queue.empty():
                        event, data = listener.queue.get_nowait()
                        self.write(f"event: {event}\ndata: {json.dumps(data)}\n\n")
                    await self.flush()
            except (StreamClosedError, asyncio.CancelledError):
                return

    def on_connection_close(self) -> None:
        """The page left."""
        if (task := getattr(self, "_task", None)) is not None:
            task.cancel()


class Selection(Handler):
    """``selection/{view}``: which rows are selected in a view, kept here so that a computing kernel stops nothing."""

    @web.authenticated
    @authorized("read", resource=RESOURCE)
    async def get(self, view: str) -> None:
        """What is selected."""
        self.finish(json.dumps(self.shared.selections.get(view, {"proposal": "", "ids": []})))

    @web.authenticated
    @authorized("write", resource=RESOURCE)
    async def put(self, view: str) -> None:
        """Select."""
        try:
            asked = json.loads(self.request.body)
            ids = [int(number) for number in asked["ids"]][:MOST_SELECTED]
            proposal = str(asked.get("proposal", ""))
        except (ValueError, KeyError, TypeError):
            self.refuse(400, "bad-request", 'send {"proposal": "…", "ids": [1, 2]}')
            return
        while len(self.shared.selections) >= MOST_VIEWS:
            self.shared.selections.pop(next(iter(self.shared.selections)))
        self.shared.selections[view] = {"proposal": proposal, "ids": ids}
        self.set_status(204)
        self.finish()


class Chunk(Handler):
    """``chunk/{name}``: the parts of the widget's bundle that are loaded when they are needed."""

    @web.authenticated
    @authorized("read", resource=RESOURCE)
    async def get(self, name: str) -> None:
        """A file of the bundle; its name holds its hash, so it never changes."""
        spec = find_spec("beamhub.widgets")
        folder = Path(spec.origin).parent / "static" if spec and spec.origin else None
        path = folder / name if folder else None
        if path is None or not await asyncio.to_thread(path.is_file):
            self.refuse(404, "not-found", "beamhub[widgets] is not installed beside this server, or is another version")
            return
        self.set_header("Cache-Control", "private, max-age=31536000, immutable")
        kind = "text/css" if name.endswith(".css") else "text/javascript"
        self.finish(await asyncio.to_thread(path.read_bytes), set_content_type=f"{kind}; charset=utf-8")


def routes() -> list[Any]:
    """The handlers by their paths."""
    from beamhub.server_extension.hdf5 import Hdf5

    base = r"beamhub/api/"
    return [
        (base + "hello", Hello),
        (base + r"v1/(.+)", Pass),
        (base + "changes", Changes),
        (base + r"selection/([\w.-]{1,80})", Selection),
        (base + r"chunk/([\w-]+(?:\.[\w-]+)*\.(?:js|css))", Chunk),
        (base + r"hdf5/(\d{1,19})/(meta|attr|data|paths|stats)", Hdf5),
    ]


def _problem(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return "the processing service answered something else than expected"
