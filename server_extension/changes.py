"""``changes``: hints of changes for one page; not a byte while nothing changes."""

import asyncio
import json
from typing import Any

from jupyter_server.auth.decorator import authorized
from tornado import web
from tornado.iostream import StreamClosedError

from beamhub.server_extension.handler import RESOURCE, Handler


class Changes(Handler):
    """Streams the events of :class:`~beamhub.server_extension.upstream.Upstream` to a page."""

    @web.authenticated
    @authorized("read", resource=RESOURCE)
    async def get(self) -> None:
        """``proposal`` (any number of them) is what the page watches, ``last`` the ``seq`` of what it shows."""
        proposals = frozenset(self.get_query_arguments("proposal", strip=False))
        last = self.get_query_argument("last", "")
        if last and not (last.isascii() and last.isdecimal() and len(last) < 20):
            self.refuse(400, "bad-request", f"last={last[:40]!r} is no whole number: send the seq of an answer")
            return
        self.set_header("Content-Type", "text/event-stream; charset=utf-8")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Accel-Buffering", "no")
        self._task = asyncio.current_task()
        async with self.shared.upstream.listening(proposals, int(last) if last else None) as listener:
            try:
                while True:
                    self._tell(*await listener.queue.get())
                    while not listener.queue.empty():
                        self._tell(*listener.queue.get_nowait())
                    await self.flush()
            except (StreamClosedError, asyncio.CancelledError):
                return

    def _tell(self, event: str, data: dict[str, Any]) -> None:
        self.write(f"event: {event}\ndata: {json.dumps(data)}\n\n")

    def on_connection_close(self) -> None:
        """The page left."""
        if (task := getattr(self, "_task", None)) is not None:
            task.cancel()
