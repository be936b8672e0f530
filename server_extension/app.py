"""The extension: where the service is, who owns this server, and what is served below ``<base>/beamhub/api/``."""

import asyncio
import os
import secrets
from importlib.metadata import version
from typing import Any

from jupyter_server.extension.application import ExtensionApp
from traitlets import Unicode, default

from beamhub.server_extension import chunks, content
from beamhub.server_extension.activity import watch
from beamhub.server_extension.changes import Changes
from beamhub.server_extension.handler import Shared
from beamhub.server_extension.hdf5 import Hdf5
from beamhub.server_extension.hello import Hello
from beamhub.server_extension.outputs import Outputs
from beamhub.server_extension.passing import Pass
from beamhub.server_extension.place import Place
from beamhub.server_extension.reader import Reader
from beamhub.server_extension.selection import Selections
from beamhub.server_extension.service import ProcessingService
from beamhub.server_extension.session import SessionHandler, end_of
from beamhub.server_extension.time_left import SCHEMA, SCHEMA_ID, warn
from beamhub.server_extension.upstream import Upstream
from beamhub.server_extension.views import SelectionHandler

BASE = "beamhub/api/"


class BeamHubExtension(ExtensionApp):
    """Processed data for the pages of this server, with the server's own token."""

    name = "beamhub"
    load_other_extensions = True
    _tasks: tuple[asyncio.Task[None], ...] = ()

    service_url = Unicode(help="Address of the processing service; default: BEAMHUB_SERVICE_URL, set by the Hub.").tag(
        config=True
    )

    @default("service_url")
    def _service_url(self) -> str:
        return os.environ.get("BEAMHUB_SERVICE_URL", "")

    def initialize_settings(self) -> None:
        """Called by jupyter-server before the handlers are made."""
        service = ProcessingService(self.service_url, os.environ.get("JUPYTERHUB_API_TOKEN", ""))
        self.shared = Shared(
            id=secrets.token_hex(8),
            version=version("beamhub"),
            owner=os.environ.get("JUPYTERHUB_USER", ""),
            service=service,
            upstream=Upstream(service, self.log),
            selections=Selections(),
            outputs=Outputs(service),
            reader=Reader(),
        )
        self.settings["beamhub"] = self.shared

    def initialize_handlers(self) -> None:
        """Called by jupyter-server."""
        self.handlers.extend(routes())

    async def _start_jupyter_server_extension(self, serverapp: Any) -> None:
        """Called by jupyter-server when its loop runs: from now on its pages hear when its time runs out."""
        kernels = serverapp.kernel_manager.list_kernels
        self._tasks = (asyncio.create_task(watch(serverapp.web_app.settings, kernels)),)
        if (ends := end_of(os.environ)) is None:
            return
        events = serverapp.event_logger
        events.register_event_schema(SCHEMA)
        tell = lambda data: events.emit(schema_id=SCHEMA_ID, data=data)  # noqa: E731
        self._tasks += (asyncio.create_task(warn(ends, tell)),)

    async def stop_extension(self) -> None:
        """Called when the server ends."""
        for task in self._tasks:
            task.cancel()
        await self.shared.upstream.close()
        await self.shared.outputs.close()
        await self.shared.service.close()
        self.shared.reader.close()


def routes() -> list[Any]:
    """The handlers by their paths."""
    return [
        (BASE + "hello", Hello),
        (BASE + "session", SessionHandler),
        (BASE + r"v1/(.+)", Pass),
        (BASE + "changes", Changes),
        (BASE + r"selection/([\w.-]{1,80})", SelectionHandler),
        (BASE + r"place/(\d{1,19})", Place),
        (BASE + rf"chunk/({chunks.NAME})", chunks.Chunk),
        (BASE + rf"hdf5/(\d{{1,19}})/({'|'.join(content.WORDS)})", Hdf5),
    ]
