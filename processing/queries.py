"""Reading the store: pages of runs, counts, single records, changes. Every index begins with the proposal."""

import json
from collections.abc import Collection, Sequence
from heapq import merge
from itertools import islice
from typing import Any, Literal, TypeVar

from sqlalchemy import ColumnElement, Connection, Select, Table, and_, func, or_, select

from beamhub.catalog.records import Change, Count, File, FileRef, Page, Proposal, Run, RunError, Scalar
from beamhub.processing import schema
from beamhub.processing.clock import from_micros, now, to_micros
from beamhub.processing.query import RunQuery
from beamhub.processing.schema import counter, file, rule_state, run, run_detail, scalar, sequence

Item = TypeVar("Item")
COUNTED_TO = 10_000
NEWEST = 50  # runs that a mean duration is taken over
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
SHOWN = select(
    *run.c,
    file.c.path,
    file.c.storage,
    file.c.size,
    file.c.time,
    file.c.columns.label("file_columns"),
).join(file, file.c.id == run.c.file)


def position(connection: Connection, source: str) -> str | None:
    """How far a source was read."""
    query = select(schema.position.c.value).where(schema.position.c.source == source)
    return connection.execute(query).scalar_one_or_none()


def head(connection: Connection) -> int:
    """The number of the last change."""
    return int(connection.execute(select(sequence.c.value)).scalar_one())


def paused(connection: Connection) -> set[str]:
    """Rules that are held back."""
    return set(connection.execute(select(rule_state.c.rule).where(rule_state.c.paused)).scalars())


def due(connection: Connection, limit: int) -> list[Any]:
    """Queued runs that may start now, the oldest of each proposal in turn."""
    held = paused(connection)
    waiting = select(counter.c.proposal).where(counter.c.state == "queued", counter.c.n > 0).distinct()
    ready = [run.c.state == "queued", or_(run.c.next_try.is_(None), run.c.next_try <= now())]
    if held:
        ready.append(or_(run.c.rule.is_(None), run.c.rule.not_in(held), run.c.cause == "requested"))
    each = [
        connection.execute(
            select(run).where(run.c.proposal == name, *ready).order_by(run.c.queued, run.c.id).limit(limit)
        ).all()
        for name in sorted(connection.execute(waiting).scalars())
    ]
    turns = [row for turn in range(limit) for rows in each if turn < len(rows) for row in [rows[turn]]]
    return turns[:limit]


def cancelling(connection: Connection, runs: Collection[int]) -> set[int]:
    """Running runs that somebody cancelled."""
    return set(connection.execute(select(run.c.id).where(run.c.id.in_(runs), run.c.cancelling)).scalars())


def named_outputs(connection: Connection) -> set[str]:
    """Folders that rows name."""
    return set(connection.execute(select(run.c.folder).where(run.c.folder != "")).scalars())


def runs(connection: Connection, query: RunQuery) -> Page[Run]:
    """One page: from each proposal as many rows as the page holds, merged."""
    backward = query.before is not None
    start = query.before if backward else query.after
    cursor = query.read_cursor(start) if start is not None else None
    order = _Order(query, backward)
    wanted = query.limit + 1
    skip = query.at or 0
    if skip and len(query.proposals) == 1:
        rows, skip = order.rows(connection, query.proposals[0], None, wanted, skip), 0
    else:
        each = [order.rows(connection, name, cursor, wanted + skip) for name in query.proposals]
        rows = list(islice(merge(*each, key=order.rank), skip, skip + wanted))
    more, rows = len(rows) > query.limit, rows[: query.limit]
    if backward:
        rows.reverse()
    first, last = (more, True) if backward else (bool(cursor or query.at), more)
    return Page[Run](
        items=[_run(row) for row in rows],
        before=query.cursor(rows[0].sorted, rows[0].id) if rows and first else None,
        after=query.cursor(rows[-1].sorted, rows[-1].id) if rows and last else None,
        seq=head(connection),
    )


def run_ids(connection: Connection, query: RunQuery, limit: int) -> list[int]:
    """Ids of all that a filter matches, newest first."""
    found = select(run.c.id).where(run.c.proposal.in_(query.proposals), *_filter(query))
    return list(connection.execute(found.order_by(run.c.queued.desc(), run.c.id.desc()).limit(limit)).scalars())


def count(connection: Connection, query: RunQuery) -> tuple[Count, dict[str, int]]:
    """From the counters where the filter allows, else counted up to a bound."""
    counted = select(counter.c.state, func.sum(counter.c.n)).where(counter.c.proposal.in_(query.proposals))
    if query.function:
        counted = counted.where(counter.c.function == query.function)
    states = {state: int(n) for state, n in connection.execute(counted.group_by(counter.c.state)) if n}
    if not (query.words or query.since or query.until or query.ids is not None or query.file or query.rule):
        total = states.get(query.state, 0) if query.state else sum(states.values())
        return Count(count=total), states
    some = select(run.c.id).where(run.c.proposal.in_(query.proposals), *_filter(query)).limit(COUNTED_TO + 1)
    found = int(connection.execute(select(func.count()).select_from(some.subquery())).scalar_one())
    return Count(count=min(found, COUNTED_TO), exact=found <= COUNTED_TO), states


