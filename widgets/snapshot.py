"""The static table: what a notebook shows that is read without a kernel."""

import html
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from beamhub.catalog import requests
from beamhub.catalog.errors import CatalogError
from beamhub.catalog.records import CountByState, Run
from beamhub.widgets.browse import Catalog
from beamhub.widgets.columns import cell, title, usual
from beamhub.widgets.shown import Shown, offset

log = logging.getLogger(__name__)
ROWS = 200
LARGEST = 50_000  # bytes of the table
USUAL = Shown()
PATIENCE_S = 1.0  # what shows the widget waits for the service at most so long


@dataclass(frozen=True)
class Snapshot:
    """One moment of a proposal's table: HTML without any script, and a line of text."""

    html: str
    text: str
    proposal: str = ""

    @property
    def bundle(self) -> dict[str, str]:
        """By the kinds of what a notebook stores."""
        return {"text/html": self.html, "text/plain": self.text}


def take(catalog: Catalog, shown: Shown = USUAL) -> Snapshot:
    """What there is now of one proposal, or why that is not known; at most 200 rows and 50 kB."""
    now = datetime.now(UTC)
    when = f"Processed data, as of {now.astimezone(shown.time):%Y-%m-%d %H:%M:%S} {offset(shown.time, now)}"
    try:
        catalog = catalog.chosen()
        count = count_of(catalog, shown)
        runs = catalog.runs(ROWS, sort=shown.sort, **shown.asked)
    except CatalogError as error:
        told = f"{when}: {error}"
        return Snapshot(f"<div><p>{html.escape(told)}</p></div>", told, catalog.proposal or "")
    where = f" of {catalog.proposal}" if catalog.proposal else ""
    total = f"{'' if count.exact else 'more than '}{count.count} runs{where}{shown.told}"
    for most in (len(runs), 100, 50, 20, 0):
        rows = runs[:most]
        text = table(rows, f"{when}, {len(rows)} of {total}", shown)
        if len(text.encode()) <= LARGEST:
            break
    states = ", ".join(f"{number} {state}" for state, number in count.states.items() if number)
    told = f"{when}: {total}" + (f" ({states})" if states and not shown.asked else "")
    return Snapshot(text, told, catalog.proposal or "")


def take_soon(catalog: Catalog, later: Callable[[Snapshot], None] | None = None, shown: Shown = USUAL) -> Snapshot:
    """What there is now, at most a second later; where the service takes longer, ``later`` gets it when it came."""
    waiting = "Processed data: waiting for the processing service"
    found: list[Snapshot] = []
    lock, left = threading.Lock(), threading.Event()

    def look() -> None:
        now = take(catalog, shown)
        with lock:
            found.append(now)
            late = left.is_set()
        if late and later is not None:
            later(now)

    thread = threading.Thread(target=look, name="beamhub first snapshot", daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    with lock:
        left.set()
        return found[0] if found else Snapshot(f"<div><p>{waiting}</p></div>", waiting)


def count_of(catalog: Catalog, shown: Shown = USUAL) -> CountByState:
    """How many runs are found, and how many of the proposal are in each state; raises CatalogError."""
    return catalog.client.send(requests.count(proposal=catalog.proposal, **shown.asked))


def table(runs: Sequence[Run], told: str, shown: Shown = USUAL) -> str:
    """Runs as an HTML table below a sentence; everything that comes from outside is escaped."""
    keys, zone = shown.columns or usual(runs), shown.time
    head = _row("th", [title(key, runs) for key in keys])
    body = "".join(_row("td", [cell(key, run, zone) for key in keys]) for run in runs)
    return f"<div><p>{html.escape(told)}</p><table><thead>{head}</thead><tbody>{body}</tbody></table></div>"


def _row(kind: str, cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{kind}>{html.escape(cell)}</{kind}>" for cell in cells) + "</tr>"


class Refresher(threading.Thread):
    """Has the saved table made anew when the page asks for it and it is out of date, beside the cells.

    Args:
        look: what tells one state of the data from another, None where that is not known.
        refresh: makes the table anew.
        wrong: whether it has to be made anew although the data may be as before.
    """

    def __init__(
        self, look: Callable[[], object], refresh: Callable[[], None], wrong: Callable[[], bool] = lambda: False
    ) -> None:
        super().__init__(name="beamhub snapshot", daemon=True)
        self._look, self._refresh, self._wrong = look, refresh, wrong
        self._ended = False
        self._wanted = threading.Event()

    def run(self) -> None:
        """Look when that is wanted, until ended."""
        shown = _tried(self._look)
        while self._wanted.wait() and not self._ended:
            self._wanted.clear()
            seen = _tried(self._look)
            if self._wrong() or (seen is not None and seen != shown):
                shown = seen
                _tried(self._refresh)

    def look(self) -> None:
        """Look now, and have the table made anew if the data changed."""
        self._wanted.set()

    def end(self) -> None:
        """Stop."""
        self._ended = True
        self._wanted.set()


def _tried(call: Callable[[], object]) -> object:
    """What it says; None where it cannot, which is no reason to look no more."""
    try:
        return call()
    except Exception:
        log.exception("the saved table could not be made anew")
        return None
