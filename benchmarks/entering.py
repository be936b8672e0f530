"""From Enter in a cell to the first frame after its twentieth row is there, and what that moved over the wire."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

ROWS = 20
TALL = ".bh-scroll { height: 600px !important; }"  # so that 20 rows are in sight; 11 are where nobody drags it
OURS = ".bh-row[data-id]"
# Notes the time of Ctrl-Enter, and of the first frame after 20 rows are there that were not before; `selector` finds
# rows in the page, `drawn` is what a table on a canvas writes into a cell of its twentieth row.
WATCH = """
([selector, drawn, rows]) => {
  const seen = (window.beamhubEntered = window.beamhubEntered || {});
  Object.assign(seen, { pressed: null, painted: null, selector, drawn });
  seen.old = new WeakSet(document.querySelectorAll(".jp-OutputArea-output"));
  if (seen.watching) return;
  seen.watching = true;
  const paint = () => {
    if (seen.pressed === null || seen.painted !== null) return;
    seen.painted = undefined;
    requestAnimationFrame(() => { seen.painted = performance.now(); });
  };
  const look = () => {
    if (seen.pressed === null || seen.painted !== null || !seen.selector) return;
    for (const output of document.querySelectorAll(".jp-OutputArea-output"))
      if (!seen.old.has(output) && output.querySelectorAll(seen.selector).length >= rows) paint();
  };
  addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.ctrlKey) seen.pressed = event.timeStamp;
  }, { capture: true });
  new MutationObserver(look).observe(document.body, { subtree: true, childList: true });
  for (const drawing of [CanvasRenderingContext2D, OffscreenCanvasRenderingContext2D]) {
    const fillText = drawing.prototype.fillText;
    drawing.prototype.fillText = function (text, ...rest) {
      if (seen.drawn && String(text) === seen.drawn) paint();
      return fillText.call(this, text, ...rest);
    };
  }
}
"""


@dataclass(frozen=True)
class Traffic:
    """Bytes that the page received: answers as they came over the wire, and messages of web sockets."""

    answers: int
    messages: int


def enter(page: Any, cell: int, code: str = "", rows: str = OURS, drawn: str = "", within_s: float = 60.0) -> float:
    """Run a cell by Ctrl-Enter.

    Args:
        page: with a notebook.
        cell: its index.
        code: put into it before; nothing leaves what is there.
        rows: a selector of rows.
        drawn: the whole text of a cell in the twentieth row, for a table that is drawn on a canvas.
        within_s: how long to wait for the rows.

    Returns:
        Seconds from the key to the frame.

    Raises:
        TimeoutError: the rows were not there in time.
    """
    from browser.tools import run_cell

    if code:
        write(page, cell, code)
    page.evaluate(WATCH, [rows, drawn, ROWS])
    run_cell(page, cell)
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        pressed, painted = page.evaluate("[beamhubEntered.pressed, beamhubEntered.painted ?? null]")
        if painted is not None:
            return float(painted - pressed) / 1000
        time.sleep(0.05)
    raise TimeoutError(f"{ROWS} rows were not there within {within_s:g} s")


def write(page: Any, cell: int, code: str) -> None:
    """Put code into a cell; nothing closes brackets or indents besides."""
    page.locator(".jp-Notebook .jp-CodeCell").nth(cell).locator(".cm-content").click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(code)


def traffic(devtools: Any, act: Callable[[], object]) -> Traffic:
    """What the page receives while something is done."""
    answers, messages = [0], [0]

    def message(told: dict[str, Any]) -> None:
        text = told["response"]["payloadData"]
        messages[0] += len(text) * 3 // 4 if told["response"]["opcode"] == 2 else len(text)

    def data(told: dict[str, Any]) -> None:
        answers[0] += told["encodedDataLength"]

    events = {"Network.dataReceived": data, "Network.webSocketFrameReceived": message}
    for name, listener in events.items():
        devtools.on(name, listener)
    devtools.send("Network.enable")
    try:
        act()
    finally:
        devtools.send("Network.disable")
        for name, listener in events.items():
            devtools.remove_listener(name, listener)
    return Traffic(answers[0], messages[0])
