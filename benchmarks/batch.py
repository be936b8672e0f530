"""Servers on a real Slurm, beside batchspawner's SlurmSpawner on the same cluster in the same run.

``BATCH_PARTS`` says which of the parts. Taken out of the ratios is the scheduler's own part: of each start by Slurm's
own logs (of the job that was handed in last, from the controller's taking it to its node's beginning), of the stops by
bare jobs in the same rounds. What the servers themselves take, without any Hub, stands beside it.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.batch_alone import alone
from benchmarks.batch_hubs import REAL, STUB, USER, bare, ours, theirs
from benchmarks.batch_servers import WITHIN_S, cancelled, kinds, questions, scheduled, start, stop
from benchmarks.statistics import spread

ROOT = Path(__file__).parent.parent
PARTS = os.environ.get("BATCH_PARTS", "starts questions crowd idle queue").split()
ROUNDS = int(os.environ.get("BATCH_ROUNDS", "5"))
COUNTS = os.environ.get("BATCH_COUNTS", "1 10 1s 10s 50s").split()  # s: of stubs
IDLE = [int(count) for count in os.environ.get("BATCH_IDLE", "10 100").split()]
IDLE_S = float(os.environ.get("BATCH_IDLE_S", "60"))
CROWD = int(os.environ.get("BATCH_CROWD", "200"))
BAR, A_MINUTE = 0.5, 6
PAUSE_S = 1.0  # after each, in which Slurm forgets what ended
FEW = 20  # servers at once, where their start is not what is measured
CPUS = 64  # of each of four nodes
PROBE = """
import asyncio, time
def probe(last=None):
    now = time.thread_time()
    if last is not None and now - last > 0.1:
        with open("{path}", "a") as file:
            file.write(f"{{now - last:.3f}}\\n")
    asyncio.get_running_loop().call_later(0.02, probe, now)
asyncio.get_running_loop().call_soon(probe)
"""


def measure() -> dict[str, object]:
    """Each part's figures, times in milliseconds, and ours over theirs."""
    sys.path.insert(0, str(ROOT / "tests"))
    from services.slurm import slurm
    from services.software import software

    found: dict[str, Any] = {}
    if {"starts", "questions", "crowd"} & set(PARTS):
        with slurm(cpus=CPUS) as cluster, software() as shared:
            for name, part in (("starts", _starts), ("questions", _questions), ("crowd", _crowd)):
                if name in PARTS:
                    found[name] = _shown(name, part(cluster, shared))
    if {"idle", "queue"} & set(PARTS):
        from benchmarks import batch_standin

        for name, of in (("idle", batch_standin.idle), ("queue", batch_standin.queue)):
            if name in PARTS:
                found[name] = _shown(name, of())
    return found


def _shown(name: str, figures: Any) -> Any:
    """One part's figures, printed at once: a later part that fails takes them with it."""
    print(json.dumps({name: figures}), flush=True)
    return figures


def _starts(cluster: Any, shared: Path) -> dict[str, object]:
    """Ready and stopped, for real servers, and for stubs, whose own start takes no time."""
    found: dict[str, object] = {}
    stubs = [count.rstrip("s") for count in COUNTS if count.endswith("s")]
    for server, counts in ((REAL, [count for count in COUNTS if count.isdigit()]), (STUB, stubs)):
        if not counts:
            continue
        with ours(cluster, shared, server) as hub, theirs(cluster, shared, server) as other:
            hubs = {"beamhub": hub, "batchspawner": other}
            for one in hubs.values():  # the first fills the page cache
                start(one, [""], 0.05)
                stop(one, [""], 0.05)
            for count in counts:
                found[count if server is REAL else f"{count}, stub"] = _beside(
                    cluster, hubs, int(count), lambda many, one=server: alone(shared, one, many)
                )
    return found


