"""Reading the store: pages of runs, counts, single records, changes. Every index begins with the proposal."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Literal

from sqlalchemy import Connection, Dialect, Table, func, or_, select

from beamhub.catalog.records import Change, CountByState, File, Heading, Page, Proposal, Run
from beamhub.processing import counters, outlook, schema
from beamhub.processing.clock import from_micros, now
from beamhub.processing.conditions import is_gathered, narrowest
from beamhub.processing.late import late_after
from beamhub.processing.listing import Listed, as_json
from beamhub.processing.means import Means
from beamhub.processing.order import Key, Order, matches
from beamhub.processing.order_by_parameter import ByParameter
from beamhub.processing.query import RunQuery
from beamhub.processing.schema import counter, file, heading, proposal, rule_state, run, run_detail, sequence

COUNTED_TO = 10_000
NAMED = 500  # runs that text finds are named one by one where there are so few
GATHERED = 20_000  # runs that fulfil a condition are gathered where there are so few, and else each run is looked at
MOST_HEADINGS = 1000  # a function may name its numbers anew in each run
OF_FILE = (file.c.path, file.c.storage, file.c.size, file.c.time, file.c.columns.label("file_columns"))
SHOWN = select(*(column for column in run.c if column is not run.c.words), *OF_FILE).join(file, file.c.id == run.c.file)
LISTED = SHOWN.with_only_columns(*(SHOWN.selected_columns[name] for name in Listed._fields))


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


def known(connection: Connection, versions: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """File versions that were taken in and not removed since."""
    by_instance: dict[str, list[str]] = {}
    for instance, file_id in versions:
        by_instance.setdefault(instance, []).append(file_id)
    found: set[tuple[str, str]] = set()
    for instance, ids in by_instance.items():
        there = select(file.c.file_id).where(
            file.c.instance == instance, file.c.file_id.in_(ids), file.c.kind != "removed"
        )
        found |= {(instance, file_id) for file_id in connection.execute(there).scalars()}
    return found


def due(connection: Connection, limit: int) -> list[Any]:
    """Queued runs that may start now: the oldest of each proposal in turn, who waited longest for a turn first.

    PostgreSQL locks them, so that two who ask at one time get different runs.
    """
    held = paused(connection)
    waiting = select(counter.c.proposal).where(counter.c.state == "queued", counter.c.n > 0)
    turn = select(proposal.c.name).where(proposal.c.name.in_(waiting)).order_by(proposal.c.served, proposal.c.name)
    ready = [run.c.due <= now(), run.c.due.is_not(None)]
    if held:
        ready.append(or_(run.c.rule.is_(None), run.c.rule.not_in(held), run.c.cause == "requested"))
    each: list[Sequence[Any]] = []
    for name in connection.execute(turn).scalars().all():
        oldest = select(run).where(run.c.proposal == name, *ready).order_by(run.c.due, run.c.id).limit(limit)
        rows = connection.execute(oldest.with_for_update(skip_locked=True)).all()
        each += [rows] if rows else []
        if len(each) == limit:
            break
    turns = [rows[number] for number in range(limit) for rows in each if number < len(rows)]
    return turns[:limit]


def running_losses(connection: Connection) -> Sequence[int]:
    """Of each running run, how often it was lost before."""
    names = select(counter.c.proposal).where(counter.c.state == "running", counter.c.n > 0)
    running = select(run.c.losses).where(run.c.proposal.in_(names), run.c.state == "running")
    return connection.execute(running).scalars().all()


def cancelling(connection: Connection, runs: Collection[int]) -> set[int]:
    """Running runs that somebody cancelled."""
    return set(connection.execute(select(run.c.id).where(run.c.id.in_(runs), run.c.cancelling)).scalars())


def named_outputs(connection: Connection) -> set[str]:
    """Folders that rows name."""
    return set(connection.execute(select(run.c.folder).where(run.c.folder != "")).scalars())


def attempts(connection: Connection, numbers: Collection[int]) -> dict[int, int]:
    """How many attempts of each run were handed out; runs that there are not are left out."""
    asked = select(run.c.id, run.c.attempts).where(run.c.id.in_(numbers))
    return {row.id: row.attempts for row in connection.execute(asked)}


def runs(connection: Connection, query: RunQuery, means: Means | None = None) -> Page[Run]:
    """One page."""
    return Page[Run].model_validate_json(listing(connection, query, means=means))


def listing(
    connection: Connection,
    query: RunQuery,
    told: Mapping[str, Mapping[str, str]] | None = None,
    means: Means | None = None,
) -> str:
    """One page as JSON: from each proposal the keys of as many rows as it holds, merged; then those rows.

    ``told`` is what is to be said of each function's runs besides, ``means`` how long they take; without it it is not
    said when those that run are late.
    """
    backward = query.before is not None
    start = query.before if backward else query.after
    cursor = query.read_cursor(start) if start is not None else None
    asked = _named_by_words(connection, query)
    keys = _keys_at(connection, asked) if query.at else _order(asked, backward).keys(connection, cursor)
    more, keys = len(keys) > query.limit, keys[: query.limit]
    if backward:
        keys.reverse()
    first, last = (more, True) if backward else (bool(cursor or query.at), more)
    rows = {row.id: row for row in _listed(connection, [key.id for key in keys])}
    late = _late(connection, rows.values(), means) if means else {}
    items = (as_json(row, (told or {}).get(row.function), late.get(row.id)) for row in (rows[key.id] for key in keys))
    before = query.cursor(keys[0].value, keys[0].id) if keys and first else None
    after = query.cursor(keys[-1].value, keys[-1].id) if keys and last else None
    beside = {"before": before, "after": after, "seq": head(connection)}
    return f'{{"items":[{",".join(items)}],{json.dumps(beside)[1:]}'


def _late(connection: Connection, rows: Iterable[Listed], means: Means) -> dict[int, float]:
    """After how many seconds each of those that run is late, where that is known."""
    running = {row.id: row.function for row in rows if row.state == "running"}
    known = {name: means.of(connection, name) for name in set(running.values())}
    return {number: late_after(mean) for number, name in running.items() if (mean := known[name]) is not None}


def _listed(connection: Connection, numbers: Sequence[int]) -> Iterator[Listed]:
    """The rows of some runs; as the driver gives them, all at once, since there are many values in them."""
    if not numbers:
        return iter(())
    found = connection.exec_driver_sql(_text(connection.dialect).format(",".join(map(str, numbers))))
    return map(Listed._make, found.all())


@lru_cache(4)
def _text(dialect: Dialect) -> str:
    """How those rows are asked for, with a place for their numbers."""
    return f"{LISTED.compile(dialect=dialect)} WHERE run.id IN ({{}})"


def _order(query: RunQuery, backward: bool) -> Order:
    return ByParameter(query, backward) if query.parameter else Order(query, backward)


def _named_by_words(connection: Connection, query: RunQuery) -> RunQuery:
    """The same, with its runs named where text finds few: only the order by time has an index that holds the words."""
    if not query.words or query.column == "queued" or query.ids is not None:
        return query
    found = run_ids(connection, query, NAMED + 1)
    return replace(query, ids=tuple(found)) if len(found) <= NAMED else query


def _keys_at(connection: Connection, query: RunQuery) -> list[Key]:
    """The keys from a row number on, one more than the page holds; read from the end that is nearer."""
    at, wanted = query.at or 0, query.limit + 1
    states = counters.by_state(connection, query)
    whole = counters.known(query, states)
    if whole is None or at <= whole // 2:
        return _order(query, False).keys_at(connection, at, wanted)
    backward = _order(query, True)
    sizes = backward.sizes(connection, states)
    if sizes is None and at < whole - _quick_from_the_end(query, whole, states):
        return _order(query, False).keys_at(connection, at, wanted)
    wanted = min(wanted, whole - at)
    return backward.keys_at(connection, whole - at - wanted, wanted, sizes)[::-1] if wanted > 0 else []


def _quick_from_the_end(query: RunQuery, whole: int, states: Mapping[str, int]) -> int:
    """How many of the last rows are quicker to reach from the end, where those that have a value are not counted.

    Rows without a number, or without what their file says, come last, and to find out that there are no more of them
    means to look at all runs: that is not done, but where those without a result are enough.
    """
    if query.of_file:
        return 0
    return whole - states.get("done", 0) if query.scalar and query.state is None else whole // 2


def run_ids(connection: Connection, query: RunQuery, limit: int) -> list[int]:
    """Ids of all that a filter matches, newest first."""
    found = select(run.c.id).where(run.c.proposal.in_(query.proposals), *matches(query))
    return list(connection.execute(found.order_by(run.c.queued.desc(), run.c.id.desc()).limit(limit)).scalars())


def count(connection: Connection, query: RunQuery) -> CountByState:
    """From the counters where the filter allows, else counted up to a bound."""
    states = counters.by_state(connection, replace(query, rule=None))  # what waits is told whatever rule is looked at
    expected = _outlook(connection, query, states.get("queued", 0))
    its = states if query.rule is None else counters.by_state(connection, query)
    if (whole := counters.known(query, its)) is not None:
        return CountByState(count=whole, states=states, **expected)
    by = narrowest(connection, query.conditions, query.proposals, GATHERED)
    matching = matches(query, by or "")
    those = run.c.proposal.in_(query.proposals) if by is None else is_gathered(by, query.proposals)
    some = select(run.c.id).where(those, *matching).limit(COUNTED_TO + 1)
    found = int(connection.execute(select(func.count()).select_from(some.subquery())).scalar_one())
    return CountByState(count=min(found, COUNTED_TO), exact=found <= COUNTED_TO, states=states, **expected)


def _outlook(connection: Connection, query: RunQuery, waiting: int) -> dict[str, Any]:
    """What those that wait in one proposal can expect."""
    if not waiting or len(query.proposals) != 1 or query.function:
        return {}
    if held := outlook.held_back(connection, query.proposals, paused(connection)):
        return {"held": held}
    return {"seconds": outlook.seconds_left(connection, query.proposals[0], waiting)}


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
    numbers: list[int] = []
    for name in proposals:
        query = select(file.c.id).where(file.c.proposal == name).order_by(file.c.id.desc()).limit(limit + 1)
        if before is not None:
            query = query.where(file.c.id < before)
        numbers += connection.execute(query).scalars()
    newest = sorted(numbers, reverse=True)[: limit + 1]
    shown = select(file).where(file.c.id.in_(newest[:limit])).order_by(file.c.id.desc())
    after = str(newest[limit - 1]) if len(newest) > limit else None
    return Page[File](items=[_file(row) for row in connection.execute(shown)], after=after, seq=head(connection))


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
    of_runs = select(counter.c.proposal, func.sum(counter.c.n)).group_by(counter.c.proposal)
    numbers = {name: int(n) for name, n in connection.execute(of_runs)}
    return [
        Proposal(name=row.name, files=row.files, runs=numbers.get(row.name, 0), last=from_micros(row.last))
        for row in connection.execute(select(proposal).order_by(proposal.c.name))
    ]


def headings(connection: Connection, proposals: Sequence[str]) -> list[Heading]:
    """What the runs of some proposals have, each once."""
    columns = (heading.c.kind, heading.c.name, func.max(heading.c.unit).label("unit"))
    query = select(*columns).where(heading.c.proposal.in_(proposals)).group_by(heading.c.kind, heading.c.name)
    rows = connection.execute(query.order_by(heading.c.kind, heading.c.name).limit(MOST_HEADINGS))
    return [Heading(name=row.name, kind=row.kind, unit=row.unit) for row in rows]


def places(connection: Connection, after: int) -> list[tuple[str, str, str, int]]:
    """Proposal, storage, one path and the newest id, of each pair that newer files have."""
    newer = select(file.c.proposal, file.c.storage, file.c.path, file.c.id).where(file.c.id > after)
    # a few are looked at apart, since SQLite would look at every file in the order of the groups
    those = newer.cte("newer").prefix_with("MATERIALIZED").c if after else file.c
    query = select(those.proposal, those.storage, func.min(those.path), func.max(those.id))
    return [tuple(row) for row in connection.execute(query.group_by(those.proposal, those.storage))]


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


def _run(row: Any) -> Run:
    """A row as the API sends it; digest, traceback and log are added where a single run is asked for."""
    return Run.model_validate_json(as_json(row))


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
