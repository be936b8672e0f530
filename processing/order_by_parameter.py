"""The order of a page of runs by one of their parameters."""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from heapq import merge
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, select, tuple_

from beamhub.processing.cells import key_of
from beamhub.processing.conditions import is_gathered
from beamhub.processing.order import FEWEST, Gather, Key, Order, hidden, matches
from beamhub.processing.query import Condition
from beamhub.processing.schema import parameter_set, run

MERGED = 50  # sets with the same value that are each read by their index; of more, those that match are picked in time
EVERY = (run.c.queued, run.c.id)  # what rows with one value are ordered by
Group = tuple[str | None, list[int]]  # a value, and the sets of parameters that have it


class ByParameter(Order):
    """How a page is sorted by a parameter: the sets of parameters are few and sorted here, their runs by an index.

    Numbers stand before texts, runs that have no such parameter last; equal ones follow each other as they were queued.
    A page takes a question for each value in it: slow is one whose filter leaves few rows of many values and is none
    that is gathered (see ``Order``), such as a time.
    """

    def keys_at(
        self, connection: Connection, skip: int, wanted: int, sizes: Mapping[bool, int] | None = None
    ) -> list[Key]:
        """So many keys, but for the first ``skip``; where there are several values, their runs are counted first."""
        of_all = run.c.proposal.in_(self._query.proposals)
        groups = self._grouped(connection, self._query.proposals)
        counting = select(run.c.parameter_set, func.count()).where(of_all, *matches(self._query))
        counted = connection.execute(counting.group_by(run.c.parameter_set)) if len(groups) > 1 else ()
        counts = {row[0]: row[1] for row in counted}
        found: list[Key] = []
        for value, sets in groups:
            there = sum(counts.get(number, 0) for number in sets) if len(groups) > 1 else skip + wanted
            if skip < there and len(found) < wanted:
                query = self._sorted(select(*EVERY).where(of_all, _among(sets), *matches(self._query)))
                rows = connection.execute(query.limit(wanted - len(found)).offset(skip))
                found += [Key(value, *row) for row in rows]
            skip = max(0, skip - there)
        return found

    def _of_one(
        self, connection: Connection, proposal: str | None, start: Key | None, chunk: int, gather: Gather
    ) -> Iterator[Key]:
        groups = self._grouped(connection, self._query.proposals if proposal is None else (proposal,))
        if gather or proposal is None:
            yield from self._of_few(connection, proposal, groups, start, gather)
            return
        for value, sets in groups:
            here = Key(value, 0, 0)
            if start is not None and self._place(here) < self._place(start):
                continue
            begin = start if start is not None and self._place(here) == self._place(start) else None
            parts = [[number] for number in sets] if len(sets) <= MERGED else [sets]
            many = max(FEWEST, chunk // len(parts))
            each = (self._of_sets(connection, proposal, value, part, begin, many) for part in parts)
            yield from merge(*each, key=self._rank)

    def _of_sets(
        self, connection: Connection, proposal: str, value: str | None, sets: list[int], start: Key | None, chunk: int
    ) -> Iterator[Key]:
        """The keys of runs with some sets of parameters from there on, read in chunks as they are taken."""
        while True:
            query = self._from_sets(proposal, sets, start).limit(chunk)
            keys = [Key(value, *row) for row in connection.execute(query)]
            yield from keys
            if len(keys) < chunk:
                return
            start, chunk = keys[-1], 2 * chunk

    def _from_sets(self, proposal: str, sets: list[int], start: Key | None) -> Select[Any]:
        query: Select[Any] = select(*EVERY).where(run.c.proposal == proposal, _among(sets))
        query = self._sorted(query.where(*matches(self._query, "parameter_set")))
        return query if start is None else query.where(self._behind(start))

    def _of_few(
        self, connection: Connection, proposal: str | None, groups: Sequence[Group], start: Key | None, gather: Gather
    ) -> list[Key]:
        """The keys from there on where the filter leaves a few, which are sorted here."""
        values = {number: value for value, sets in groups for number in sets}
        query = select(run.c.parameter_set, *EVERY).where(self._of(run.c.proposal, proposal, gather))
        if isinstance(gather, Condition):
            query = query.where(is_gathered(gather, proposal))
        rows = connection.execute(query.where(*matches(self._query, gather or "id")))
        keys = sorted((Key(values.get(number), tie, of) for number, tie, of in rows), key=self._rank)
        return keys if start is None else [key for key in keys if self._rank(start) < self._rank(key)]

    def _grouped(self, connection: Connection, proposals: tuple[str, ...]) -> list[Group]:
        """The values that the parameter has, in order, each with its sets of parameters."""
        query = select(parameter_set.c.id, parameter_set.c.parameters).where(parameter_set.c.proposal.in_(proposals))
        found = [
            (_value(json.loads(parameters), self._query.parameter), of) for of, parameters in connection.execute(query)
        ]
        found.sort(key=lambda each: self._place(Key(each[0], 0, 0)))
        return [(value, [of for _, of in same]) for value, same in groupby(found, key=lambda each: each[0])]

    def _place(self, key: Key) -> Any:
        """Where the value of a key stands among others."""
        return self._rank(key)[:2]

    def _behind(self, start: Key) -> Any:
        there = start.tie, start.id
        return tuple_(*EVERY) < tuple_(*there) if self._falling else tuple_(*EVERY) > tuple_(*there)

    def _sorted(self, query: Select[Any]) -> Select[Any]:
        return query.order_by(*(self._direction(part) for part in EVERY))


def _value(parameters: dict[str, object], name: str) -> str | None:
    """What a parameter sorts by: numbers and texts as in other columns, all else as it is written in JSON."""
    found = parameters.get(name)
    if isinstance(found, int | float) and not isinstance(found, bool):
        with contextlib.suppress(OverflowError):
            return key_of(float(found))
    return key_of(found if found is None or isinstance(found, str) else json.dumps(found))


def _among(sets: list[int]) -> Any:
    """Whether a run has one of some sets of parameters; an index is walked for one only, and no number is bound."""
    if len(sets) == 1:
        return run.c.parameter_set == sets[0]
    return hidden(run.c.parameter_set).in_(bindparam("sets", sets, expanding=True, literal_execute=True))
