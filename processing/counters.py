"""How many runs there are, as the counters say: read, not counted."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from beamhub.processing.query import RunQuery
from beamhub.processing.schema import counter

OF = ("function", "rule", "state")  # what runs are counted by, beside the proposal


def by_state(connection: Connection, query: RunQuery) -> dict[str, int]:
    """How many of the proposals' runs, of a function and a rule where they are given, are in each state."""
    counted = select(counter.c.state, func.sum(counter.c.n)).where(*_kept(query, "state"))
    return {state: int(n) for state, n in connection.execute(counted.group_by(counter.c.state)) if n}


def known(query: RunQuery, states: dict[str, int]) -> int | None:
    """How many runs a filter leaves; None where its runs have to be counted."""
    more = query.words or query.conditions or query.since or query.until or query.file
    if more or query.ids is not None:
        return None
    return states.get(query.state, 0) if query.state else sum(states.values())


def span(connection: Connection, query: RunQuery) -> tuple[str, str] | None:
    """The first and the last function, rule or state, if it is sorted by that, of the runs that the others leave.

    None where nothing is left out.
    """
    others = [name for name in OF if name != query.column and getattr(query, name) is not None]
    if query.column not in OF or not others:
        return None
    value = counter.c[query.column]
    found = select(func.min(value), func.max(value)).where(*_kept(query, query.column), counter.c.n > 0, value != "")
    first, last = connection.execute(found).one()
    return first or "", last or ""


def _kept(query: RunQuery, but: str) -> list[ColumnElement[Any]]:
    """What a filter asks of the counters, but for one column."""
    given = {name: value for name in OF if name != but and (value := getattr(query, name)) is not None}
    return [counter.c.proposal.in_(query.proposals), *(counter.c[name] == value for name, value in given.items())]
