"""What those that wait can expect: how many are held back, and when the others' queue will be empty."""

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, func, select

from beamhub.processing.clock import now
from beamhub.processing.schema import run

NEWEST = 50  # ends of runs that the pace is taken from,
FEWEST = 3  # and so many at least
COUNTED_TO = 10_000


def held_back(connection: Connection, names: Sequence[str], paused: Collection[str]) -> int:
    """How many queued runs of some proposals wait because their rule is paused; at most 10,000 are counted."""
    if not paused:
        return 0
    theirs = select(run.c.id).where(
        run.c.proposal.in_(names), run.c.due.is_not(None), run.c.rule.in_(paused), run.c.cause != "requested"
    )
    counted = select(func.count()).select_from(theirs.limit(COUNTED_TO).subquery())
    return int(connection.execute(counted).scalar_one())


def seconds_left(connection: Connection, name: str, waiting: int) -> float | None:
    """In how many seconds a proposal's queue will be empty; None where that cannot be told yet.

    Runs are handed out oldest first, so since the oldest of those that wait came, the proposal was being worked on.
    """
    oldest = connection.execute(
        select(run.c.due).where(run.c.proposal == name, run.c.due.is_not(None)).order_by(run.c.due).limit(1)
    ).scalar_one_or_none()
    if not waiting or oldest is None:
        return None
    ends = select(run.c.finished).where(run.c.proposal == name, run.c.finished >= oldest)
    finished = connection.execute(ends.order_by(run.c.finished.desc()).limit(NEWEST)).scalars().all()
    return at_this_pace(waiting, oldest, finished, now())


def at_this_pace(waiting: int, oldest: int, finished: Sequence[int], moment: int) -> float | None:
    """How long so many runs take, as fast as the last ones came to their ends.

    Args:
        waiting: how many.
        oldest: since when the first of them waits, in microseconds.
        finished: when the newest up to 50 ended since then, newest first.
        moment: now.

    >>> at_this_pace(300, 0, [9_000_000, 6_000_000, 3_000_000], 10_000_000)
    1000.0
    """
    since = finished[-1] if len(finished) == NEWEST else oldest
    ended = len(finished) - (len(finished) == NEWEST)
    if ended < FEWEST or moment <= since:
        return None
    return waiting * (moment - since) / ended / 1e6
