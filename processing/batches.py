"""Batches: what one request queued again, how far it is, and that what waits of it is cancelled."""

import json
from collections import Counter
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select

from beamhub.catalog.records import Batch
from beamhub.processing import lifecycle
from beamhub.processing.schema import request, run

if TYPE_CHECKING:
    from beamhub.processing.store import Transaction

PART = 500  # ids in one query


def batch(connection: Connection, key: str, proposals: Collection[str]) -> Batch | None:
    """How many runs of a request are in each state, of some proposals; None where nothing was asked with that key."""
    numbers = _numbers(connection, key)
    if numbers is None:
        return None
    states: Counter[str] = Counter()
    for part in _parts(numbers):
        asked = select(run.c.state).where(run.c.id.in_(part), run.c.proposal.in_(proposals))
        states.update(connection.execute(asked).scalars())
    return Batch(count=states.total(), states=dict(states))


def cancel_waiting(transaction: "Transaction", key: str, proposals: Collection[str]) -> None:
    """Cancel what still waits of a request; what runs or has ended stays."""
    for part in _parts(_numbers(transaction.connection, key) or []):
        waiting = select(run).where(run.c.id.in_(part), run.c.proposal.in_(proposals), run.c.state == "queued")
        for row in transaction.execute(waiting.with_for_update()).all():
            lifecycle.cancel_queued(transaction, row)


def _numbers(connection: Connection, key: str) -> list[int] | None:
    found = connection.execute(select(request.c.runs).where(request.c.id == key)).scalar_one_or_none()
    return None if found is None else list(json.loads(found))


def _parts(numbers: list[int]) -> Iterator[list[int]]:
    for begin in range(0, len(numbers), PART):
        yield numbers[begin : begin + PART]
