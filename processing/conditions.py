"""Conditions on a run's numbers, columns and parameters, for the database."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    false,
    func,
    or_,
    select,
    union_all,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import NullType

from beamhub.processing.cells import LAST, NUMBER, beginning, number_key
from beamhub.processing.query import Condition, Range
from beamhub.processing.schema import cell, parameter_set, run, scalar

SIDES = {"scalar": scalar, "column": cell}


def holds(condition: Condition, proposals: tuple[str, ...]) -> ColumnElement[bool]:
    """Whether a run of some proposals fulfils a condition; looked up for each run."""
    parts: list[ColumnElement[bool]] = []
    for kind in condition.kinds & SIDES.keys():
        side = SIDES[kind].alias()  # the same may be sorted by
        here = and_(side.c.run == run.c.id, side.c.name == condition.name, _fits(kind, side.c.value, condition))
        parts.append(select(side.c.run).where(here).exists())
    if "parameter" in condition.kinds:
        parts.append(run.c.parameter_set.in_(_sets(condition, proposals)))
    return or_(*parts)


def gathered(condition: Condition, proposals: Any) -> Select[Any]:
    """The ids of the runs that fulfil a condition, found by the condition's own index."""
    parts: list[Select[Any]] = []
    if "parameter" in condition.kinds:
        sets = _sets(condition, proposals)
        its = Among(run.c.parameter_set, sets.scalar_subquery())
        # PostgreSQL may look at all runs for sets that it does not know, but asks first whether there are any
        parts.append(select(run.c.id.label("run")).where(_of(run.c.proposal, proposals), its, sets.exists()))
    for kind in sorted(condition.kinds & SIDES.keys()):
        side = SIDES[kind]
        named = (_of(side.c.proposal, proposals), side.c.name == condition.name)
        parts.append(select(side.c.run).where(*named, _fits(kind, side.c.value, condition)))
    return parts[0] if len(parts) == 1 else select(union_all(*parts).subquery().c.run)


def is_gathered(condition: Condition, proposals: Any) -> ColumnElement[bool]:
    """Whether a run is one of those that the condition's own index finds."""
    return Among(run.c.id, gathered(condition, proposals).scalar_subquery())


def narrowest(connection: Connection, conditions: Sequence[Condition], proposals: Any, most: int) -> Condition | None:
    """The condition that the fewest runs fulfil; None where each has more than ``most``."""
    best, fewest = None, most + 1
    for condition in conditions:
        some = gathered(condition, proposals).limit(fewest).subquery()
        found = int(connection.execute(select(func.count()).select_from(some)).scalar_one())
        if found < fewest:
            best, fewest = condition, found
    return best


def _of(column: ColumnElement[str], proposals: Any) -> ColumnElement[bool]:
    return column.in_(proposals) if isinstance(proposals, tuple) else column == proposals


def _fits(kind: str, value: ColumnElement[Any], condition: Condition) -> ColumnElement[bool]:
    numbers = condition.numbers
    if kind == "scalar":
        return _between(value, numbers) if numbers else false()
    parts = []
    if numbers:
        low = NUMBER if numbers.low is None else number_key(numbers.low)
        high = NUMBER + LAST if numbers.high is None else number_key(numbers.high)
        parts.append(_between(value, Range(low, high, numbers.closed)))  # type: ignore[arg-type]
    if condition.text is not None:
        first, last = beginning(condition.text)
        parts.append((value >= first) & (value <= last))
    return or_(*parts)


def _between(column: ColumnElement[Any], numbers: Range) -> ColumnElement[bool]:
    parts = []
    if numbers.low is not None:
        parts.append(column >= numbers.low if numbers.closed else column > numbers.low)
    if numbers.high is not None:
        parts.append(column <= numbers.high if numbers.closed else column < numbers.high)
    return and_(*parts)


def _sets(condition: Condition, proposals: Any) -> Select[Any]:
    """The numbers of the parameters that fulfil a condition; they stand as JSON, and their spelling is looked for."""
    text = condition.text or ""
    spellings = {json.dumps(text, ensure_ascii=False)[:-1], *([text] if condition.numbers else [])}
    name = json.dumps(condition.name, ensure_ascii=False)
    tails = {False: ("",), True: (",", "}")}
    spelled = (
        parameter_set.c.parameters.contains(f"{name}:{spelling}{tail}", autoescape=True)
        for spelling in sorted(spellings)
        for tail in tails[spelling == text]
    )
    return select(parameter_set.c.id).where(_of(parameter_set.c.proposal, proposals), or_(*spelled))


class Among(FunctionElement[bool]):
    """A column whose value is one of the few that a query gives; PostgreSQL asks it once, and walks from these."""

    # of a Boolean, SQLAlchemy asks SQLite whether it is = 1, and then no index is looked into
    type = NullType()  # type: ignore[assignment]
    inherit_cache = True


@compiles(Among)
def _in(element: Among, compiler: SQLCompiler, **more: Any) -> str:
    column, values = (compiler.process(one, **more) for one in element.clauses)
    return f"{column} IN {values}"


@compiles(Among, "postgresql")
def _any(element: Among, compiler: SQLCompiler, **more: Any) -> str:
    column, values = (compiler.process(one, **more) for one in element.clauses)
    return f"{column} = ANY (ARRAY{values})"
