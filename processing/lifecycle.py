"""What can happen to a run: taken in, claimed, published, failed, cancelled, released, asked for again."""

import hashlib
import json
import math
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, insert, select, true, update

from beamhub.catalog.records import Run
from beamhub.processing import batches, queries, waits
from beamhub.processing.cells import keys
from beamhub.processing.clock import now, to_micros
from beamhub.processing.columns import Cell
from beamhub.processing.event import Position
from beamhub.processing.retries import retry_after_loss, tried_alone
from beamhub.processing.schema import (
    cell,
    file,
    parameter_set,
    position,
    proposal,
    rule_state,
    run,
    run_detail,
    scalar,
    storable,
)
from beamhub.processing.schema import (
    request as request_table,
)
from beamhub.processing.transaction import Transaction
from beamhub.processing.work import Arrival, Claim, Failure, Outcome, PlannedRun, Retry, finite

AUTOMATIC, REQUESTED = "automatic", "requested"
FORGOTTEN = {"transient_failures": 0, "data_failures": 0, "losses": 0}  # when a run is released
MAX_LOG = 64 * 1024  # characters kept of a log's end
MAX_ID = 600  # characters, of up to 4 bytes
MAX_NAME = 200  # characters of a scalar's name, which is in an index
MAX_MESSAGE = 2000  # characters of an error's message in listings
LOST = {
    "error_kind": "resource",
    "error_type": "ServiceEnded",
    "error_message": "each time it ran, the service ended. Release it to try again; watch the service's log meanwhile.",
}


class NotPossible(Exception):
    """A run is in a state in which this cannot be done; ``state`` says which."""

    def __init__(self, what: str, state: str) -> None:
        super().__init__(what)
        self.state = state


class OtherRequest(Exception):
    """The key of a request was used before, for something else."""


def take_in(transaction: Transaction, arrivals: Sequence[Arrival], at: Position | None) -> list[int]:
    """Insert events and their runs; known ones change nothing. The ids of the new files."""
    new = [number for arrival in arrivals if (number := _take_in(transaction, arrival)) is not None]
    if at is not None:
        transaction.put(position, {"source": at.source, "value": at.value}, value=at.value)
    return new


def _take_in(transaction: Transaction, arrival: Arrival) -> int | None:
    event, arrived = arrival.event, now()
    if event.kind != "closed":
        _changed_kind(transaction, arrival)
        return None
    values = {
        "seq": 0,
        "proposal": arrival.proposal,
        "instance": event.instance,
        "file_id": identity_of(event.file_id),
        "storage": event.storage,
        "path": event.path,
        "size": event.size,
        "time": to_micros(event.time),
        "arrived": arrived,
        "source": event.source,
        "kind": event.kind,
        "columns": to_json(arrival.columns),
        "raw": to_json(event.raw),
    }
    number = transaction.insert_new(file, values)
    if number is None:
        _again(transaction, arrival)
        return None
    transaction.touch_file(number)
    transaction.count_file(arrival.proposal, arrived)
    for planned in arrival.runs:
        name = event.path.rpartition("/")[2]
        words = _words(arrival, planned)
        made = _queue(transaction, number, name, arrival.proposal, planned, words, automatic_rule=planned.rule)
        _set_cells(transaction, made, arrival.proposal, arrival.columns)
    return number


def _set_cells(transaction: Transaction, number: int | None, of: str, columns: dict[str, Cell]) -> None:
    """What the file's columns say can be sorted by and searched for."""
    if number is None or not columns:
        return
    found = dict(keys(columns))
    if found:
        rows = [{"run": number, "name": name, "proposal": of, "value": key} for name, key in found.items()]
        transaction.execute(insert(cell), rows)
    transaction.head(of, "column", dict.fromkeys(columns, ""), found)


def _again(transaction: Transaction, arrival: Arrival) -> None:
    """A known version was told of again: it is there, also if it had been removed."""
    event = arrival.event
    same = (file.c.instance == event.instance) & (file.c.file_id == identity_of(event.file_id))
    _set_kind(transaction, same & (file.c.kind == "removed"), "restored")