def run_in_full(connection: Connection, number: int) -> Run | None:
    """One run with digest, traceback and log."""
    row = connection.execute(SHOWN.where(run.c.id == number)).one_or_none()
    if row is None:
        return None
    detail = connection.execute(select(run_detail).where(run_detail.c.run == number)).one_or_none()
    shown = _run(row)
    error = shown.error
    if error is not None and detail is not None:
        error = error.model_copy(update={"traceback": json.loads(detail.traceback)})
    provenance = {
        "folder": row.folder, "output": row.output, "preview": row.preview, "plot": row.plot, "request": row.request,
    }  # fmt: skip
    more = {"error": error, "log_tail": detail.log_tail if detail else "", "provenance": provenance}
    return shown.model_copy(update=more)


def files(connection: Connection, proposals: Sequence[str], limit: int, before: int | None) -> Page[File]:
    """The newest files of some proposals."""
    query = select(file).where(file.c.proposal.in_(proposals)).order_by(file.c.id.desc()).limit(limit + 1)
    if before is not None:
        query = query.where(file.c.id < before)
    rows = connection.execute(query).all()
    after = str(rows[limit - 1].id) if len(rows) > limit else None
    return Page[File](items=[_file(row) for row in rows[:limit]], after=after, seq=head(connection))


def file_in_full(connection: Connection, number: int) -> File | None:
    """One file version with its runs."""
    row = connection.execute(select(file).where(file.c.id == number)).one_or_none()
    if row is None:
        return None
    its = connection.execute(SHOWN.where(run.c.file == number).order_by(run.c.id)).all()
    return _file(row).model_copy(update={"runs": [_run(one) for one in its]})


def files_at(connection: Connection, path: str) -> list[File]:
    """All versions at a path of any storage, newest first."""
    rows = connection.execute(select(file).where(file.c.path == path).order_by(file.c.id.desc()).limit(100)).all()
    return [_file(row) for row in rows]


def proposals(connection: Connection) -> list[Proposal]:
    """Every proposal that has a file, with its numbers."""
    of_files = select(file.c.proposal, func.count(), func.max(file.c.arrived)).group_by(file.c.proposal)
    of_runs = select(counter.c.proposal, func.sum(counter.c.n)).group_by(counter.c.proposal)
    numbers = {name: int(n) for name, n in connection.execute(of_runs)}
    return [
        Proposal(name=name, files=n, runs=numbers.get(name, 0), last=from_micros(last))
        for name, n, last in connection.execute(of_files.order_by(file.c.proposal))
    ]


def places(connection: Connection, after: int) -> list[tuple[str, str, str, int]]:
    """Proposal, storage, one path and the newest id, of each pair that newer files have."""
    query = select(file.c.proposal, file.c.storage, func.min(file.c.path), func.max(file.c.id)).where(file.c.id > after)
    return [tuple(row) for row in connection.execute(query.group_by(file.c.proposal, file.c.storage))]


def changes(connection: Connection, names: Collection[str] | None, after: int, limit: int) -> list[Change]:
    """Changes in commit order; a transaction's are not torn apart, so there may be more than ``limit``."""
    found: list[Change] = []
    complete: list[int] = []
    tables: tuple[tuple[Literal["run", "file"], Table], ...] = (("run", run), ("file", file))
    for kind, table in tables:
        query = select(table.c.seq, table.c.proposal, table.c.id).where(table.c.seq > after)
        if names is not None:
            query = query.where(table.c.proposal.in_(names))
        rows = list(connection.execute(query.order_by(table.c.seq).limit(limit)).all())
        if len(rows) == limit:
            complete.append(rows[-1].seq)
            rows = [row for row in rows if row.seq < rows[-1].seq]
            rows += connection.execute(query.where(table.c.seq == complete[-1])).all()
        found += [Change(seq=row.seq, proposal=row.proposal, kind=kind, id=row.id) for row in rows]
    until = min(complete, default=None)
    wanted = [change for change in found if until is None or change.seq <= until]
    return sorted(wanted, key=lambda change: (change.seq, change.kind, change.id))


def mean_seconds(connection: Connection, function: str) -> float | None:
    """The mean duration of a function's newest runs, seconds."""
    done = select(run.c.finished - run.c.started).where(run.c.function == function, run.c.state == "done")
    newest = list(connection.execute(done.order_by(run.c.id.desc()).limit(NEWEST)).scalars())
    return sum(newest) / len(newest) / 1e6 if newest else None


