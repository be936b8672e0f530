"""The extension: where the service is, who owns this server, and the handlers of its API."""

import os
import secrets

from jupyter_server.extension.application import ExtensionApp
from traitlets import Float, Unicode, default

from beamhub.server_extension import handlers
from beamhub.server_extension.upstream import Upstream


class BeamHubExtension(ExtensionApp):
    """Processed data for the pages of this server, with the server's own token."""

    name = "beamhub"
    load_other_extensions = True

    service_url = Unicode(help="Address of the processing service; default: BEAMHUB_SERVICE_URL, set by the Hub.").tag(
        config=True
    )
    silence = Float(
        45.0, help="Seconds without a sign of life after which the stream to the service is made anew."
    ).tag(config=True)

    @default("service_url")
    def _service_url(self) -> str:
        return os.environ.get("BEAMHUB_SERVICE_URL", "")

    def initialize_settings(self) -> None:
        """Called by jupyter-server before the handlers are made."""
        token = os.environ.get("JUPYTERHUB_API_TOKEN", "")
        self.upstream = Upstream(self.service_url, token, self.silence, self.log)
        self.settings["beamhub"] = handlers.Shared(
            id=secrets.token_hex(8),
            owner=os.environ.get("JUPYTERHUB_USER", ""),
            upstream=self.upstream,
            selections={},
        )

    def initialize_handlers(self) -> None:
        """Called by jupyter-server: what is served below ``<base>/beamhub/api/``."""
        self.handlers.extend(handlers.routes())

    async def stop_extension(self) -> None:
        """Called when the server ends."""
        await self.upstream.close()
