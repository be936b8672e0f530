"""How long the runs of a function take."""

import time
from collections.abc import Callable

from sqlalchemy import Connection, func, select

from beamhub.processing.schema import run

NEWEST = 50  # runs that a mean duration is taken over,
RECENT = 20_000  # of so many of all functions
KEPT_S = 5.0  # what is known is not asked for again so soon,
KEPT = 1000  # of so many functions


class Means:
    """Mean durations as they were seconds ago: of a function with few runs that are done, thousands are looked at.

    Args:
        clock: seconds; it goes on only.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[str, tuple[float, float | None]] = {}

    def of(self, connection: Connection, function: str) -> float | None:
        """The mean duration of a function's newest runs, seconds; None where none is done."""
        kept = self._kept.get(function)
        if kept is not None and self._clock() - kept[0] < KEPT_S:
            return kept[1]
        mean = mean_seconds(connection, function)
        if len(self._kept) >= KEPT:
            self._kept.clear()
        self._kept[function] = (self._clock(), mean)
        return mean


def mean_seconds(connection: Connection, function: str) -> float | None:
    """The mean duration of a function's newest runs, seconds."""
    recent = func.coalesce(select(func.max(run.c.id)).scalar_subquery(), 0) - RECENT
    took = run.c.finished - run.c.started
    done = select(took).where(run.c.id > recent, run.c.function == function, run.c.state == "done", took.is_not(None))
    newest = list(connection.execute(done.order_by(run.c.id.desc()).limit(NEWEST)).scalars())
    return sum(newest) / len(newest) / 1e6 if newest else None