class _Order:
    """How a page is sorted: rows with a value first, by it and the id; then those without one, by id."""

    def __init__(self, query: RunQuery, backward: bool) -> None:
        self.query = query
        self.backward = backward
        self.falling = query.descending != backward
        self.value: ColumnElement[Any] = scalar.c.value if query.scalar else COLUMNS[query.column]
        self.nullable = bool(query.scalar) or query.column in NULLABLE

    def rows(
        self, connection: Connection, proposal: str, cursor: tuple[Any, int] | None, limit: int, skip: int = 0
    ) -> list[Any]:
        """Up to ``limit`` rows of one proposal beyond the cursor, in the order of the page (or backward)."""
        parts = [True, False] if self.nullable else [True]
        if self.backward:
            parts.reverse()
        found: list[Any] = []
        for valued in parts:
            if len(found) < limit and (query := self._part(proposal, cursor, valued)) is not None:
                if skip:
                    total = connection.execute(select(func.count()).select_from(query.subquery())).scalar_one()
                    if total <= skip:
                        skip -= total
                        continue
                found += connection.execute(query.limit(limit - len(found)).offset(skip)).all()
                skip = 0
        return found

    def rank(self, row: Any) -> Any:
        """A key that merges rows of several proposals in the order of the page."""
        empty = row.sorted is None
        value = _Falling(row.sorted) if self.falling and not empty else row.sorted
        return (not empty if self.backward else empty, 0 if empty else value, -row.id if self.falling else row.id)

    def _part(self, proposal: str, cursor: tuple[Any, int] | None, valued: bool) -> Select[Any] | None:
        """The rows with a value, or those without, beyond the cursor; None if the cursor lies beyond all of them."""
        query = self._valued(proposal) if valued else self._empty(proposal)
        query = query.where(*_filter(self.query))
        if cursor is not None:
            value, number = cursor
            beyond_id = run.c.id < number if self.falling else run.c.id > number
            if value is None and not valued:
                query = query.where(beyond_id)
            elif value is not None and valued:
                further = self.value < value if self.falling else self.value > value
                query = query.where(or_(further, and_(self.value == value, beyond_id)))
            elif valued != self.backward:
                return None
        order = [self.value, run.c.id] if valued else [run.c.id]
        return query.order_by(*(part.desc() if self.falling else part.asc() for part in order))

    def _valued(self, proposal: str) -> Select[Any]:
        query = SHOWN.add_columns(self.value.label("sorted")).where(run.c.proposal == proposal)
        if self.query.scalar:
            joined = and_(scalar.c.run == run.c.id, scalar.c.proposal == proposal, scalar.c.name == self.query.scalar)
            return query.join(scalar, joined).where(scalar.c.value.is_not(None))
        return query.where(self.value.is_not(None)) if self.nullable else query

    def _empty(self, proposal: str) -> Select[Any]:
        query = SHOWN.add_columns(func.nullif(1, 1).label("sorted")).where(run.c.proposal == proposal)
        if self.query.scalar:
            has = select(scalar.c.run).where(
                scalar.c.run == run.c.id, scalar.c.name == self.query.scalar, scalar.c.value.is_not(None)
            )
            return query.where(~has.exists())
        return query.where(self.value.is_(None))


class _Falling:
    """A value that sorts the other way round."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __lt__(self, other: "_Falling") -> bool:
        return bool(other.value < self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Falling) and bool(other.value == self.value)

    __hash__ = None  # type: ignore[assignment]


def _filter(query: RunQuery) -> list[ColumnElement[bool]]:
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


def _run(row: Any) -> Run:
    """A row as the API sends it; digest, traceback and log are added where a single run is asked for."""
    has = [name for name, there in (("file", row.output), ("preview", row.preview), ("plot", row.plot)) if there]
    error = None
    if row.error_kind is not None and row.state in ("failed", "queued"):
        error = RunError(kind=row.error_kind, type=row.error_type, message=row.error_message)
    return Run.model_construct(
        id=row.id,
        seq=row.seq,
        proposal=row.proposal,
        state=row.state,
        cause=row.cause,
        file=FileRef.model_construct(
            id=row.file,
            name=row.file_name,
            path=row.path,
            storage=row.storage,
            size=row.size,
            time=from_micros(row.time),
        ),
        rule=row.rule,
        function=row.function,
        title="",
        version=row.version,
        digest=row.digest,
        parameters=json.loads(row.parameters),
        attempts=row.attempts,
        quarantined=row.quarantined,
        queued=from_micros(row.queued),
        started=_time(row.started),
        finished=_time(row.finished),
        next_try=_time(row.next_try),
        executor=row.executor,
        where=row.where,
        requested_by=row.requested_by,
        error=error,
        columns=json.loads(row.file_columns),
        scalars={name: Scalar.model_construct(**value) for name, value in json.loads(row.scalars).items()},
        sparkline=json.loads(row.sparkline) if row.sparkline else None,
        has=has,
        output="",
        log_tail="",
        provenance={},
    )


def _file(row: Any) -> File:
    return File(
        id=row.id,
        seq=row.seq,
        proposal=row.proposal,
        storage=row.storage,
        path=row.path,
        name=row.path.rpartition("/")[2],
        size=row.size,
        time=from_micros(row.time),
        arrived=from_micros(row.arrived),
        source=row.source,
        kind=row.kind,
        columns=json.loads(row.columns),
    )


def _time(micros: int | None) -> Any:
    return None if micros is None else from_micros(micros)
