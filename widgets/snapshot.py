"""The static table: what a notebook shows that is read without a kernel."""

import html
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from beamhub.catalog import requests
from beamhub.catalog.errors import CatalogError
from beamhub.catalog.records import CountByState, Run
from beamhub.widgets.browse import Catalog

ROWS = 200
LARGEST = 50_000  # bytes of the table
SCALARS = 4  # columns of numbers
PATIENCE_S = 1.0  # what shows the widget waits for the service at most so long


@dataclass(frozen=True)
class Snapshot:
    """One moment of a table: HTML without any script, and a line of text."""

    html: str
    text: str


def take(catalog: Catalog) -> Snapshot:
    """What there is now, or why that is not known; at most 200 rows and 50 kB."""
    when = f"Processed data, as of {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
    where = f" of {catalog.proposal}" if catalog.proposal else ""
    try:
        count = count_of(catalog)
        runs = catalog.runs(ROWS)
    except CatalogError as error:
        return Snapshot(f"<div><p>{html.escape(f'{when}: {error}')}</p></div>", f"{when}: {error}")
    total = f"{'' if count.exact else 'more than '}{count.count} runs{where}"
    for most in (len(runs), 100, 50, 20, 0):
        shown = runs[:most]
        text = table(shown, f"{when}, {len(shown)} of {total}")
        if len(text.encode()) <= LARGEST:
            break
    states = ", ".join(f"{number} {state}" for state, number in count.states.items() if number)
    return Snapshot(text, f"{when}: {total}" + (f" ({states})" if states else ""))


def take_soon(catalog: Catalog, later: Callable[[Snapshot], None] | None = None) -> Snapshot:
    """What there is now, at most a second later; where the service takes longer, ``later`` gets it when it came."""
    waiting = "Processed data: waiting for the processing service"
    found: list[Snapshot] = []
    lock, left = threading.Lock(), threading.Event()

    def look() -> None:
        now = take(catalog)
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


def count_of(catalog: Catalog) -> CountByState:
    """How many runs there are in each state; raises CatalogError."""
    return catalog.client.send(requests.count(proposal=catalog.proposal))


def table(runs: Sequence[Run], told: str) -> str:
    """Runs as an HTML table below a sentence; everything that comes from outside is escaped."""
    scalars = list(dict.fromkeys(name for run in runs for name in run.scalars))[:SCALARS]
    head = _row("th", ["when", "file", "function", "state", *scalars])
    rows = [
        [f"{run.queued:%Y-%m-%d %H:%M:%S}", run.file.name, run.title or run.function, run.state]
        + [_number(run, name) for name in scalars]
        for run in runs
    ]
    body = "".join(_row("td", row) for row in rows)
    return f"<div><p>{html.escape(told)}</p><table><thead>{head}</thead><tbody>{body}</tbody></table></div>"


def _row(kind: str, cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{kind}>{html.escape(cell)}</{kind}>" for cell in cells) + "</tr>"


def _number(run: Run, name: str) -> str:
    scalar = run.scalars.get(name)
    return "" if scalar is None or scalar.value is None else f"{scalar.value:.4g}"


class Refresher(threading.Thread):
    """Has the saved table made anew when the page asks for it and the data is other than before, beside the cells.

    Args:
        look: what tells one state of the data from another, None where that is not known.
        refresh: makes the table anew.
    """

    def __init__(self, look: Callable[[], object], refresh: Callable[[], None]) -> None:
        super().__init__(name="beamhub snapshot", daemon=True)
        self._look, self._refresh = look, refresh
        self._ended = False
        self._wanted = threading.Event()

    def run(self) -> None:
        """Look when that is wanted, until ended."""
        shown = self._look()
        while self._wanted.wait() and not self._ended:
            self._wanted.clear()
            seen = self._look()
            if seen is not None and seen != shown:
                shown = seen
                self._refresh()

    def look(self) -> None:
        """Look now, and have the table made anew if the data changed."""
        self._wanted.set()

    def end(self) -> None:
        """Stop."""
        self._ended = True
        self._wanted.set()
