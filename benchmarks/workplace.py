"""A scientist's workplace to measure at: the whole demo, and a browser with the tutorial open in Lab."""

import contextlib
import os
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
LIGHT = '''"""Almost nothing, so that what surrounds a function is measured; or nothing for long."""

import time
from pathlib import Path

import h5py

from beamhub.processing.functions import Scalar, Summary, function


@function(title="Size", version="1", timeout="30s", memory="1G")
def size(raw: Path, out: Path) -> Summary:
    """How long a file is."""
    with h5py.File(out, "w") as file:
        file["entry/size"] = raw.stat().st_size
    return Summary(scalars={"size": Scalar(value=raw.stat().st_size, unit="B")})


@function(title="Nap", version="1", timeout="1h", memory="1G")
def nap(raw: Path, out: Path) -> Summary:
    """Keeps a worker busy."""
    time.sleep(3000)
    return Summary()
'''
RULE = """  size:
    when: {storage: beamline, path: "*/*/*.size"}
    function: size
  nap:
    when: {storage: beamline, path: "*/*/*.nap"}
    function: nap
"""


@contextlib.contextmanager
def workplace(prepare: Callable[[Path], object] | None = None) -> Iterator[tuple[Any, Any]]:
    """The running demo without its beamline, and a page of a server that was started in it.

    Args:
        prepare: is given the demo's folder before the demo starts.
    """
    sys.path.insert(0, str(ROOT / "tests"))
    from browser.conftest import CHROMIUM
    from browser.tools import kernel_idle
    from playwright.sync_api import sync_playwright
    from services.demo import RunningDemo

    with tempfile.TemporaryDirectory() as text:
        os.environ["BEAMHUB_BEAMLINE"] = "off"
        folder = Path(text) / "demo"
        folder.mkdir()
        if prepare is not None:
            prepare(folder)
        demo = RunningDemo(folder).wait_ready()
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=shutil.which("chromium"), args=CHROMIUM, ignore_default_args=["--hide-scrollbars"]
                )
                page = browser.new_page(viewport={"width": 1280, "height": 1000})
                page.set_default_timeout(60_000)
                page.goto(demo.url)
                page.fill("#username_input", demo.user)
                page.fill("#password_input", demo.password)
                page.click("#login_submit")
                page.get_by_role("button", name="Start").click()
                kernel_idle(page)
                yield demo, page
                browser.close()
        finally:
            demo.stop()
            del os.environ["BEAMHUB_BEAMLINE"]


def add_light_rule(demo: Any, proposal: str) -> None:
    """A rule whose function does almost nothing takes every file ``….size``; it is in force when this returns."""
    (demo.folder / "functions/light.py").write_text(LIGHT)
    config = demo.folder / "processing.yaml"
    config.write_text(config.read_text().rstrip() + "\n" + RULE)
    for number in range(30):
        drop(demo, proposal, f"first_{number}")
        time.sleep(2)
        if any(state == "done" for _, state, _ in runs(demo, proposal, "first_%")):
            return
    raise RuntimeError(f"the rule is not in force; see {demo.log}")


def drop(demo: Any, proposal: str, name: str, kind: str = "size") -> None:
    """A file is complete: written under another name, then renamed; its ``kind`` is the rule that takes it."""
    scan = demo.folder / "raw" / proposal / "scan_0001"
    scan.mkdir(parents=True, exist_ok=True)
    (scan / f"{name}.tmp").write_bytes(b"12345")
    (scan / f"{name}.tmp").rename(scan / f"{name}.{kind}")


def runs(demo: Any, proposal: str, names: str = "%") -> list[tuple[str, str, float]]:
    """File, state and the end's time of the runs of a proposal whose files' names are like that, off the store."""
    asked = "SELECT file_name, state, finished FROM run WHERE proposal = ? AND file_name LIKE ?"
    return [(name, state, (end or 0) / 1e6) for name, state, end in read(demo, asked, proposal, names)]


def read(demo: Any, asked: str, *values: Any) -> list[Any]:
    """What the store answers."""
    with contextlib.closing(sqlite3.connect(f"file:{demo.folder}/beamhub.db?mode=ro", uri=True)) as store:
        return list(store.execute(asked, values))
