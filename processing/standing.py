"""Where a run stands, as the store knows it: what waits before it, and what holds it back."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, func, or_, select

from beamhub.catalog.records import RunState
from beamhub.processing.clock import now
from beamhub.processing.explanation import MOST, MOST_VERSIONS, Standing
from beamhub.processing.means import Means
from beamhub.processing.queries import paused
from beamhub.processing.schema import counter, file, run


def standing(connection: Connection, number: int, means: Means) -> Standing:
    """What surrounds a run; nothing where there is none of that number."""
    row = connection.execute(
        select(run, file.c.kind).join(file, file.c.id == run.c.file).where(run.c.id == number)
    ).one_or_none()
    if row is None:
        return Standing()
    held = paused(connection)
    ahead = _ahead(connection, row, held) if row.state == "queued" else 0
    versions, newest = _versions(connection, row)
    return Standing(
        ahead=ahead,
        altogether=ahead + _others(connection, row.proposal, ahead + 1) if row.state == "queued" else 0,
        paused=row.rule in held,
        cancelling=row.cancelling,
        removed=row.kind == "removed",
        mean_s=means.of(connection, row.function) if row.state == "running" else None,
        versions=versions,
        newest=newest,
    )


def work_until(connection: Connection, function: str, new: int, names: Collection[str], means: Means) -> float | None:
    """The seconds that a worker alone would need until so many new runs of some proposals have ended.

    What waits already of these proposals comes before them, of others at most as many as there are turns; each takes
    as long as its function's newest runs. None where it is not known how long the new ones take.
    """
    mean = means.of(connection, function)
    if mean is None:
        return None
    each = (counter.c.proposal, counter.c.function)
    waiting = select(*each, func.sum(counter.c.n).label("n")).where(counter.c.state == "queued", counter.c.n > 0)
    if held := paused(connection):
        waiting = waiting.where(counter.c.rule.not_in(held))
    before: dict[str, list[tuple[str, int]]] = {}
    for row in connection.execute(waiting.group_by(*each)):
        before.setdefault(row.proposal, []).append((row.function, int(row.n)))
    functions = {name for theirs in before.values() for name, _ in theirs}
    known = {name: means.of(connection, name) for name in functions}
    turns = new + sum(n for name in names for _, n in before.get(name, []))
    work = new * mean
    for name, theirs in before.items():
        all_of_it = sum(n for _, n in theirs)
        part = 1.0 if name in names else min(1.0, turns / all_of_it)
        work += part * sum(n * (mean if (own := known[function]) is None else own) for function, n in theirs)
    return work


def named(connection: Connection, name: str, proposals: Sequence[str]) -> int | None:
    """The newest file of a name in some proposals; found by its runs, and where it has none among all files."""
    its = select(run.c.file).where(run.c.proposal.in_(proposals), run.c.file_name == name)
    if (found := connection.execute(its.order_by(run.c.id.desc()).limit(1)).scalar_one_or_none()) is not None:
        return int(found)
    every = select(file.c.id).where(file.c.proposal.in_(proposals), file.c.path.endswith(f"/{name}", autoescape=True))
    return connection.execute(every.order_by(file.c.id.desc()).limit(1)).scalar_one_or_none()


def _versions(connection: Connection, row: Any) -> tuple[int, tuple[int, RunState] | None]:
    """How many runs of the same rule and function there are of its file's path, and the last one if it is newer.

    Of a path that is written again and again the newest files count.
    """
    its = select(file.c.path, file.c.storage).where(file.c.id == row.file).subquery()
    there = (file.c.path == its.c.path, file.c.storage == its.c.storage, file.c.proposal == row.proposal)
    newest = select(file.c.id).where(*there).order_by(file.c.id.desc()).limit(MOST_VERSIONS).subquery()
    same = select(run.c.id, run.c.state).where(
        run.c.file.in_(select(newest.c.id)),
        run.c.function == row.function,
        run.c.rule.is_not_distinct_from(row.rule),
    )
    found = connection.execute(same.order_by(run.c.id.desc()).limit(MOST_VERSIONS)).all()
    if not found or found[0].id <= row.id:
        return max(1, len(found)), None
    return len(found), (found[0].id, found[0].state)


def _ahead(connection: Connection, row: Any, held: set[str]) -> int:
    """Runs of the same proposal that are due and stand before it; those of paused rules do not."""
    before = or_(run.c.due < row.due, (run.c.due == row.due) & (run.c.id < row.id))
    ready = [run.c.proposal == row.proposal, run.c.due.is_not(None), run.c.due <= now(), before]
    if held:
        ready.append(or_(run.c.rule.is_(None), run.c.rule.not_in(held), run.c.cause == "requested"))
    found = select(run.c.id).where(*ready).limit(MOST)
    return int(connection.execute(select(func.count()).select_from(found.subquery())).scalar_one())


def _others(connection: Connection, proposal: str, turns: int) -> int:
    """How many runs of other proposals may be handed out in so many turns."""
    waiting = select(func.sum(counter.c.n)).where(
        counter.c.state == "queued", counter.c.n > 0, counter.c.proposal != proposal
    )
    each = connection.execute(waiting.group_by(counter.c.proposal)).scalars()
    return sum(min(int(number), turns) for number in each)
