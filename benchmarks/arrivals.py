"""Files that arrive all the time, each of which changes its run's state three times: queued, running, done."""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

from benchmarks.workplace import drop, runs

CHANGES = 3  # of a run's state that a file makes


@contextlib.contextmanager
def arriving(demo: Any, proposal: str, name: str, changes_a_second: float) -> Iterator[None]:
    """Files of a light rule arrive at that rate of changes, until this ends."""
    ends = threading.Event()

    def write() -> None:
        begin, apart = time.monotonic(), CHANGES / changes_a_second
        number = 0
        while not ends.wait(max(0.0, begin + number * apart - time.monotonic())):
            drop(demo, proposal, f"{name}_{number:06d}")
            number += 1

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        ends.set()
        thread.join()


def changed(demo: Any, proposal: str, name: str, seconds: float) -> dict[str, float]:
    """What came of them in that time: files, and changes of runs' states a second."""
    states = [state for file, state, _ in runs(demo, proposal, f"{name}%")]
    changes = sum({"queued": 1, "running": 2}.get(state, 3) for state in states)
    return {"files": len(states), "done": states.count("done"), "changes_a_second": round(changes / seconds, 1)}
