"""One proposal floods while another measures: file closed → run done of the other, beside its own without the flood."""

import os
import threading
import time
from typing import Any

from benchmarks.statistics import spread
from benchmarks.steady import until
from benchmarks.workplace import add_light_rule, drop, runs, workplace

MINUTES = float(os.environ.get("FLOOD_MINUTES", "60"))
FLOOD_AN_HOUR = 50_000
QUIET_MINUTES = min(5.0, MINUTES)  # before the flood, and after it, since the machine may have other work
EACH_S = 2.0  # between two files of the one who measures
BAR = 2.0  # times the latency without the flood


def measure() -> dict[str, object]:
    """Medians and 95th percentiles of both, and their ratios."""
    with workplace() as (demo, _):
        add_light_rule(demo, "measures")
        quiet = _latencies(demo, "before", QUIET_MINUTES)
        ends = threading.Event()
        flood = threading.Thread(target=_flood, args=(demo, ends))
        flood.start()
        try:
            busy = _latencies(demo, "busy", MINUTES)
        finally:
            ends.set()
            flood.join()
        until(lambda: _waiting(demo) == 0, 600)
        quiet += _latencies(demo, "after", QUIET_MINUTES)
        flooded = [state for _, state, _ in runs(demo, "floods")]
    alone, beside = spread(quiet), spread(busy)
    ratio = round(beside["p50_ms"] / alone["p50_ms"], 2)
    return {
        "alone": alone, "beside_the_flood": beside, "minutes": MINUTES,
        "flood": {"files": len(flooded), "done": flooded.count("done"), "waiting": flooded.count("queued")},
        "ratio_p50": ratio, "ratio_p95": round(beside["p95_ms"] / alone["p95_ms"], 2), "bar": BAR,
        "reached": ratio < BAR,
    }  # fmt: skip


def _flood(demo: Any, ends: threading.Event) -> None:
    begin = time.monotonic()
    for number in range(FLOOD_AN_HOUR):
        if ends.wait(max(0.0, begin + number * 3600 / FLOOD_AN_HOUR - time.monotonic())):
            return
        drop(demo, "floods", f"flood_{number:06d}")


def _waiting(demo: Any) -> int:
    return sum(state in ("queued", "running") for _, state, _ in runs(demo, "floods"))


def _latencies(demo: Any, name: str, minutes: float) -> list[float]:
    """Seconds from a file's rename to the commit of its result."""
    closed = {}
    for number in range(int(minutes * 60 / EACH_S)):
        file = f"{name}_{number:05d}"
        drop(demo, "measures", file)
        closed[f"{file}.size"] = time.time()
        time.sleep(EACH_S)
    ended: dict[str, float] = {}

    def all_ended() -> bool:
        ended.update({file: end for file, state, end in runs(demo, "measures") if state == "done"})
        return closed.keys() <= ended.keys()

    until(all_ended, 120)
    return [ended[file] - when for file, when in closed.items()]