def _changed_kind(transaction: Transaction, arrival: Arrival) -> None:
    """A file was removed or came back: its versions say so; where nothing is known of it there is nothing to say.

    The path may be that of a folder: then all below it was.
    """
    event = arrival.event
    below = (file.c.path >= f"{event.path}/") & (file.c.path < f"{event.path}0")  # "0" is what follows "/"
    matches = (file.c.storage == event.storage) & ((file.c.path == event.path) | below)
    if event.file_id:
        matches = (file.c.instance == event.instance) & (file.c.file_id == identity_of(event.file_id))
    _set_kind(transaction, matches & (file.c.kind != event.kind), event.kind)


def _set_kind(transaction: Transaction, matches: ColumnElement[bool], kind: str) -> None:
    changed = update(file).where(matches).values(kind=kind).returning(file.c.id)
    for number in transaction.execute(changed).scalars().all():
        transaction.touch_file(number)


def _queue(
    transaction: Transaction,
    file_number: int,
    name: str,
    name_of_proposal: str,
    planned: PlannedRun,
    words: str,
    **more: Any,
) -> int | None:
    moment, parameters = now(), to_json(planned.parameters)
    values = {
        "seq": 0,
        "proposal": name_of_proposal,
        "state": "queued",
        "cause": AUTOMATIC,
        "file": file_number,
        "file_name": name,
        "rule": planned.rule or None,
        "function": planned.function,
        "version": planned.version,
        "digest": planned.digest,
        "parameters": parameters,
        "parameter_set": _parameter_set(transaction, name_of_proposal, parameters),
        "queued": moment,
        "due": moment,
        "words": words,
    } | more
    number = transaction.insert_new(run, values)
    if number is not None:
        transaction.touch_run(number)
        transaction.count(name_of_proposal, planned.function, planned.rule, "queued", 1)
        transaction.head(name_of_proposal, "parameter", dict.fromkeys(planned.parameters, ""))
    return number


def _parameter_set(transaction: Transaction, of: str, parameters: str) -> int:
    """The number that a proposal's runs with these parameters have."""
    digest = hashlib.sha256(parameters.encode("utf-8", "replace")).hexdigest()
    known = select(parameter_set.c.id).where(parameter_set.c.proposal == of, parameter_set.c.digest == digest)
    number = transaction.execute(known).scalar_one_or_none()
    if number is None:
        values = {"proposal": of, "digest": digest, "parameters": parameters}
        number = transaction.insert_new(parameter_set, values) or transaction.execute(known).scalar_one()
    return int(number)


def claim(transaction: Transaction, limit: int) -> list[Claim]:
    """Hand out runs that are due, and note the turns, so that no proposal waits for another's flood to end."""
    claims, turns = [], {}
    for row in _next(transaction.connection, limit):
        values = {"attempts": row.attempts + 1, "started": now(), "finished": None, "due": None}
        if _move(transaction, row, "running", **values):
            claims.append(_claim(transaction, row))
            turns[row.proposal] = now() + len(claims)
    for name, turn in sorted(turns.items()):
        transaction.execute(update(proposal).where(proposal.c.name == name).values(served=turn))
    return claims


def _next(connection: Connection, limit: int) -> list[Any]:
    """Which runs are handed out now; for one that is tried alone what runs is waited for, and then for its end."""
    running = queries.running_losses(connection)
    if any(tried_alone(losses) for losses in running):
        return []
    ready = queries.due(connection, limit)
    alone = [row for row in ready if tried_alone(row.losses)]
    if alone:
        return [] if running else alone[:1]
    return list(ready)


def _claim(transaction: Transaction, row: Any) -> Claim:
    of_file = transaction.execute(select(file.c.storage, file.c.path).where(file.c.id == row.file)).one()
    exhausted = transaction.execute(select(run.c.resource_failures).where(run.c.file == row.file)).scalars()
    return Claim(
        run=row.id,
        attempt=row.attempts + 1,
        proposal=row.proposal,
        storage=of_file.storage,
        path=of_file.path,
        function=row.function,
        digest=row.digest,
        parameters=json.loads(row.parameters),
        rule=row.rule,
        transient_failures=row.transient_failures,
        data_failures=row.data_failures,
        resource_failures=sum(exhausted),
    )


