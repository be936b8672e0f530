"""One hour of five files a second with an open page: the memory of service, extension and page stays flat."""

import os
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import psutil

from benchmarks.workplace import add_light_rule, drop, runs, workplace

MINUTES = float(os.environ.get("STEADY_MINUTES", "60"))
RATE = 5  # files a second
EVERY_S = 30
WARM = 1 / 6  # of the time, before memory is looked at
PROPOSAL = "demo-2026"


def measure() -> dict[str, object]:
    """Megabytes at the begin and the end, their slope an hour, and whether every file became a result."""
    with workplace() as (demo, page):
        from browser.tools import run_cell

        add_light_rule(demo, PROPOSAL)
        run_cell(page, 0)
        page.wait_for_selector(".bh-live:has-text('● live')")
        devtools = page.context.new_cdp_session(page)
        samples = [megabytes(demo, devtools)]
        count = 0
        for count in _files(MINUTES):
            drop(demo, PROPOSAL, f"steady_{count:06d}")
            if count % (RATE * EVERY_S) == 0:
                samples.append(megabytes(demo, devtools))
        until(lambda: done(demo) == count, 300)
        states = [state for name, state, _ in runs(demo, PROPOSAL) if name.startswith("steady")]
        shown = page.locator(".bh-count").inner_text()
    return {
        "minutes": MINUTES,
        "files": count,
        "runs": len(states),
        "done": states.count("done"),
        "shown": shown,
        "megabytes": {name: _slope([sample[name] for sample in samples]) for name in samples[0]},
    }


def done(demo: Any) -> int:
    """How many of the files became results."""
    return sum(name.startswith("steady") and state == "done" for name, state, _ in runs(demo, PROPOSAL))


def _files(minutes: float) -> Iterator[int]:
    """Numbers from 1, at the rate, as the clock says."""
    begin = time.monotonic()
    for number in range(1, int(minutes * 60 * RATE) + 1):
        time.sleep(max(0.0, begin + number / RATE - time.monotonic()))
        yield number


def until(condition: Any, within_s: float) -> None:
    """Wait for something."""
    end = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"it was not so within {within_s:g} s")
        time.sleep(0.5)


def megabytes(demo: Any, devtools: Any) -> dict[str, float]:
    """Resident memory of each part of the demo, and the page's heap after a collection."""
    found = {"service": 0.0, "workers": 0.0, "extension": 0.0, "hub": 0.0}
    for number in demo.processes():
        try:
            process = psutil.Process(number)
            words, rss = " ".join(process.cmdline()), process.memory_info().rss / 1e6
        except psutil.NoSuchProcess:
            continue
        if "beamhub.config.command processing" in words and "--supervise" not in words:
            found["service"] += rss
        elif "singleuser" in words and "ipykernel" not in words:
            found["extension"] += rss
        elif "-m jupyterhub -f" in words:
            found["hub"] += rss
        elif "dask_worker" in words or "spawn_main" in words or "beamhub.processing" in words:
            found["workers"] += rss
    devtools.send("HeapProfiler.collectGarbage")
    devtools.send("Performance.enable")
    metrics = {one["name"]: one["value"] for one in devtools.send("Performance.getMetrics")["metrics"]}
    return {**found, "page": metrics["JSHeapUsedSize"] / 1e6, "page_nodes": metrics["Nodes"]}


def _slope(values: list[float]) -> dict[str, float]:
    """First, last and largest value, and what is added in an hour once it is warm (least squares)."""
    kept = values[int(len(values) * WARM) :]
    hours = np.arange(len(kept)) * EVERY_S / 3600
    slope = float(np.polyfit(hours, kept, 1)[0]) if len(kept) > 1 else 0.0
    return {
        "first": round(values[0], 1), "warm": round(kept[0], 1), "last": round(kept[-1], 1),
        "largest": round(max(values), 1), "per_hour": round(slope, 2),
    }  # fmt: skip
