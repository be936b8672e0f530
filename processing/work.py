"""What passes between the store, the dispatcher and the executors: plans, claims, outcomes, failures."""

import math
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from beamhub.catalog.records import ErrorClass, Scalar
from beamhub.processing.event import FileEvent


@dataclass(frozen=True)
class PlannedRun:
    """One run that a rule asks for; recorded at intake, in the event's own transaction."""

    rule: str
    function: str
    parameters: dict[str, Any]
    digest: str = ""
    version: str = ""


@dataclass(frozen=True)
class Arrival:
    """An event with all that is decided about it before the transaction: its proposal, columns and runs."""

    event: FileEvent
    proposal: str
    columns: dict[str, str | float | None] = field(default_factory=dict)
    runs: tuple[PlannedRun, ...] = ()


@dataclass(frozen=True)
class Claim:
    """A run that the store handed out for execution. Only (run, attempt) may publish or fail it.

    ``transient_failures`` and ``data_failures`` count this run's earlier ends of these classes,
    ``resource_failures`` counts all runs on the same file version that failed for want of resources.
    """

    run: int
    attempt: int
    proposal: str
    storage: str
    path: str
    function: str
    digest: str
    parameters: dict[str, Any]
    rule: str | None
    transient_failures: int = 0
    data_failures: int = 0
    resource_failures: int = 0


@dataclass(frozen=True)
class Task:
    """What an executor gets: absolute paths, the function's exact version and its bounds.

    ``folder`` is the attempt's own, not yet existing; everything the function writes goes below it.
    ``module_copy`` is the function's file in the copy of its folder that ``digest`` names. ``within`` is the folder
    of the proposal: files that ``raw`` refers to must lie beneath it (``None``: beside ``raw``).
    """

    run: int
    attempt: int
    function: str
    digest: str
    module_copy: Path
    parameters: dict[str, Any]
    raw: Path
    folder: Path
    timeout_s: float
    memory_bytes: int
    within: Path | None = None
    provenance: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """A function came to its end: what it reported, and what lies in the attempt's folder.

    ``output``, ``preview`` and ``plot`` are names of files in the folder, or empty.
    """

    scalars: dict[str, Scalar]
    output: str
    preview: str = ""
    plot: str = ""
    sparkline: tuple[float | None, ...] | None = None
    log_tail: str = ""
    where: str = ""


@dataclass(frozen=True)
class Failure:
    """A function did not come to its end: who can mend it, and the evidence, the user's lines first."""

    kind: ErrorClass
    type: str
    message: str
    traceback: tuple[str, ...] = ()
    log_tail: str = ""
    where: str = ""


@dataclass(frozen=True)
class Retry:
    """What happens after a failure: tried again at ``at``; or not at all, and perhaps held in quarantine."""

    at: datetime | None
    quarantined: bool = False


def finite(scalar: Scalar) -> Scalar:
    """A number that is not finite has no value, and the reason instead.

    >>> finite(Scalar(value=float("nan"), unit="1/cm"))
    Scalar(value=None, unit='1/cm', reason='not a number')
    """
    if scalar.value is None or math.isfinite(scalar.value):
        return scalar
    reason = "not a number" if math.isnan(scalar.value) else "infinite"
    return scalar.model_copy(update={"value": None, "reason": scalar.reason or reason})
