"""The order of a page of runs: which rows come next, found by indexes that begin with the proposal."""

from collections.abc import Iterator, Sequence
from heapq import merge
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    bindparam,
    func,
    literal_column,
    null,
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
FEWEST = 8  # keys that are read of a proposal at a time
GROUPS = ("function", "state", "rule")  # a few different values: equal ones follow each other as they were queued


class Key(NamedTuple):
    """Where a row stands: its value (None where it has none), what decides between equal values, and its id."""

    value: Any
    tie: int
    id: int


class Order:
    """How a page is sorted: rows with a value first, by it and the id; then those without one.

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
        self._ties: tuple[ColumnElement[Any], ...] = (run.c.queued,) if query.column in GROUPS else ()
        nullable = bool(query.scalar) or query.column in NULLABLE
        self._parts = [True, False][:: -1 if backward else 1] if nullable else [True]
        if query.scalar and query.state not in (None, "done"):
            self._parts = [False]  # only what is done has scalars
        few = query.ids is not None or query.file is not None  # then the proposals are no way to find them
        self._groups: Sequence[str | None] = [None] if few else query.proposals
        self._made: dict[tuple[Key | None, bool], Select[Any]] = {}

    def keys(self, connection: Connection, cursor: tuple[Any, int] | None) -> list[Key]:
        """The keys beyond a cursor, one more than the page holds: found for each proposal, and merged."""
        wanted, proposals = self._query.limit + 1, self._groups
        start = self._start(connection, *cursor) if cursor is not None else None
        chunk = wanted if len(proposals) < 2 else max(FEWEST, 4 * wanted // len(proposals))
        each = [self._of_one(connection, name, start, chunk) for name in proposals]
        return list(islice(merge(*each, key=self._rank), wanted))

    def keys_at(self, connection: Connection, skip: int) -> list[Key]:
        """The keys from a row number on, one more than the page holds."""
        wanted = self._query.limit + 1
        found: list[Key] = []
        for valued in self._parts:
            every = self._of_all(valued)
            if every is None or len(found) == wanted:
                break
            found += _keys(connection, every.limit(wanted - len(found)).offset(skip))
            if found:
                skip = 0
            elif valued is not self._parts[-1]:
                counted = select(func.count()).select_from(every.order_by(None).subquery())
                skip -= int(connection.execute(counted).scalar_one())
        return found

    def _start(self, connection: Connection, value: Any, number: int) -> Key:
        if not self._ties:
            return Key(value, 0, number)
        tie = connection.execute(select(*self._ties).where(run.c.id == number)).scalar_one_or_none()
        return Key(value, tie or 0, number)

    def _of_one(self, connection: Connection, proposal: str | None, start: Key | None, chunk: int) -> Iterator[Key]:
        """A proposal's keys from there on, read in chunks as they are taken."""
        for valued in self._parts:
            while start is None or not self._beyond(start, valued):
                keys = _keys(connection, self._from(start, valued).limit(chunk), {"proposal": proposal})
                yield from keys
                if len(keys) < chunk:
                    break
                start = keys[-1]

    def _from(self, start: Key | None, valued: bool) -> Select[Any]:
        """The keys of one part beyond a place, of the proposal that is given with the query."""
        if (start, valued) not in self._made:
            part = self._part(bindparam("proposal"), valued)
            here = start is not None and (start.value is not None) == valued
            self._made[start, valued] = part.where(self._further(start)) if start is not None and here else part
        return self._made[start, valued]

    def _of_all(self, valued: bool) -> Any:
        """The keys of all proposals in order: the database merges what each index gives in order already."""
        parts = [self._part(name, valued) for name in self._groups]
        if len(parts) < 2:
            return parts[0] if parts else None
        names = ("value", "tie", "id") if valued else ("tie", "id")
        every = union_all(*(part.order_by(None) for part in parts))
        return every.order_by(*(self._direction(literal_column(name)) for name in names))

    def _beyond(self, start: Key, valued: bool) -> bool:
        """Whether all rows of a part lie on the wrong side of a cursor of the other part."""
        return (start.value is not None) != valued and valued != self._backward

    def _further(self, start: Key) -> ColumnElement[bool]:
        here: list[Any] = [*self._ties, self._id]
        there: list[Any] = [*([start.tie] if self._ties else []), start.id]
        if start.value is None:
            here[-1] = run.c.id
        else:
            here, there = [self._value, *here], [start.value, *there]
        if self._falling:
            return tuple_(*here) < tuple_(*there)
        return tuple_(*here) > tuple_(*there)

    def _part(self, proposal: Any, valued: bool) -> Select[Any]:
        """The keys of a proposal's rows with a value, or without, in order."""
        query = self._valued(proposal) if valued else self._empty(proposal)
        key = (self._value, *self._ties, self._id) if valued else (*self._ties, run.c.id)
        return query.where(*matches(self._query)).order_by(*(self._direction(part) for part in key))

    def _valued(self, proposal: Any) -> Select[Any]:
        query = select(self._value.label("value"), self._tie(), self._id.label("id"))
        if self._query.scalar:
            named = (
                self._of(scalar.c.proposal, proposal),
                scalar.c.name == self._query.scalar,
                scalar.c.value.is_not(None),
            )
            return (query.join(run, run.c.id == scalar.c.run) if matches(self._query) else query).where(*named)
        return query.where(
            self._of(run.c.proposal, proposal), *([self._value.is_not(None)] if len(self._parts) > 1 else [])
        )

    def _empty(self, proposal: Any) -> Select[Any]:
        query = select(null().label("value"), self._tie(), run.c.id.label("id")).where(
            self._of(run.c.proposal, proposal)
        )
        if self._query.scalar and self._query.state in (None, "done"):
            has = and_(scalar.c.run == run.c.id, scalar.c.name == self._query.scalar, scalar.c.value.is_not(None))
            return query.where(~select(scalar.c.run).where(has).exists())
        return query if self._query.scalar else query.where(self._value.is_(None))

    def _tie(self) -> ColumnElement[int]:
        return (self._ties[0] if self._ties else literal_column("0")).label("tie")

    def _of(self, column: Any, proposal: Any) -> ColumnElement[bool]:
        """The proposal's rows; where a few rows are named, those of all proposals, and no index of these is walked."""
        one: ColumnElement[bool] = column == proposal
        return column.concat("").in_(self._query.proposals) if self._groups == [None] else one

    def _direction(self, part: ColumnElement[Any]) -> ColumnElement[Any]:
        return part.desc() if self._falling else part.asc()

    def _rank(self, key: Key) -> Any:
        """What keys of several proposals are merged by."""
        empty = key.value is None
        value = _Falling(key.value) if self._falling and not empty else key.value
        sign = -1 if self._falling else 1
        return (not empty if self._backward else empty, 0 if empty else value, sign * key.tie, sign * key.id)


def _keys(connection: Connection, query: Any, given: dict[str, Any] | None = None) -> list[Key]:
    return [Key(*row) for row in connection.execute(query, given)]


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
