"""Frames of a page while something is done: the time between two, and how long the main thread worked for each."""

import json
from bisect import bisect_right
from collections.abc import Callable
from itertools import pairwise
from typing import Any

CATEGORIES = ["devtools.timeline", "disabled-by-default-devtools.timeline"]
WATCH = """
() => {
  const frames = (window.beamhubFrames = []);
  let last = performance.now(), on = true;
  window.beamhubFramesEnd = () => { on = false; return frames; };
  const next = () => {
    const now = performance.now();
    frames.push(now - last);
    last = now;
    if (on) requestAnimationFrame(next);
  };
  requestAnimationFrame(next);
}
"""


def intervals(page: Any, act: Callable[[], object]) -> list[float]:
    """Seconds between two animation frames, while something is done."""
    page.evaluate(WATCH)
    act()
    return [ms / 1000 for ms in page.evaluate("beamhubFramesEnd()")]


def work(page: Any, act: Callable[[], object]) -> tuple[list[float], list[float]]:
    """Seconds that the page's main thread worked for each frame that it painted, while something is done.

    All of its tasks between two frames count for the later one, whatever they were for; recording costs some of it.

    Returns:
        The processor's time, and the time that passed, which is more where others want the processor too.
    """
    browser = page.context.browser
    browser.start_tracing(page=page, categories=CATEGORIES)
    try:
        act()
    finally:
        events = json.loads(browser.stop_tracing())["traceEvents"]
    main = _main_thread(events)
    return _work([one for one in events if (one["pid"], one["tid"]) == main])


def _main_thread(events: list[dict[str, Any]]) -> tuple[int, int]:
    """That which painted most."""
    painted = [(one["pid"], one["tid"]) for one in events if one["name"] == "FireAnimationFrame"]
    return max(set(painted), key=painted.count)


def _work(events: list[dict[str, Any]]) -> tuple[list[float], list[float]]:
    """A frame ends with the task in which it is committed."""
    ended = [one for one in events if one["name"] == "RunTask" and "dur" in one]
    tasks = sorted((one["ts"], one.get("tdur", 0), one["dur"]) for one in ended)
    begins = [begin for begin, *_ in tasks]
    commits = [one["ts"] for one in events if one["name"] == "Commit"]
    last = sorted({bisect_right(begins, commit) - 1 for commit in commits} - {-1})
    frames = [tasks[before + 1 : at + 1] for before, at in pairwise(last)]
    cpu = [sum(one for _, one, _ in frame) / 1e6 for frame in frames]
    return cpu, [sum(one for *_, one in frame) / 1e6 for frame in frames]