def _beside(
    cluster: Any, hubs: dict[str, Any], count: int, without: Callable[[int], tuple[float, float]]
) -> dict[str, object]:
    names = [f"s{number}" for number in range(count)] if count > 1 else [""]
    rounds, look_s = ROUNDS if count <= 10 else max(1, ROUNDS // 2), 0.05 if count <= 10 else 0.2
    ready: dict[str, list[float]] = {name: [] for name in (*hubs, "alone")}
    stopped: dict[str, list[float]] = {name: [] for name in ready}
    scheduler: dict[str, list[float]] = {"stopped": [], **{f"ready, {name}": [] for name in hubs}}
    turns = list(hubs)
    for _ in range(rounds):
        for name in turns:
            before = set(scheduled(cluster))
            took = start(hubs[name], names, look_s)
            taken, began = max(times for job, times in scheduled(cluster).items() if job not in before)
            scheduler[f"ready, {name}"].append(began - taken)
            ready[name].append(took - (began - taken))
            stopped[name].append(stop(hubs[name], names, look_s))
            time.sleep(PAUSE_S)
        scheduler["stopped"].append(cancelled(cluster, count))
        time.sleep(PAUSE_S)
        for kept, took in zip((ready, stopped), without(count), strict=True):
            kept["alone"].append(took)
        turns = [*turns[1:], turns[0]]  # what was there before has its effect on all
    for name in hubs:
        stopped[name] = [took - median(scheduler["stopped"]) for took in stopped[name]]
    slurms = {name: spread(seconds) for name, seconds in scheduler.items()}
    return {"ready": _ratios(ready), "stopped": _ratios(stopped), "scheduler, taken out": slurms}


def _ratios(times: dict[str, list[float]]) -> dict[str, object]:
    """Ours over theirs; and the same of what each takes longer than the servers alone."""
    found = {name: spread(seconds) for name, seconds in times.items()}
    ours, theirs, alone = (found[name]["p50_ms"] for name in ("beamhub", "batchspawner", "alone"))
    more = round((ours - alone) / (theirs - alone), 3) if min(ours, theirs) > alone else None
    ratio = round(ours / theirs, 3) if theirs > 0 else None
    reached = ratio is not None and ratio <= BAR
    return {**found, "ratio": ratio, "bar": BAR, "reached": reached, "ratio without the servers' own": more}


def _questions(cluster: Any, shared: Path) -> dict[str, object]:
    """Requests to the controller a minute, with servers that are idle; by its own count of who asked."""
    from services.slurm import HUB

    found: dict[str, Any] = {}
    for count in IDLE:
        names = [f"s{number}" for number in range(count)]
        for name, hub_of, user in (("beamhub", ours, HUB), ("batchspawner", theirs, USER)):
            with hub_of(cluster, shared, STUB) as hub:
                try:
                    for first in range(0, count, FEW):
                        start(hub, names[first : first + FEW], 0.5)
                except TimeoutError:
                    found[f"{name}, {count} servers"] = f"not all ready {WITHIN_S:g} s after {FEW} were asked for"
                    continue
                time.sleep(10)  # what follows a start is over
                before, sorts = questions(cluster, user), kinds(cluster)
                time.sleep(IDLE_S)
                asked = (questions(cluster, user) - before) * 60 / IDLE_S
                more = {key: round((one - sorts.get(key, 0)) * 60 / IDLE_S, 1) for key, one in kinds(cluster).items()}
                found[f"{name}, {count} servers"] = {
                    "a minute": round(asked, 1), "of everybody": {key: one for key, one in more.items() if one},
                }  # fmt: skip
                stop(hub, names, 0.5)
    return {**found, "bar": A_MINUTE}


def _crowd(cluster: Any, shared: Path) -> dict[str, object]:
    """Many servers asked for at once: until all are ready, and how often the Hub computed over 100 ms at a stretch."""
    found: dict[str, Any] = {}
    names = [f"s{number}" for number in range(CROWD)]
    for name in ("bare", "beamhub"):
        path = shared / f"{name}.txt"
        path.touch()
        path.chmod(0o666)
        extra = PROBE.format(path=path)
        hub_of = ours(cluster, shared, STUB, extra) if name == "beamhub" else bare(shared, STUB, extra)
        with hub_of as hub:
            path.write_text("")  # what the start of the Hub took
            took = start(hub, names, 1.0)
            over = sorted(float(line) for line in path.read_text().split())
            found[name] = {"ready_s": round(took, 1), "over 100 ms": len(over), "longest_s": over[-1] if over else 0.0}
            stop(hub, names, 1.0)
    more = found["beamhub"]["over 100 ms"] - found["bare"]["over 100 ms"]
    return {**found, "servers": CROWD, "more than bare": more, "bar": 0, "reached": more <= 0}
