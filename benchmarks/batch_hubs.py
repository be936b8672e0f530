"""Two Hubs in front of one Slurm, ours and one with batchspawner's SlurmSpawner, and a bare Hub without any."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

USER = "bhanna"
REAL, STUB = "jupyterhub-singleuser", "stub-singleuser"
COMPUTE = """
sites:
  cluster: {{kind: slurm, title: The cluster, partitions: [short], hub_url: "{url}", networks: [{address}/32],
            slurm_conf: {conf}, launcher: "@LAUNCHER@", queue_timeout: 10m}}
environments:
  python: {{title: Python, python: /usr/bin}}
profiles:
  small: {{title: Small, sites: [cluster], environments: [python], cores: 1, memory: 400M, walltime: 1h}}
"""
COMMON = """
c.JupyterHub.tornado_settings.update({{"slow_spawn_timeout": 0, "slow_stop_timeout": 0}})  # it answers at once
c.Spawner.environment = {{"JUPYTERHUB_SINGLEUSER_APP": "jupyter_server.serverapp.ServerApp",
                         "PATH": "{bin}:/usr/bin:/bin"}}
c.Spawner.http_timeout = 120
c.Spawner.start_timeout = 300
"""
THEIRS = """
import batchspawner
c.JupyterHub.spawner_class = "batchspawner.SlurmSpawner"
c.JupyterHub.hub_bind_url = "http://{address}:{port}"
c.SlurmSpawner.req_partition, c.SlurmSpawner.req_runtime = "short", "60"
c.SlurmSpawner.req_memory, c.SlurmSpawner.req_nprocs = "400", "1"
c.SlurmSpawner.state_exechost_exp = "{address}"  # emulated nodes have no addresses of their own
c.SlurmSpawner.batchspawner_singleuser_cmd = "{bin}/batchspawner-singleuser"
c.Spawner.env_keep = ["SLURM_CONF"]
"""
BARE = """
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = "{folder}/homes/{{username}}"
"""


@contextmanager
def ours(cluster: Any, shared: Path, server: str, extra: str = "") -> Iterator[Any]:
    """A Hub whose one site is the cluster."""
    from services.hub import RunningHub
    from services.launcher import installed
    from services.slurm import HUB, PEOPLE, address

    with _folder() as folder:
        hub = RunningHub(
            folder, users=list(PEOPLE), extra=COMMON.format(bin=shared) + extra, host=address(), account=HUB,
            command=[str(shared / server)],
        )  # fmt: skip
        text = COMPUTE.format(url=hub.url.rstrip("/"), address=address(), conf=cluster.conf)
        (folder / "compute.yaml").write_text(text)
        with installed(folder / "compute.yaml", hub.mark), hub:
            yield hub


@contextmanager
def theirs(cluster: Any, shared: Path, server: str) -> Iterator[Any]:
    """A Hub with batchspawner, as its documents say: as root, with ``sudo -E``; nothing of ours but the proxy."""
    from services.hub import RunningHub
    from services.ports import free_port
    from services.slurm import PEOPLE, address

    extra = COMMON.format(bin=shared) + THEIRS.format(address=address(), port=free_port(), bin=shared)
    with _folder() as folder:
        hub = RunningHub(folder, users=list(PEOPLE), extra=extra, host=address(), command=[str(shared / server)])
        _without_us(hub)
        os.environ["SLURM_CONF"] = str(cluster.conf)
        try:
            with hub:
                yield hub
        finally:
            del os.environ["SLURM_CONF"]


@contextmanager
def bare(shared: Path, server: str, extra: str = "") -> Iterator[Any]:
    """A Hub with JupyterHub's own SimpleLocalProcessSpawner."""
    from services.hub import RunningHub

    with _folder() as folder:
        (folder / "homes").mkdir()
        lines = COMMON.format(bin=shared) + BARE.format(folder=folder) + extra
        hub = RunningHub(folder, users=[USER], extra=lines, command=[str(shared / server)])
        _without_us(hub)
        with hub:
            yield hub


def _without_us(hub: Any) -> None:
    path = hub.folder / "jupyterhub_config.py"
    lines = [line for line in path.read_text().splitlines(keepends=True) if "configure" not in line]
    path.write_text("".join(lines))


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="bhhub"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
