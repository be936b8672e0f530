"""What the tests of the table do and look at in a page, again and again."""

import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil
from playwright.sync_api import Page, expect
from services.demo import RunningDemo
from services.living import with_words

FIRST = "demo-2026/scan_0001_sans2d_33837/sans2d_33837_00001.nxs"
READY = ".bh-root[data-ready='1']"
TOUCH = {"pointerType": "touch", "bubbles": True, "isPrimary": True}  # an event of a finger


def kernel_idle(page: Page) -> None:
    page.wait_for_selector(".jp-Notebook .jp-CodeCell")
    page.wait_for_selector(r"text=/ipykernel\) \| Idle/")
    time.sleep(1)


def run_cell(page: Page, index: int, code: str = "") -> None:
    cell = page.locator(".jp-Notebook .jp-CodeCell").nth(index)
    cell.locator(".cm-content").click()
    if code:
        page.keyboard.press("Control+A")
        page.keyboard.type(code)
    page.keyboard.press("Control+Enter")


def widget(page: Page):
    return page.locator(READY).first


def write_file(demo: RunningDemo, name: str) -> str:
    """A file arrives as a beamline writes it: under a temporary name, then renamed."""
    source = demo.folder / "raw" / FIRST
    until = time.monotonic() + 60
    while not source.exists() and time.monotonic() < until:
        time.sleep(0.2)
    target = source.with_name(f"sans2d_33837_{name}.nxs")
    shutil.copy(source, target.with_suffix(".tmp"))
    os.replace(target.with_suffix(".tmp"), target)
    return target.name


def service_of(demo: RunningDemo) -> psutil.Process:
    (found,) = with_words(demo.processes(), "-m beamhub.config.command processing")
    return found


@contextmanager
def held_workers(demo: RunningDemo) -> Iterator[None]:
    """What works on runs stands still."""
    workers = service_of(demo).children(recursive=True)
    try:
        for worker in workers:
            with suppress(psutil.NoSuchProcess):
                worker.suspend()
        yield
    finally:
        for worker in workers:
            with suppress(psutil.NoSuchProcess):  # one that is silent may have been ended
                worker.resume()


def row(page: Page, name: str):
    return widget(page).locator(".bh-row", has_text=name)


def search(page: Page, words: str) -> None:
    """Only what matches is shown, so that no newer row pushes it out of sight."""
    page.locator(".bh-search").first.fill(words)


def painted(page: Page) -> int:
    """How many different colours the plot's canvas shows."""
    return page.evaluate(
        """() => { const canvas = document.querySelector(".bh-plot canvas");
                   const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
                   const seen = new Set();
                   for (let i = 0; i < data.length; i += 4)
                     if (data[i + 3] > 200) seen.add(`${data[i]},${data[i + 1]},${data[i + 2]}`);
                   return seen.size; }"""
    )


def choose_theme(page: Page, theme: str) -> None:
    page.locator(".lm-MenuBar-itemLabel", has_text="Settings").click()
    page.locator(".lm-Menu-itemLabel", has_text=re.compile("^Theme$")).click()
    page.locator(".lm-Menu-itemLabel", has_text=re.compile(f"^JupyterLab {theme}$")).click()
    expect(page.locator("body")).to_have_attribute("data-jp-theme-light", str(theme == "Light").lower())


def shown(page: Page, *names: str, tab: str = "Image") -> None:
    """Rows of these files are selected, and a tab of theirs is open."""
    search(page, "state:done screen")
    for number, name in enumerate(names):
        row(page, name).first.click(modifiers=["Control"] if number else [])
    if page.get_by_role("tab", name=tab).get_attribute("aria-selected") != "true":
        page.get_by_role("tab", name=tab).click()
