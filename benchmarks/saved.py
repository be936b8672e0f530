"""How much a saved notebook grows by each display of the table: once, again, beside each other, with a selected row.

``SAVED_RUNS`` says of how many runs the table is: the static table, which is all that is kept, has at most 200.
"""

import json
import os
import shutil
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.entering import TALL, enter
from benchmarks.filled import fill_demo
from benchmarks.painted import lab6_frames
from benchmarks.workplace import runs, workplace

RUNS = int(os.environ.get("SAVED_RUNS", "10000"))
AGAIN = 10
PROPOSAL = "demo-2026"
BAR_KB = 50
NAME = "lab6_00001.nxs"


def measure() -> dict[str, object]:
    """Kilobytes: of one output, and by how much the file is larger than before any."""
    with tempfile.TemporaryDirectory() as folder, workplace(partial(fill_demo, runs=RUNS)) as (demo, page):
        page.add_style_tag(content=TALL)
        _measure_file(demo, Path(folder))
        before = _saved(demo, page)
        found = {}
        enter(page, 0)
        found["once"] = _grown(demo, page, before, 1)
        for _ in range(AGAIN):
            enter(page, 0)
        found[f"again, {AGAIN} times"] = _grown(demo, page, before, 1)
        _select(page)
        found["with a selected row and its curve"] = _grown(demo, page, before, 1)
        enter(page, 1, "ProcessedData()")
        enter(page, 2, "ProcessedData()")
        found["three beside each other"] = _grown(demo, page, before, 3)
    largest = max(one["KB_a_display"] for one in found.values())
    return {"runs": RUNS, **found, "bar_KB": BAR_KB, "reached": largest < BAR_KB}


def _measure_file(demo: Any, folder: Path) -> None:
    """A real measurement is processed, so that there is a run with a curve."""
    scan = demo.folder / "raw" / PROPOSAL / "scan_0006_lab6"
    scan.mkdir(parents=True)
    (frame,) = lab6_frames(folder, 1)
    shutil.copy(frame.parent / "geometry.poni", scan)
    shutil.copy(frame, scan / "lab6.tmp")
    (scan / "lab6.tmp").rename(scan / NAME)
    until = time.monotonic() + 120
    while not any(state == "done" for _, state, _ in runs(demo, PROPOSAL, NAME)):
        if time.monotonic() > until:
            raise RuntimeError(f"{NAME} was not processed; see {demo.log}")
        time.sleep(0.5)


def _select(page: Any) -> None:
    page.locator(".bh-row", has_text=NAME).first.click()
    page.locator(".bh-plot canvas").first.wait_for()


def _saved(demo: Any, page: Any) -> tuple[int, list[int]]:
    """Bytes of the notebook's file, and of each cell's outputs in it."""
    path = demo.folder / "home/demo/tutorial.ipynb"
    before = path.stat().st_mtime_ns
    page.wait_for_timeout(3000)  # what the table shows is saved when the kernel has said so
    page.keyboard.press("Control+S")
    until = time.monotonic() + 30
    while path.stat().st_mtime_ns == before:
        if time.monotonic() > until:
            raise RuntimeError(f"{path} was not saved")
        time.sleep(0.2)
    time.sleep(1)
    cells = json.loads(path.read_text())["cells"]
    outputs = [len(json.dumps(cell["outputs"])) for cell in cells if cell.get("outputs")]
    return path.stat().st_size, outputs


def _grown(demo: Any, page: Any, before: tuple[int, list[int]], displays: int) -> dict[str, float]:
    size, outputs = _saved(demo, page)
    if len(outputs) != displays:
        raise RuntimeError(f"{len(outputs)} cells of the notebook have outputs, not {displays}")
    grown = size - before[0]
    return {"KB_a_display": round(grown / displays / 1e3, 1), "KB_largest_output": round(max(outputs) / 1e3, 1)}
