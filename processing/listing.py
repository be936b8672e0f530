"""A run's row as the JSON that the API sends of it: what the store keeps as JSON is passed on as it is."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from pydantic_core import to_json

from beamhub.processing.clock import from_micros

EMPTY = {"mistake": "", "output": "", "log_tail": "", "provenance": {}, "explanation": []}  # of a run in a listing
HAS = ("output", "preview", "plot")


class Listed(NamedTuple):
    """What is read of a run, and of its file."""

    id: int
    seq: int
    proposal: str
    state: str
    cause: str
    file: int
    file_name: str
    rule: str | None
    function: str
    version: str
    digest: str
    parameters: str
    attempts: int
    quarantined: bool
    queued: int
    started: int | None
    finished: int | None
    due: int | None
    executor: str
    where: str
    requested_by: str
    error_kind: str | None
    error_type: str | None
    error_message: str | None
    scalars: str
    sparkline: str | None
    output: str
    preview: str
    plot: str
    path: str
    storage: str
    size: int
    time: int
    file_columns: str


def as_json(row: Any, more: Mapping[str, str] | None = None, late_s: float | None = None) -> str:
    """One row, without what is added where a single run is asked for.

    Args:
        row: what is ``Listed`` of one, or more.
        more: members that the store does not know, such as the function's title.
        late_s: so many seconds after its start it takes far longer than usual.
    """
    known = {
        "id": row.id,
        "seq": row.seq,
        "proposal": row.proposal,
        "state": row.state,
        "cause": row.cause,
        "file": {
            "id": row.file,
            "name": row.file_name,
            "path": row.path,
            "storage": row.storage,
            "size": row.size,
            "time": _time(row.time),
        },
        "rule": row.rule,
        "function": row.function,
        "title": row.function,
        "version": row.version,
        "digest": row.digest,
        "attempts": row.attempts,
        "quarantined": bool(row.quarantined),
        "queued": _time(row.queued),
        "started": _time(row.started),
        "finished": _time(row.finished),
        "next_try": _time(row.due) if row.due is not None and row.due > row.queued else None,
        "executor": row.executor,
        "where": row.where,
        "requested_by": row.requested_by,
        "late_s": late_s,
        "error": _error(row),
        "has": ["file" if name == "output" else name for name in HAS if getattr(row, name)],
        **EMPTY,
        **(more or {}),
    }
    return (
        f'{to_json(known).decode()[:-1]},"parameters":{row.parameters},"columns":{row.file_columns},'
        f'"scalars":{row.scalars},"sparkline":{row.sparkline or "null"}}}'
    )


def _error(row: Any) -> dict[str, str] | None:
    if row.error_kind is None or row.state not in ("failed", "queued"):
        return None
    return {"kind": row.error_kind, "type": row.error_type, "message": row.error_message}


def _time(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)
