"""Batches: what one request queued again, how far it is, what of it still waits."""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, select

from beamhub.catalog.records import Batch, Run
from beamhub.processing import queries
from beamhub.processing.parts import parts
from beamhub.processing.query import RunQuery
from beamhub.processing.schema import request, run

PART = 500  # ids in one query


def batch(connection: Connection, key: str, proposals: Collection[str]) -> Batch | None:
    """How many runs of a request are in each state, of some proposals; None where nothing was asked with that key."""
    numbers = _numbers(connection, key)
    if numbers is None:
        return None
    states: Counter[str] = Counter()
    for part in parts(numbers, PART):
        asked = select(run.c.state).where(run.c.id.in_(part), run.c.proposal.in_(proposals))
        states.update(connection.execute(asked).scalars())
    return Batch(count=states.total(), states=dict(states))


def waiting(connection: Connection, key: str, proposals: Collection[str]) -> Iterator[Any]:
    """The rows of what still waits of a request, locked."""
    for part in parts(_numbers(connection, key) or [], PART):
        queued = select(run).where(run.c.id.in_(part), run.c.proposal.in_(proposals), run.c.state == "queued")
        yield from connection.execute(queued.with_for_update()).all()


def before(connection: Connection, numbers: Sequence[int]) -> Iterator[tuple[Run, str]]:
    """Runs as a listing has them, each with its words of the text search; in the order of ``numbers``.

    Those that there are not are left out.
    """
    for part in parts(numbers, PART):
        asked = select(run.c.id, run.c.proposal, run.c.words).where(run.c.id.in_(part))
        words = {row.id: row for row in connection.execute(asked)}
        query = RunQuery(tuple({row.proposal for row in words.values()}), ids=tuple(part), limit=PART)
        found = {one.id: one for one in queries.runs(connection, query).items}
        yield from ((found[number], words[number].words) for number in part if number in found)


def _numbers(connection: Connection, key: str) -> list[int] | None:
    found = connection.execute(select(request.c.runs).where(request.c.id == key)).scalar_one_or_none()
    return None if found is None else list(json.loads(found))
