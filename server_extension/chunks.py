"""``chunk/{name}``: the parts of the widget's bundle that a page loads when it needs them."""

import asyncio
import re
from importlib.util import find_spec
from pathlib import Path

from jupyter_server.auth.decorator import authorized
from tornado import web

from beamhub.server_extension.handler import RESOURCE, Handler

NAME = r"[\w-]+(?:\.[\w-]+)*\.(?:js|css)"
HASHED = re.compile(r"[\w.-]+-[0-9a-f]{8,}\.(?:js|css)", re.ASCII)
TYPES = {".js": "text/javascript", ".css": "text/css"}


class Chunk(Handler):
    """A file of ``beamhub.widgets``, which is looked for but not imported."""

    @web.authenticated
    @authorized("read", resource=RESOURCE)
    async def get(self, name: str) -> None:
        """A file whose name holds its hash never changes; any other is asked for again each time."""
        content = await asyncio.to_thread(_read, name)
        if content is None:
            self.refuse(
                404,
                "not-found",
                "beamhub[widgets] is not installed beside this server, or is another version",
            )
            return
        kept = "private, max-age=31536000, immutable" if HASHED.fullmatch(name) else "no-cache"
        self.set_header("Cache-Control", kept)
        self.finish(content, set_content_type=f"{TYPES[Path(name).suffix]}; charset=utf-8")


def _read(name: str) -> bytes | None:
    """A file of the bundle; None where there is none of that name."""
    spec = find_spec("beamhub.widgets")
    if spec is None or spec.origin is None or not re.fullmatch(NAME, name, re.ASCII):
        return None
    path = Path(spec.origin).parent / "static" / name
    return path.read_bytes() if path.is_file() else None
