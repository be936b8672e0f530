"""The table over a million runs in one proposal, in a real browser through the whole demo.

``AT_SCALE_RUNS`` says over how many, ``AT_SCALE_MINUTES`` how long it is scrolled, ``AT_SCALE_AGAIN`` how often it is
opened. Changes are real: files arrive, and a light rule takes each of them through three states.
"""

import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks import frames, scrolling, seen
from benchmarks.arrivals import arriving, changed
from benchmarks.entering import TALL, enter
from benchmarks.filled import fill_demo
from benchmarks.statistics import spread
from benchmarks.steady import megabytes, until
from benchmarks.workplace import add_light_rule, drop, read, runs, workplace

RUNS = int(os.environ.get("AT_SCALE_RUNS", "1000000"))
MINUTES = float(os.environ.get("AT_SCALE_MINUTES", "10"))
AGAIN = int(os.environ.get("AT_SCALE_AGAIN", "20"))
PROPOSAL = "demo-2026"
CHANGES_A_SECOND = 50.0
WATCHED_S, QUIET_S = 60.0, 20.0  # of what is seen at the top; after it and after a burst
BURST, WORKERS = 1000, 2  # the demo's
BARS = {"first_rows_ms": 500, "frame_work_ms": 16, "heap_MB": 20, "seen_ms": 250, "paints_of_a_burst": 10}
TIMES = """SELECT id, queued, started, finished FROM run
WHERE proposal = ? AND file_name LIKE ? AND state = 'done' AND attempts = 1"""
# As the tab Again asks.
ASK = """
async ([path, body, key]) => {
  const base = JSON.parse(document.getElementById("jupyter-config-data").textContent).baseUrl;
  const token = document.cookie.match(/(?:^|;\\s*)_xsrf=([^;]+)/)?.[1] ?? "";
  const headers = { "Content-Type": "application/json", "X-XSRFToken": decodeURIComponent(token) };
  if (key) headers["Idempotency-Key"] = key;
  const answer = await fetch(`${base}beamhub/api/v1/${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
}
"""


def measure() -> dict[str, object]:
    """Milliseconds, megabytes and paints, beside the bars; rows in sight: 20."""
    with workplace(partial(fill_demo, runs=RUNS)) as (demo, page):
        page.add_style_tag(content=TALL)
        add_light_rule(demo, PROPOSAL)
        first = enter(page, 0)
        opened = spread([_pausing(lambda: enter(page, 0), 0.5) for _ in range(AGAIN)])
        page.wait_for_selector(".bh-live:has-text('● live')")
        found = {
            "first_rows": {"cold_kernel_ms": round(first * 1000), **opened},
            "scrolled": _scrolled(demo, page),
            "seen": _seen(demo, page),
            "burst": _burst(demo, page),
        }
    return {"runs": RUNS, **found, "bars": BARS}


def _pausing(act: Callable[[], float], seconds: float) -> float:
    time.sleep(seconds)
    return act()


def _scrolled(demo: Any, page: Any) -> dict[str, object]:
    """By the wheel and by the scrollbar in turn while runs change; the heap is that at the top."""
    devtools = page.context.new_cdp_session(page)
    scrolling.drag(page, 10)  # so that code and pools are warm
    scrolling.top(page)
    before = _page_megabytes(demo, devtools)
    times: dict[str, list[float]] = {}
    begin = time.monotonic()
    with arriving(demo, PROPOSAL, "scrolled", CHANGES_A_SECOND):
        while (left := begin + MINUTES * 60 - time.monotonic()) > 0:
            _round(page, times, min(10.0, max(2.0, left / 4)))
        spent = time.monotonic() - begin
    came = changed(demo, PROPOSAL, "scrolled", spent)
    scrolling.top(page)
    _settle(demo, "scrolled")
    grown = round(_page_megabytes(demo, devtools) - before, 1)
    figures = {name: spread(found) for name, found in sorted(times.items())}
    return {"minutes": MINUTES, "came": came, **figures, "heap_MB": round(before, 1), "heap_grown_MB": grown}


def _round(page: Any, times: dict[str, list[float]], seconds: float) -> None:
    """Each way of scrolling, once with the frames' work recorded, and once undisturbed with their distance."""
    for name, way in {"wheel": scrolling.wheel, "scrollbar": scrolling.drag}.items():
        cpu, wall = frames.work(page, partial(way, page, seconds))
        times.setdefault(f"{name}: work of a frame", []).extend(cpu)
        times.setdefault(f"{name}: work of a frame with what else held it up", []).extend(wall)
        between = frames.intervals(page, partial(way, page, seconds))
        times.setdefault(f"{name}: from frame to frame", []).extend(between)


def _seen(demo: Any, page: Any) -> dict[str, object]:
    """From the time that the service writes beside a run's new state to the frame that shows it, at the top."""
    scrolling.top(page)
    _show_new(page)
    seen.watch(page)
    with arriving(demo, PROPOSAL, "seen", CHANGES_A_SECOND):
        begin = time.monotonic()
        page.wait_for_timeout(WATCHED_S * min(1.0, MINUTES) * 1000)
        spent = time.monotonic() - begin
    came = changed(demo, PROPOSAL, "seen", spent)
    _settle(demo, "seen")
    rows = read(demo, TIMES, PROPOSAL, "seen%")
    times = {number: tuple(one / 1e6 for one in moments) for number, *moments in rows}
    found = seen.delays(seen.first_seen(page), times)
    return {"came": came, "runs": len(times), **spread(found), "paints": seen.paints(page)}


def _burst(demo: Any, page: Any) -> dict[str, object]:
    """A thousand runs are asked for again in one request, and then cancelled in one, while all workers are busy."""
    for number in range(WORKERS):
        drop(demo, PROPOSAL, f"busy_{number}", "nap")
    until(lambda: [state for _, state, _ in runs(demo, PROPOSAL, "busy%")] == ["running"] * WORKERS, 60)
    asked = "SELECT id FROM run WHERE proposal = ? AND function = 'size' AND state = 'done' ORDER BY id DESC LIMIT ?"
    ids = [number for (number,) in read(demo, asked, PROPOSAL, BURST)]
    made = _paints(page, "runs", {"ids": ids, "function": "size"}, "burst")
    ended = _paints(page, "requests/burst/cancel", {})
    cancelled = read(demo, "SELECT count(*) FROM run WHERE proposal = ? AND state = 'cancelled'", PROPOSAL)[0][0]
    found = {"changes": len(ids), "paints_of_new_rows": made}
    return {**found, "changes_at_cancelling": cancelled, "paints_of_cancelled_rows": ended}


def _paints(page: Any, path: str, body: dict[str, Any], key: str = "") -> int:
    page.wait_for_timeout(3000)
    seen.watch(page)
    _ask(page, path, body, key)
    page.wait_for_timeout(QUIET_S * 1000 / 4)
    return seen.paints(page)


def _ask(page: Any, path: str, body: dict[str, Any], key: str = "") -> None:
    page.evaluate(ASK, [path, body, key])


def _show_new(page: Any) -> None:
    if page.locator(".bh-new").first.is_visible():
        page.locator(".bh-new").first.click()
        page.wait_for_timeout(2000)


def _settle(demo: Any, name: str) -> None:
    """All that arrived has become a result, and the page has been told."""
    until(lambda: all(state in ("done", "failed") for _, state, _ in runs(demo, PROPOSAL, f"{name}%")), 600)
    time.sleep(3)


def _page_megabytes(demo: Any, devtools: Any) -> float:
    return megabytes(demo, devtools)["page"]
