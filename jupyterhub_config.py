"""BeamHub on one computer: no root, no cluster, no Docker. ``jupyterhub`` in this folder, or ``make demo``.

An operator's own configuration has the same lines: a proxy, an authenticator, ``configure(c, catalogue)``, and the
processing service. What makes this a demo is marked "demo".
"""

import os
import secrets
import shutil
import sys
from pathlib import Path

from jupyterhub.app import JupyterHub

from beamhub.spawner import configure

c = get_config()
here = Path(__file__).parent
# demo: everything that is written lies in this folder; what people may edit is copied there once
folder = Path(os.environ.get("BEAMHUB_FOLDER", here / ".demo")).resolve()
port = int(os.environ.get("BEAMHUB_PORT", "8000"))  # and the three above it, for what only the proxy talks to
marker = {"BEAMHUB_DEMO": str(folder)}
for name in ("compute.yaml", "processing.yaml", "functions"):
    source, target = here / "examples/demo" / name, folder / name
    if not target.exists():
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, target)
for name in ("raw", "hub", "proxy"):
    (folder / name).mkdir(exist_ok=True)

# The Hub and its files
c.JupyterHub.bind_url = f"http://127.0.0.1:{port}"
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{port + 1}"
c.JupyterHub.db_url = f"sqlite:///{folder}/hub/jupyterhub.sqlite"
c.JupyterHub.cookie_secret_file = str(folder / "hub/cookie_secret")
c.JupyterHub.allow_named_servers = True
c.ConfigurableHTTPProxy.pid_file = str(folder / "hub/proxy.pid")

# The proxy: traefik, which needs no Node.js, as a child of the Hub; in production it runs outside ("traefik_file")
c.JupyterHub.proxy_class = "beamhub.spawner.proxy.KeptTraefik"
c.TraefikProxy.traefik_api_url = f"http://127.0.0.1:{port + 3}"
c.TraefikProxy.traefik_api_username = "hub"
c.TraefikProxy.traefik_api_password = secrets.token_hex(16)
c.TraefikFileProviderProxy.static_config_file = str(folder / "proxy/traefik.toml")
c.TraefikFileProviderProxy.dynamic_config_file = str(folder / "proxy/rules.toml")
if JupyterHub.initialized():  # else this file is only read, while a Hub may be running
    (folder / "proxy/rules.toml").unlink(missing_ok=True)  # one that was left holds the password of that run
c.TraefikProxy.extra_static_config = {"global": {"checkNewVersion": False, "sendAnonymousUsage": False}}

# demo: one user with a password made for this run; a facility puts its identity provider here
password = os.environ.get("BEAMHUB_PASSWORD") or secrets.token_urlsafe(9)
if "BEAMHUB_PASSWORD" not in os.environ:
    print(f"user=demo password={password}", file=sys.stderr)
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = password
c.Authenticator.allowed_users = {"demo"}
c.JupyterHub.load_groups = {"demo-2026": {"users": ["demo"]}}

# Notebook servers, as compute.yaml describes them
configure(c, catalogue=folder / "compute.yaml")
c.Spawner.environment = marker
c.Spawner.args = ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
if os.geteuid() == 0:  # demo: tried out as root, its servers are root's as well
    c.Spawner.args += ["--allow-root"]
c.Spawner.default_url = "/lab/tree/tutorial.ipynb"


def with_tutorial(spawner):
    """demo: everybody's folder begins with the tutorial, and with Lab's question about news answered."""
    home = folder / "home" / spawner.user.name
    if not home.exists():
        shutil.copytree(here / "examples/demo/home", home)
        home.chmod(0o700)


c.Spawner.pre_spawn_hook = with_tutorial

# Processing, and the end of idle servers
c.JupyterHub.services.extend([
    {
        "name": "beamhub",
        "url": f"http://127.0.0.1:{port + 2}",
        "command": [str(Path(sys.executable).with_name("beamhub")), "processing", "--supervise",
                    "--config", str(folder / "processing.yaml")],
        "environment": marker,
    },
    {
        "name": "idle-culler",
        "command": [sys.executable, "-m", "jupyterhub_idle_culler", "--timeout=7200"],
        "environment": marker,
    },
])  # fmt: skip
c.JupyterHub.load_roles.extend(
    [
        {
            "name": "idle-culler",
            "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
            "services": ["idle-culler"],
        },
    ]
)

# demo: the beamline; BEAMHUB_BEAMLINE=off leaves it out
if os.environ.get("BEAMHUB_BEAMLINE") != "off":
    replay = [sys.executable, str(here / "examples/demo/beamline/replay.py"), str(folder / "raw")]
    c.JupyterHub.services.extend([{"name": "beamline", "command": replay, "environment": marker}])
