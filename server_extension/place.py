"""``place/{run}``: where an output lies for this server's own file browser."""

import os
from pathlib import Path

from jupyter_server.auth.decorator import authorized
from tornado import web

from beamhub.server_extension.handler import RESOURCE, Handler
from beamhub.server_extension.outputs import NotThere
from beamhub.server_extension.service import Down


class Place(Handler):
    """The path below the server's folder, for a page that opens the file in Lab."""

    @web.authenticated
    @authorized("read", resource=RESOURCE)
    async def get(self, run: str) -> None:
        """``{"path"}``; 404 where the file browser does not show the output."""
        try:
            output = await self.shared.outputs.seen(int(run))
        except Down as error:
            self.refuse(503, "down", str(error))
            return
        except NotThere as error:
            self.refuse(error.code, "no-output", str(error))
            return
        path = shown_at(Path(self.settings["server_root_dir"]), output) if output else None
        if path is None:
            self.refuse(404, "no-output", f"the file browser does not show the output of run {run}")
            return
        self.answer({"path": path})


def shown_at(root: Path, output: Path) -> str | None:
    """Where a file browser with this root shows a file; None where it does not, as in hidden folders."""
    above = Path(os.path.realpath(root.expanduser()))
    below = Path(os.path.realpath(output))
    if not below.is_relative_to(above):
        return None
    parts = below.relative_to(above).parts
    return None if any(part.startswith(".") for part in parts) else "/".join(parts)