def publish(transaction: Transaction, number: int, attempt: int, outcome: Outcome, folder: str) -> bool:
    """Make an outcome the result."""
    row = _in_force(transaction, number, attempt)
    if row is None:
        return False
    if row.cancelling:
        _move(transaction, row, "cancelled", finished=now(), cancelling=False)
        return False
    scalars = {storable(name)[:MAX_NAME]: finite(value) for name, value in outcome.scalars.items()}
    _move(
        transaction, row, "done",
        finished=now(), where=outcome.where, folder=folder,
        output=outcome.output, preview=outcome.preview, plot=outcome.plot,
        scalars=to_json({name: value.model_dump() for name, value in scalars.items()}),
        sparkline=to_json(outcome.sparkline) if outcome.sparkline else None,
        words=" ".join([row.words, *scalars]).lower(),
        error_kind=None, error_type=None, error_message=None,
    )  # fmt: skip
    before = transaction.execute(delete(scalar).where(scalar.c.run == number).returning(scalar.c.name)).scalars()
    transaction.no_more(row.proposal, "scalar", before.all())
    rows = [
        {"run": number, "name": name, "proposal": row.proposal, "value": value.value}
        for name, value in scalars.items()
        if value.value is not None
    ]
    if rows:
        transaction.execute(insert(scalar), rows)
    if scalars:
        units = {name: value.unit for name, value in scalars.items()}
        transaction.head(row.proposal, "scalar", units, {one["name"] for one in rows})
    _detail(transaction, number, "[]", outcome.log_tail)
    return True


def fail(transaction: Transaction, number: int, attempt: int, failure: Failure, retry: Retry) -> bool:
    """Record a failure: tried again later, failed for good, or cancelled if that was asked for."""
    row = _in_force(transaction, number, attempt)
    if row is None:
        return False
    told = {
        "where": failure.where,
        "error_kind": failure.kind,
        "error_type": failure.type,
        "error_message": failure.message[:MAX_MESSAGE],
        "transient_failures": row.transient_failures + (failure.kind == "transient"),
        "data_failures": row.data_failures + (failure.kind == "data"),
        "resource_failures": row.resource_failures + (failure.kind == "resource"),
    }
    if row.cancelling:
        _move(transaction, row, "cancelled", finished=now(), cancelling=False)
    elif retry.at is not None:
        _move(transaction, row, "queued", due=to_micros(retry.at), **told)
    else:
        _move(transaction, row, "failed", finished=now(), quarantined=retry.quarantined, **told)
    _detail(transaction, number, to_json(list(failure.traceback)), failure.log_tail)
    return True


def give_up(transaction: Transaction, runs: Collection[int]) -> None:
    """These running runs go back into the queue; those that were being cancelled are cancelled."""
    for row in _running(transaction, run.c.id.in_(runs)):
        _requeue(transaction, row, waits.old_place(row))


def recover(transaction: Transaction, moment: datetime) -> None:
    """Every run that was running when the service ended goes back into the queue, or into quarantine in the end.

    Whatever the clock did meanwhile, no run waits longer than its wait, and no proposal for its turn.
    """
    waits.let_go_what_waits_too_long(transaction, to_micros(moment))
    for row in _running(transaction, true()):
        retry = retry_after_loss(row.losses, moment)
        if retry.at is None and not row.cancelling:
            _move(transaction, row, "failed", finished=now(), quarantined=True, **LOST)
        else:
            _requeue(transaction, row, to_micros(retry.at) if retry.at and retry.at > moment else waits.old_place(row))
        transaction.execute(update(run).where(run.c.id == row.id).values(losses=row.losses + 1))


def _running(transaction: Transaction, matches: ColumnElement[bool]) -> Sequence[Any]:
    return transaction.execute(select(run).where((run.c.state == "running") & matches)).all()


def _requeue(transaction: Transaction, row: Any, due: int) -> None:
    if row.cancelling:
        _move(transaction, row, "cancelled", finished=now(), cancelling=False)
    else:
        _move(transaction, row, "queued", started=None, due=due)


