"""Pages of the table out of a million runs, worst first: each order with each filter, jumps, text and ranges.

``BEAMHUB_RUNS`` says out of how many. Each page is asked for as the service does it, without HTTP: the time of the
store, on this machine. All runs lie in one proposal, then over 200.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.many_runs import BEGIN, fill
from benchmarks.statistics import spread

from beamhub.processing.clock import from_micros
from beamhub.processing.query import SORTS, RunQuery
from beamhub.processing.store import Store

RUNS = int(os.environ.get("BEAMHUB_RUNS", "1000000"))
PAGE, ROUNDS, WORST = 200, 5, 8
BAR_MS, JUMP_MS = 20, 100
SEARCH_MS = 20 * RUNS / 100_000
ORDERS = [sign + name for name in (*SORTS, "scalar:Rg") for sign in ("-", "")]
FILTERS: dict[str, dict[str, Any]] = {
    "everything": {},
    "function": {"function": "sectors"},
    "common state": {"state": "done"},
    "rare state": {"state": "running"},
    "time": {"since": from_micros(BEGIN) + timedelta(hours=1)},
}
SEARCHES: dict[str, dict[str, Any]] = {
    "a name": {"text": "scan_0007_00042"},
    "two common words": {"text": "sample 7"},
    "no such word": {"text": "nowhere"},
}


def measure() -> dict[str, object]:
    """Milliseconds of each kind of question, on both databases and both spreads of the runs."""
    found: dict[str, object] = {"runs": RUNS, "bar_ms": BAR_MS, "jump_bar_ms": JUMP_MS, "search_bar_ms": SEARCH_MS}
    for database, proposals in product((_sqlite, _postgres), (1, 200)):
        with database() as url:
            store = Store.open(url)
            fill(store, RUNS, proposals)
            names = tuple(one.name for one in store.proposals())
            found[f"{database.__name__.strip('_')}, {proposals} proposals"] = _measure(store, names)
            store.close()
    return found


def _measure(store: Store, names: tuple[str, ...]) -> dict[str, object]:
    # with many proposals somebody looks into one, or into all that there are
    pages = {f"{order}, {name}": RunQuery(names, sort=order, limit=PAGE, **more) for order, (name, more) in product(ORDERS, FILTERS.items())}
    jumps = {f"{order} at {part:.0%}": RunQuery(names, sort=order, limit=PAGE, at=int(part * RUNS)) for order, part in product(ORDERS, (0.5, 0.99))}
    searches = {f"{name}, {order}": RunQuery(names, sort=order, limit=PAGE, **more) for order, (name, more) in product(("-queued", "file"), SEARCHES.items())}
    counts = {name: RunQuery(names, **more) for name, more in (FILTERS | SEARCHES).items()}
    return {
        "first pages": _worst({name: partial(store.runs, query) for name, query in pages.items()}),
        "next pages": _worst({name: partial(store.runs, after) for name, query in pages.items() if (after := _next(store, query))}),
        "jumps": _worst({name: partial(store.runs, query) for name, query in jumps.items()}),
        "searches": _worst({name: partial(store.runs, query) for name, query in searches.items()}, 2),
        "counts": _worst({name: partial(store.count, query) for name, query in counts.items()}, 2),
    }  # fmt: skip


def _next(store: Store, query: RunQuery) -> RunQuery | None:
    """The page after the first."""
    after = store.runs(query).after
    return None if after is None else RunQuery(query.proposals, query.function, None, query.state, since=query.since, sort=query.sort, limit=PAGE, after=after)


def _worst(calls: dict[str, Callable[[], object]], rounds: int = ROUNDS) -> dict[str, object]:
    times: dict[str, list[float]] = {name: [] for name in calls}
    for name, call in calls.items():
        for _ in range(rounds):
            begin = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - begin)
    largest = {name: round(sorted(found)[len(found) // 2] * 1000, 1) for name, found in times.items()}
    worst = dict(sorted(largest.items(), key=lambda item: -item[1])[:WORST])
    return {**spread([one for found in times.values() for one in found]), "worst medians": worst}


@contextmanager
def _sqlite() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        yield f"sqlite:///{Path(folder) / 'runs.db'}"


@contextmanager
def _postgres() -> Iterator[str]:
    from services.postgres import postgres

    with postgres() as server, server.database() as url:
        yield url
