"""How long a fresh interpreter takes to import each room, beyond its own start."""

import subprocess
import sys
import time

from benchmarks.statistics import spread

BARS_MS = {"beamhub.catalog": 150, "beamhub.server_extension": 100}
MODULES = (
    "beamhub.catalog",
    "beamhub.config",
    "beamhub.server_extension",
    "beamhub.widgets",
    "beamhub.spawner",
)
ROUNDS = 15


def measure() -> dict[str, object]:
    """For each module its import time (the interpreter's own -X importtime), and the bare interpreter beside it."""
    figures: dict[str, object] = {"bare interpreter": spread([_run("pass") for _ in range(ROUNDS)])}
    for module in MODULES:
        times = spread([_import(module) for _ in range(ROUNDS)])
        bar = BARS_MS.get(module)
        figures[module] = times | ({"bar_ms": bar, "reached": times["p50_ms"] < bar} if bar else {})
    return figures


def _run(code: str) -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - begin


def _import(module: str) -> float:
    code = f"import time; b = time.perf_counter(); import {module}; print(time.perf_counter() - b)"
    return float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)
