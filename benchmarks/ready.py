"""Time from the request to a ready server, beside JupyterHub's own SimpleLocalProcessSpawner in the same run."""

import os
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.statistics import spread

ROOT = Path(__file__).parent.parent
ROUNDS = 8
BAR = 1.15
SINGLEUSER = ["jupyterhub-singleuser", *(["--allow-root"] if os.geteuid() == 0 else [])]
PLAIN = """
from jupyterhub.spawner import SimpleLocalProcessSpawner
c.JupyterHub.spawner_class = SimpleLocalProcessSpawner
c.SimpleLocalProcessSpawner.home_dir_template = "{folder}/homes/{{username}}"
"""


def measure() -> dict[str, object]:
    """Both spread over the same rounds, in turn; and the ratio of the medians."""
    sys.path.insert(0, str(ROOT / "tests"))
    from services.hub import RunningHub

    times: dict[str, list[float]] = {"beamhub": [], "simple": []}
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        for name in times:
            (folder / name).mkdir()
        (folder / "simple/homes").mkdir()
        ours = RunningHub(folder / "beamhub", command=SINGLEUSER)
        simple = RunningHub(folder / "simple", command=SINGLEUSER, extra=PLAIN.format(folder=folder / "simple"))
        with ours, simple:
            for _ in range(ROUNDS + 1):
                for name, hub in (("beamhub", ours), ("simple", simple)):
                    times[name].append(_start(hub))
    for found in times.values():
        del found[0]  # the first start compiles and fills the page cache
    figures = {name: spread(found) for name, found in times.items()}
    ratio = figures["beamhub"]["p50_ms"] / figures["simple"]["p50_ms"]
    return {**figures, "ratio of medians": round(ratio, 3), "bar": BAR, "reached": ratio <= BAR}


def _start(hub: object) -> float:
    begin = time.perf_counter()
    hub.start_server("ada", options={})  # type: ignore[attr-defined]
    took = time.perf_counter() - begin
    hub.stop_server("ada")  # type: ignore[attr-defined]
    return took