def request(
    transaction: Transaction,
    key: str,
    body: str,
    user: str,
    runs: Sequence[int],
    change: Callable[[Run], PlannedRun],
) -> list[int]:
    """Queue runs again on the same files, once for each key."""
    if transaction.insert_new(request_table, {"id": key, "body": body, "runs": "[]"}) is None:  # waits for a repeat
        return _asked_before(transaction, key, body)
    new = []
    for before, words in batches.before(transaction.connection, runs):
        planned = change(before)
        made = _queue(
            transaction, before.file.id, before.file.name, before.proposal, planned, words,
            cause=REQUESTED, request=f"{key}|{planned.rule}|{planned.function}", requested_by=user,
        )  # fmt: skip
        _set_cells(transaction, made, before.proposal, before.columns)
        new += [made] if made is not None else []
    transaction.execute(update(request_table).where(request_table.c.id == key).values(runs=to_json(new)))
    return new


def _asked_before(transaction: Transaction, key: str, body: str) -> list[int]:
    known = transaction.execute(select(request_table).where(request_table.c.id == key)).one()
    if known.body != body:
        raise OtherRequest("this Idempotency-Key was used for another request; make a new key")
    return list(json.loads(known.runs))


def cancel(transaction: Transaction, number: int) -> None:
    """Cancel a queued run at once; tell the dispatcher of a running one."""
    row = _row(transaction, number)
    if row.state == "queued" and cancel_queued(transaction, row):
        return
    if row.state == "running":
        transaction.execute(update(run).where(run.c.id == number).values(cancelling=True))
        transaction.touch_run(number)
        return
    raise NotPossible(f"run {number} is {row.state}; only a queued or running run can be cancelled", row.state)


def cancel_queued(transaction: Transaction, row: Any) -> bool:
    """Cancel a run that was read as queued; False if it was handed out meanwhile."""
    return _move(transaction, row, "cancelled", finished=now(), due=None)


def release(transaction: Transaction, number: int) -> None:
    """Put a run from quarantine back into the queue, with its failures forgotten."""
    row = _row(transaction, number)
    if not row.quarantined:
        raise NotPossible(f"run {number} is {row.state} and not in quarantine", row.state)
    transaction.execute(update(run).where(run.c.file == row.file).values(resource_failures=0))
    told = {"error_kind": None, "error_type": None, "error_message": None}
    _move(transaction, row, "queued", quarantined=False, finished=None, due=waits.old_place(row), **FORGOTTEN, **told)


def pause(transaction: Transaction, rule: str, paused: bool) -> None:
    """Hold a rule's runs back, or let them go."""
    transaction.put(rule_state, {"rule": rule, "paused": paused}, paused=paused)


def identity_of(file_id: str) -> str:
    """A file id that fits into an index, however long the source's own is."""
    return file_id if len(file_id) <= MAX_ID else hashlib.sha256(file_id.encode("utf-8", "replace")).hexdigest()


def to_json(value: Any) -> str:
    """JSON without NaN, of whatever an event or a function gave."""
    return json.dumps(_finite(value), ensure_ascii=False, default=str, separators=(",", ":"), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return value


def _move(transaction: Transaction, row: Any, state: str, **values: Any) -> bool:
    """Take a run from the state it was read in to another; False if somebody else moved it meanwhile."""
    still = (run.c.id == row.id) & (run.c.state == row.state) & (run.c.attempts == row.attempts)
    moved = transaction.execute(update(run).where(still).values(state=state, **values)).rowcount == 1
    if moved:
        transaction.touch_run(row.id)
        transaction.count(row.proposal, row.function, row.rule, row.state, -1)
        transaction.count(row.proposal, row.function, row.rule, state, 1)
    return moved


def _row(transaction: Transaction, number: int) -> Any:
    row = transaction.execute(select(run).where(run.c.id == number).with_for_update()).one_or_none()
    if row is None:
        raise NotPossible(f"there is no run {number}", "unknown")
    return row


def _in_force(transaction: Transaction, number: int, attempt: int) -> Any:
    matches = (run.c.id == number) & (run.c.attempts == attempt) & (run.c.state == "running")
    return transaction.execute(select(run).where(matches).with_for_update()).one_or_none()


def _detail(transaction: Transaction, number: int, traceback: str, log_tail: str) -> None:
    values = {"traceback": traceback, "log_tail": log_tail[-MAX_LOG:]}
    transaction.put(run_detail, {"run": number, **values}, **values)


def _words(arrival: Arrival, planned: PlannedRun) -> str:
    parts = [
        arrival.event.path,
        planned.rule,
        planned.function,
        *(str(v) for v in arrival.columns.values() if v is not None),
    ]
    return " ".join(parts).lower()
