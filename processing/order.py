"""The order of a page of runs: which rows come next, found by indexes that begin with the proposal."""

from collections.abc import Iterator, Mapping, Sequence
from heapq import merge
from itertools import islice
from math import isqrt
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    bindparam,
    case,
    func,
    literal_column,
    null,
    select,
    tuple_,
    union_all,
)

from beamhub.processing import counters
from beamhub.processing.clock import to_micros
from beamhub.processing.conditions import holds, is_gathered, narrowest
from beamhub.processing.query import Condition, RunQuery
from beamhub.processing.schema import Storable, cell, counter, heading, run, scalar

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
HAVE = {"scalar": ("done",), "finished": ("done", "failed", "cancelled")}  # runs of other states have none
GROUPS = ("function", "state", "rule")  # a few different values: equal ones follow each other as they were queued
Gather = str | Condition  # the column or condition by which rows are found before they are sorted; "": by the order


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
        self._side = scalar if query.scalar else cell if query.of_file else None  # the table of what is sorted by
        self._value: ColumnElement[Any] = (
            COLUMNS.get(query.column, null()) if self._side is None else self._side.c.value
        )
        self._id: ColumnElement[int] = run.c.id if self._side is None else self._side.c.run
        nullable = self._side is not None or query.column in NULLABLE
        self._parts = [True, False][:: -1 if backward else 1] if nullable else [True]
        if query.state is not None and query.state not in HAVE.get(query.column.partition(":")[0], [query.state]):
            self._parts = [False]
        few = query.ids is not None or query.file is not None  # then the proposals are no way to find them
        # the filter leaves one value only: a database would not see that the rest of the key can be searched for
        self._constant = query.column in GROUPS and getattr(query, query.column) is not None
        self._groups: Sequence[str | None] = [None] if few else query.proposals
        self._span: tuple[str, str] | None = None
        self._without: list[str] | None = None  # states whose runs have none, where it is known that all others have
        self._made: dict[tuple[Key | None, bool, Gather], Select[Any]] = {}

    def keys(self, connection: Connection, cursor: tuple[Any, int] | None) -> list[Key]:
        """The keys beyond a cursor, one more than the page holds: found for each proposal, and merged."""
        wanted, proposals = self._query.limit + 1, self._groups
        self._span = counters.span(connection, self._query)
        start = self._start(connection, *cursor) if cursor is not None else None
        chunk = wanted if len(proposals) < 2 else max(FEWEST, 4 * wanted // len(proposals))
        rare = self._rare(connection, chunk)
        each = [self._of_one(connection, name, start, chunk, rare.get(name, "")) for name in proposals]
        return list(islice(merge(*each, key=self._rank), wanted))

    def keys_at(
        self, connection: Connection, skip: int, wanted: int, sizes: Mapping[bool, int] | None = None
    ) -> list[Key]:
        """So many keys, but for the first ``skip``; ``sizes`` says how many rows have a value, and have none."""
        self._span = counters.span(connection, self._query)
        found: list[Key] = []
        rare = self._rare(connection, wanted)
        for valued in self._parts:
            size = None if sizes is None else sizes[valued]
            if size is not None and size <= skip:
                skip -= size
                continue
            every, most = self._of_all(valued, rare), wanted - len(found)
            if every is None or not most:
                break
            found += _keys(connection, every.limit(most if size is None else min(most, size - skip)).offset(skip))
            if found:
                skip = 0
            elif valued is not self._parts[-1]:
                counted = select(func.count()).select_from(every.order_by(None).subquery())
                skip -= int(connection.execute(counted).scalar_one())
        return found

    def sizes(self, connection: Connection, states: Mapping[str, int]) -> dict[bool, int] | None:
        """How many rows have the scalar or the column that is sorted by, and how many do not.

        None where a filter leaves some of them out. ``states`` says how many runs are in each.
        """
        kind, _, name = self._query.column.partition(":")
        if self._side is None or matches(self._query):
            return None
        these = (heading.c.proposal.in_(self._query.proposals), heading.c.kind == kind, heading.c.name == name)
        valued = int(connection.execute(select(func.sum(heading.c.n)).where(*these)).scalar_one() or 0)
        if self._query.scalar and valued == states.get("done"):
            self._without = [state for state in states if state != "done"]
        return {True: valued, False: sum(states.values()) - valued}

    def _start(self, connection: Connection, value: Any, number: int) -> Key:
        if not self._ties(value is not None):
            return Key(value, 0, number)
        seen = run.c.proposal.in_(self._query.proposals)  # a cursor says what its sender wrote
        tie = connection.execute(select(run.c.queued).where(run.c.id == number, seen)).scalar_one_or_none()
        return Key(value, tie or 0, number)

    def _of_one(
        self, connection: Connection, proposal: str | None, start: Key | None, chunk: int, gather: Gather
    ) -> Iterator[Key]:
        """A proposal's keys from there on, read in chunks as they are taken."""
        for valued in self._parts:
            while start is None or not self._beyond(start, valued):
                keys = _keys(connection, self._from(start, valued, gather).limit(chunk), {"proposal": proposal})
                yield from keys
                if len(keys) < chunk:
                    break
                start, chunk = keys[-1], 2 * chunk

    def _from(self, start: Key | None, valued: bool, gather: Gather) -> Select[Any]:
        """The keys of one part beyond a place, of the proposal that is given with the query."""
        made = (start, valued, gather)
        if made not in self._made:
            part = self._part(bindparam("proposal"), valued, gather)
            here = start is not None and (start.value is not None) == valued
            self._made[made] = part.where(self._further(start, gather)) if start is not None and here else part
        return self._made[made]

    def _rare(self, connection: Connection, chunk: int) -> dict[str | None, Gather]:
        """Of which proposals the rows of a state, function or condition are gathered and sorted, and by which of them.

        Walking the order's index finds ``chunk`` rows among ``n`` of ``whole`` after ``chunk * whole / n`` looks,
        gathering takes ``n``: that is less where ``n * n`` is below ``chunk * whole``.
        """
        if self._groups == [None]:
            return {}
        return self._rare_groups(connection, chunk) | self._rare_conditions(connection, chunk)

    def _rare_conditions(self, connection: Connection, chunk: int) -> dict[str | None, Gather]:
        if not self._query.conditions:
            return {}
        asked = select(counter.c.proposal, func.sum(counter.c.n)).group_by(counter.c.proposal)
        found: dict[str | None, Gather] = {}
        for name, whole in connection.execute(asked.where(counter.c.proposal.in_(self._query.proposals))).all():
            by = narrowest(connection, self._query.conditions, name, isqrt(int(chunk * whole)))
            if by is not None:
                found[name] = by
        return found

    def _rare_groups(self, connection: Connection, chunk: int) -> dict[str | None, Gather]:
        given = {name: value for name in counters.OF if (value := getattr(self._query, name)) is not None}
        if not given or self._query.column in ("queued", *given):
            return {}
        sums = [func.sum(case((counter.c[name] == value, counter.c.n), else_=0)) for name, value in given.items()]
        asked = select(counter.c.proposal, func.sum(counter.c.n), *sums).group_by(counter.c.proposal)
        found: dict[str | None, Gather] = {}
        for name, whole, *parts in connection.execute(asked.where(counter.c.proposal.in_(self._query.proposals))):
            n, by = min(zip(parts, given, strict=True))
            if n * n <= chunk * whole:
                found[name] = by
        return found

    def _of_all(self, valued: bool, rare: dict[str | None, Gather]) -> Any:
        """The keys of all proposals in order: the database merges what each index gives in order already.

        So it does with the states of one proposal whose runs have no value; of several there would be too many parts.
        PostgreSQL merges only what is a query with an order of its own, and sorts all rows of other parts.
        """
        parts = [self._part(name, valued, rare.get(name, "")) for name in self._groups]
        if not valued and self._without and len(parts) == 1:
            parts = [parts[0].where(run.c.state == state) for state in self._without]
        if len(parts) < 2:
            return parts[0] if parts else None
        names = [*(["value"] if valued and not self._constant else []), *(["tie"] if self._ties(valued) else []), "id"]
        every = union_all(*(select(part.subquery()) for part in parts))
        return every.order_by(*(self._direction(literal_column(name)) for name in names))

    def _beyond(self, start: Key, valued: bool) -> bool:
        """Whether all rows of a part lie on the wrong side of a cursor of the other part."""
        return (start.value is not None) != valued and valued != self._backward

    def _key(self, valued: bool, gather: Gather) -> list[ColumnElement[Any]]:
        """What a part is ordered by."""
        value = hidden(self._value) if gather else self._value
        varies, number = valued and not self._constant, self._id if valued else run.c.id
        return [*([value] if varies else []), *self._ties(valued), hidden(number) if gather else number]

    def _ties(self, valued: bool) -> list[ColumnElement[int]]:
        """What decides between equal values before the id does: what the indexes hold."""
        grouped = self._query.column in GROUPS or self._query.parameter != ""
        as_queued = grouped or (self._side is not None and not valued)
        return [run.c.queued] if as_queued else []

    def _further(self, start: Key, gather: Gather = "") -> ColumnElement[bool]:
        valued = start.value is not None
        here = self._key(valued, gather)
        there = [
            *([start.value] if valued and not self._constant else []),
            *([start.tie] if self._ties(valued) else []),
            start.id,
        ]
        if self._falling:
            return tuple_(*here) < tuple_(*there)
        return tuple_(*here) > tuple_(*there)

    def _part(self, proposal: Any, valued: bool, gather: Gather = "") -> Select[Any]:
        """The keys of a proposal's rows with a value, or without, in order."""
        query = self._valued(proposal, gather) if valued else self._empty(proposal, gather)
        if isinstance(gather, Condition):
            query = query.where(is_gathered(gather, proposal))
        key = self._key(valued, gather)
        return query.where(*matches(self._query, gather)).order_by(*(self._direction(part) for part in key))

    def _valued(self, proposal: Any, gather: Gather) -> Select[Any]:
        query, side = select(self._value.label("value"), self._tie(True), self._id.label("id")), self._side
        if side is not None:
            of_run = gather or matches(self._query)
            named = (
                self._of(run.c.proposal if gather else side.c.proposal, proposal, gather),
                side.c.name == (self._query.scalar or self._query.of_file),
            )
            return (query.join(run, run.c.id == side.c.run) if of_run else query).where(*named)
        value = hidden(self._value) if gather else self._value
        there: list[ColumnElement[bool]] = [value.is_not(None)] if len(self._parts) > 1 else []
        if self._span is not None:
            there += [value >= self._span[0], value <= self._span[1]]
        return query.where(self._of(run.c.proposal, proposal, gather), *there)

    def _empty(self, proposal: Any, gather: Gather) -> Select[Any]:
        query, side = select(null().label("value"), self._tie(False), run.c.id.label("id")), self._side
        query = query.where(self._of(run.c.proposal, proposal, gather))
        if self._parts == [False]:
            return query
        if side is None:
            return query.where((hidden(self._value) if gather else self._value).is_(None))
        if self._without is not None:
            return query.where(run.c.state.in_(self._without)) if len(self._groups) > 1 else query
        name = self._query.scalar or self._query.of_file
        has = and_(side.c.run == run.c.id, side.c.name == name)
        return query.where(~select(side.c.run).where(has).exists())

    def _tie(self, valued: bool) -> ColumnElement[int]:
        return next(iter(self._ties(valued)), literal_column("0")).label("tie")

    def _of(self, column: Any, proposal: Any, gather: Gather = "") -> ColumnElement[bool]:
        """The proposal's rows; where a few rows are named, those of all proposals, and no index of these is walked."""
        if self._groups == [None]:
            return column.concat("").in_(self._query.proposals)  # type: ignore[no-any-return]
        one: ColumnElement[bool] = (hidden(column) if isinstance(gather, Condition) else column) == proposal
        return one

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


def hidden(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """The same value, which no index is walked for."""
    return column.concat("") if isinstance(column.type, Storable) else column + 0


class _Falling:
    """A value that sorts the other way round."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __lt__(self, other: "_Falling") -> bool:
        return bool(other.value < self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Falling) and bool(other.value == self.value)

    __hash__ = None  # type: ignore[assignment]


def matches(query: RunQuery, by: Gather = "") -> list[ColumnElement[bool]]:
    """What a filter asks of a row; ``by`` is the column or condition whose index alone is to be used."""
    found: list[ColumnElement[bool]] = []
    for column, value in ((run.c.function, query.function), (run.c.rule, query.rule), (run.c.state, query.state)):
        if value is not None:
            found.append((hidden(column) if by and by != column.name else column) == value)
    if query.file is not None:
        found.append(run.c.file == query.file)
    if query.ids is not None:
        found.append(run.c.id.in_(query.ids))
    if query.since is not None:
        found.append(run.c.queued >= to_micros(query.since))
    if query.until is not None:
        found.append(run.c.queued < to_micros(query.until))
    found += [holds(condition, query.proposals) for condition in query.conditions if condition is not by]
    found += [run.c.words.contains(word, autoescape=True) for word in query.words]
    return found
