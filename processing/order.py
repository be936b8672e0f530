"""The order of a page of runs: which rows come next, found by indexes that begin with the proposal."""

from collections.abc import Sequence
from heapq import merge
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    asc,
    desc,
    func,
    literal_column,
    select,
    tuple_,
    union_all,
)

from beamhub.processing.clock import to_micros
from beamhub.processing.query import RunQuery
from beamhub.processing.schema import run, scalar

COLUMNS: dict[str, Any] = {
    "queued": run.c.queued,
    "started": run.c.started,
    "finished": run.c.finished,
    "file": run.c.file_name,
    "function": run.c.function,
    "state": run.c.state,
    "rule": run.c.rule,
}
NULLABLE = ("started", "finished", "rule")


class Key(NamedTuple):
    """Where a row stands: its value (None where it has none) and its id."""

    value: Any
    id: int


class Order:
    """How a page is sorted: rows with a value first, by it and the id; then those without one, by id.

    Args:
        query: filter and order.
        backward: the page is read from its end, as before a cursor.
    """

    def __init__(self, query: RunQuery, backward: bool) -> None:
        self._query = query
        self._backward = backward
        self._falling = query.descending != backward
        self._value: ColumnElement[Any] = scalar.c.value if query.scalar else COLUMNS[query.column]
        self._id: ColumnElement[int] = scalar.c.run if query.scalar else run.c.id
        nullable = bool(query.scalar) or query.column in NULLABLE
        self._parts = [True, False][:: -1 if backward else 1] if nullable else [True]

    def keys(self, connection: Connection, cursor: tuple[Any, int] | None) -> list[Key]:
        """The keys beyond a cursor, one more than the page holds: found for each proposal, and merged."""
        wanted = self._query.limit + 1
        each = [self._of_one(connection, name, cursor, wanted) for name in self._query.proposals]
        return list(islice(merge(*each, key=self._rank), wanted))

    def keys_at(self, connection: Connection, skip: int) -> list[Key]:
        """The keys from a row number on, one more than the page holds."""
        wanted = self._query.limit + 1
        found: list[Key] = []
        for valued in self._parts:
            parts = [self._part(name, valued) for name in self._query.proposals]
            if len(found) == wanted or not parts:
                break
            every = parts[0] if len(parts) == 1 else union_all(*(part.order_by(None) for part in parts))
            page = every.order_by(None).order_by(*self._directions("value", "id")) if len(parts) > 1 else every
            rows = connection.execute(page.limit(wanted - len(found)).offset(skip)).all()
            found += [Key(row.value, row.id) for row in rows]
            if valued is not self._parts[-1] and not found:
                skip -= int(connection.execute(select(func.count()).select_from(every.subquery())).scalar_one())
            else:
                skip = 0
        return found

    def _of_one(
        self, connection: Connection, proposal: str, cursor: tuple[Any, int] | None, wanted: int
    ) -> Sequence[Key]:
        found: list[Key] = []
        for valued in self._parts:
            if len(found) == wanted or (cursor is not None and self._beyond(cursor, valued)):
                continue
            part = self._part(proposal, valued)
            if cursor is not None and (cursor[0] is not None) == valued:
                part = part.where(self._further(*cursor))
            rows = connection.execute(part.limit(wanted - len(found))).all()
            found += [Key(row.value, row.id) for row in rows]
        return found

    def _beyond(self, cursor: tuple[Any, int], valued: bool) -> bool:
        """Whether all rows of a part lie on the wrong side of a cursor of the other part."""
        return (cursor[0] is not None) != valued and valued != self._backward

    def _further(self, value: Any, number: int) -> ColumnElement[bool]:
        if value is None:
            return run.c.id < number if self._falling else run.c.id > number
        here, there = tuple_(self._value, self._id), tuple_(value, number)
        return here < there if self._falling else here > there

    def _part(self, proposal: str, valued: bool) -> Select[Any]:
        """The keys of a proposal's rows with a value, or without, in order."""
        query = self._valued(proposal) if valued else self._empty(proposal)
        key: tuple[ColumnElement[Any], ...] = (self._value, self._id) if valued else (run.c.id,)
        return query.where(*matches(self._query)).order_by(*(part.desc() if self._falling else part for part in key))

    def _valued(self, proposal: str) -> Select[Any]:
        query = select(self._value.label("value"), self._id.label("id"))
        if self._query.scalar:
            named = (scalar.c.proposal == proposal, scalar.c.name == self._query.scalar, scalar.c.value.is_not(None))
            return query.join(run, run.c.id == scalar.c.run).where(*named)
        return query.where(self._of(proposal), *([self._value.is_not(None)] if len(self._parts) > 1 else []))

    def _empty(self, proposal: str) -> Select[Any]:
        query = select(func.nullif(1, 1).label("value"), run.c.id.label("id")).where(self._of(proposal))
        if self._query.scalar:
            has = and_(scalar.c.run == run.c.id, scalar.c.name == self._query.scalar, scalar.c.value.is_not(None))
            return query.where(~select(scalar.c.run).where(has).exists())
        return query.where(self._value.is_(None))

    def _of(self, proposal: str) -> ColumnElement[bool]:
        """The proposal's runs; where a few are named anyway, so that no index of the proposal is walked for them."""
        few = self._query.ids is not None or self._query.file is not None
        return (run.c.proposal.concat("") if few else run.c.proposal) == proposal

    def _directions(self, *names: str) -> list[Any]:
        return [(desc if self._falling else asc)(literal_column(name)) for name in names]

    def _rank(self, key: Key) -> Any:
        """What keys of several proposals are merged by."""
        empty = key.value is None
        value = _Falling(key.value) if self._falling and not empty else key.value
        return (not empty if self._backward else empty, 0 if empty else value, -key.id if self._falling else key.id)


class _Falling:
    """A value that sorts the other way round."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __lt__(self, other: "_Falling") -> bool:
        return bool(other.value < self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Falling) and bool(other.value == self.value)

    __hash__ = None  # type: ignore[assignment]


def matches(query: RunQuery) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    for column, value in ((run.c.function, query.function), (run.c.rule, query.rule), (run.c.state, query.state)):
        if value is not None:
            found.append(column == value)
    if query.file is not None:
        found.append(run.c.file == query.file)
    if query.ids is not None:
        found.append(run.c.id.in_(query.ids))
    if query.since is not None:
        found.append(run.c.queued >= to_micros(query.since))
    if query.until is not None:
        found.append(run.c.queued < to_micros(query.until))
    found += [run.c.words.contains(word, autoescape=True) for word in query.words]
    return found
