"""Pages of the table out of a million runs, worst first: each order with each filter, jumps, text and ranges.

``BEAMHUB_RUNS`` says out of how many. Each page is asked for as the service does it, as JSON, without HTTP: the time
of the store, on this machine. All runs lie in one proposal, then over 200.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from beamhub.processing.clock import from_micros
from beamhub.processing.query import SORTS, Condition, Range, RunQuery
from beamhub.processing.store import Store
from benchmarks.many_runs import BEGIN, fill
from benchmarks.statistics import spread
from benchmarks.workplace import ROOT

RUNS = int(os.environ.get("BEAMHUB_RUNS", "1000000"))
PAGE, ROUNDS, WORST = 200, 5, 8
BAR_MS, JUMP_MS = 20, 100
SEARCH_MS = 20 * RUNS / 100_000
ORDERS = [sign + name for name in (*SORTS, "scalar:Rg", "column:sample", "parameter:bins") for sign in ("-", "")]
FILTERS: dict[str, dict[str, Any]] = {
    "everything": {},
    "function": {"function": "sectors"},
    "common state": {"state": "done"},
    "rare state": {"state": "running"},
    "time": {"since": from_micros(BEGIN) + timedelta(hours=1)},
}
FOUND = ("-queued", "file")
SEARCHES: dict[str, dict[str, Any]] = {
    "a name": {"text": "scan_0007_00042"},
    "two common words": {"text": "sample 7"},
    "no such word": {"text": "nowhere"},
    "a sample": {"conditions": (Condition("sample", frozenset({"column"}), text="sample 7"),)},
    "a wide range": {"conditions": (Condition("chi2", frozenset({"scalar"}), Range(None, 5.0, False)),)},
    "a narrow range": {"conditions": (Condition("chi2", frozenset({"scalar"}), Range(None, 0.0005, False)),)},
    "a parameter that none has": {"conditions": (Condition("bins", frozenset({"parameter"}), text="7"),)},
}


def measure() -> dict[str, object]:
    """Milliseconds of each kind of question, on both databases and both spreads of the runs."""
    found: dict[str, object] = {"runs": RUNS, "bar_ms": BAR_MS, "jump_bar_ms": JUMP_MS, "search_bar_ms": SEARCH_MS}
    for database, proposals in product((_sqlite, _postgres), (1, 200)):
        with database() as url:
            store = Store.open(url)
            fill(store, RUNS, proposals)
            names = tuple(one.name for one in store.proposals())
            print(f"{database.__name__.strip('_')}, {proposals} proposals ...", flush=True)
            found[f"{database.__name__.strip('_')}, {proposals} proposals"] = _measure(store, names)
            store.close()
    return found


def _measure(store: Store, names: tuple[str, ...]) -> dict[str, object]:
    """Of one proposal; and where there are several, the first pages of all together, as staff may ask for them."""
    one = partial(RunQuery, names[:1], limit=PAGE)
    runs = store.count(one()).count
    pages = {f"{order}, {name}": one(sort=order, **more) for order, (name, more) in product(ORDERS, FILTERS.items())}
    jumps = {f"{order} at {at:.0%}": one(sort=order, at=int(at * runs)) for order, at in product(ORDERS, (0.5, 0.99))}
    searches = {f"{name}, {order}": one(sort=order, **more) for order, (name, more) in product(FOUND, SEARCHES.items())}
    counts = {name: one(**more) for name, more in (FILTERS | SEARCHES).items()}
    following = _next(store, pages)  # where there are so many runs
    everybody = {order: RunQuery(names, sort=order, limit=PAGE) for order in ORDERS} if len(names) > 1 else {}
    return {
        "first pages": _worst(_pages(store, pages)),
        **({"next pages": _worst(_pages(store, following))} if following else {}),
        "jumps": _worst(_pages(store, jumps)),
        "searches": _worst(_pages(store, searches), 2),
        "counts": _worst({name: partial(store.count, query) for name, query in counts.items()}, 2),
        **({"first pages of all proposals": _worst(_pages(store, everybody))} if everybody else {}),
    }


def _pages(store: Store, queries: dict[str, RunQuery]) -> dict[str, Callable[[], object]]:
    return {name: partial(store.listing, query) for name, query in queries.items()}


def _next(store: Store, queries: dict[str, RunQuery]) -> dict[str, RunQuery]:
    """The pages after those."""
    cursors = {name: store.runs(query).after for name, query in queries.items()}
    return {name: replace(queries[name], after=after) for name, after in cursors.items() if after}


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
    sys.path.insert(0, str(ROOT / "tests"))
    from services.postgres import postgres

    with postgres() as server, server.database() as url:
        yield url
