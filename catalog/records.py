"""The records of the catalogue as its API sends them: runs, files, functions, rules, changes, plots.

Every time is RFC 3339 in UTC, every size in bytes. Unknown members are ignored, so that a client
goes on working when the service grows a member.
"""

from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

RunState = Literal["queued", "running", "done", "failed", "cancelled"]
Cause = Literal["automatic", "requested"]
ErrorClass = Literal["transient", "data", "resource", "code"]
Item = TypeVar("Item")


class Record(BaseModel):
    """What all records share: they are values, and they tolerate members of a newer service."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Scalar(Record):
    """One number that a function reported; ``value`` is None where it was not finite, ``reason`` says why."""

    value: float | None
    unit: str = ""
    reason: str = ""


class RunError(Record):
    """Why a run failed: its class (who can mend it), the exception, and in a single run's answer the traceback.

    ``traceback`` has the lines of the user's function first.
    """

    kind: ErrorClass
    type: str
    message: str
    traceback: list[str] = []


class FileRef(Record):
    """The raw file of a run: where it lies in its storage and as which version it was seen."""

    id: int
    name: str
    path: str
    storage: str
    size: int
    time: datetime


class Run(Record):
    """One execution of a function on one file version, from queued to done, failed or cancelled.

    ``digest``, ``log_tail``, ``error.traceback``, ``provenance`` and ``explanation`` (why it is in its state and what
    to do, as sentences) are filled in where a single run is asked for.
    ``seq`` is the position of its last change in the feed; ``has`` names what the results endpoints offer of it.
    ``mistake`` says why a newer version of its function is not in force, as it is when the run is asked for.
    ``late_s``: so many seconds after its start a run that is listed takes far longer than those before it; None where
    it does not run, or that is not known.
    """

    id: int
    seq: int
    proposal: str
    state: RunState
    cause: Cause
    file: FileRef
    rule: str | None
    function: str
    title: str = ""
    mistake: str = ""
    version: str = ""
    digest: str = ""
    parameters: dict[str, Any] = {}
    attempts: int = 0
    quarantined: bool = False
    queued: datetime
    started: datetime | None = None
    finished: datetime | None = None
    next_try: datetime | None = None
    executor: str = ""
    where: str = ""
    requested_by: str = ""
    late_s: float | None = None
    error: RunError | None = None
    columns: dict[str, str | float | None] = {}
    scalars: dict[str, Scalar] = {}
    sparkline: list[float | None] | None = None
    has: list[Literal["file", "preview", "plot"]] = []
    output: str = ""
    log_tail: str = ""
    provenance: dict[str, Any] = {}
    explanation: list[str] = []


class File(Record):
    """One version of a raw file as it arrived, with the runs that it caused (a single file's answer only)."""

    id: int
    seq: int
    proposal: str
    storage: str
    path: str
    name: str
    size: int
    time: datetime
    arrived: datetime
    source: str
    kind: Literal["closed", "removed", "restored"]
    columns: dict[str, str | float | None] = {}
    runs: list[Run] = []


class Function(Record):
    """What can be asked for: a function, its parameters as a JSON schema, and the error of a newer version of it."""

    name: str
    title: str
    version: str
    digest: str
    description: str = ""
    parameters: dict[str, Any] = {}
    timeout_s: float
    memory_bytes: int
    mistake: str = ""


class Rule(Record):
    """For which files which function runs with what.

    ``paused`` holds new runs back (files are still taken in); ``mistake`` says why the newest version of the function
    is not in force, or why there is none.
    """

    name: str
    title: str = ""
    function: str
    storage: str
    path: str
    parameters: dict[str, Any] = {}
    paused: bool = False
    mistake: str = ""


class Heading(Record):
    """What runs have, and can be shown, sorted by and searched for: ``kind`` says where it comes from."""

    name: str
    kind: Literal["column", "scalar", "parameter"]
    unit: str = ""


class Proposal(Record):
    """A proposal that the asker may see, with how much of it there is."""

    name: str
    title: str = ""
    files: int = 0
    runs: int = 0
    last: datetime | None = None


class Change(Record):
    """A hint of the change feed: fetch this record again. ``seq`` is in commit order."""

    seq: int
    proposal: str
    kind: Literal["run", "file"]
    id: int


class Page(Record, Generic[Item]):
    """One page of a listing: rows, cursors to go on in both directions, and the feed position it was read at."""

    items: list[Item]
    after: str | None = None
    before: str | None = None
    seq: int = 0


class Proposals(Page[Proposal]):
    """The proposals that the asker may see; ``notice`` says why an edited processing.yaml is not in force."""

    notice: str = ""


class Headings(Page[Heading]):
    """What runs have; ``tables``: of each rule that says so, which columns the table of its runs shows at first.

    A column is named ``scan``, ``when``, ``written``, ``file``, ``function``, ``state``, ``curve``, ``picture``, or
    with its kind: ``column:NAME``, ``scalar:NAME``, ``parameter:NAME``.
    """

    tables: dict[str, list[str]] = {}


class Count(Record):
    """How many rows match; where ``exact`` is false, at least that many."""

    count: int
    exact: bool = True


class CountByState(Count):
    """How many rows match, how many of the proposal are in each state, and what those that wait can expect.

    ``held`` of the queued ones wait because their rule is paused. ``seconds`` is when the others' queue will be empty
    at the pace of the last runs; None where nothing waits, some are held back, or the pace is not known yet.
    """

    states: dict[str, int] = {}
    held: int = 0
    seconds: float | None = None


class Batch(Record):
    """How far what was asked for again is: how many runs there are, and how many in each state."""

    count: int
    states: dict[str, int] = {}


class Extent(Record):
    """How many runs a request would start, and in how many seconds they are done, after what waits; None: not known."""

    count: int
    seconds: float | None = None


class Axis(Record):
    """One axis of a plot: its name, unit, and whether the measurement is best seen on a logarithmic scale."""

    label: str
    unit: str = ""
    log: bool = False


class Curve(Record):
    """One curve: ``x``, ``y`` and ``error`` of equal length; None where a value is missing or not finite.

    ``role`` is "reference" for what the facility itself published or a fit, else "data".
    """

    name: str
    x: list[float | None]
    y: list[float | None]
    error: list[float | None] | None = None
    role: Literal["data", "reference"] = "data"


class Plot(Record):
    """The default plot of a result, at most 5,000 points a curve."""

    title: str = ""
    x: Axis
    y: Axis
    curves: list[Curve]


class Pixels(Record):
    """Values of an image from column ``x`` and row ``y`` on: ``values`` (rows, columns), None where there is none."""

    x: int
    y: int
    values: list[list[float | None]]


class Explanation(Record):
    """Why a file was or was not processed: one sentence, for each rule its verdict, and all that can be told.

    ``explanation`` has the sentences of the file's newest run, as that run itself has them; of a file without runs, why
    there is none and what to do.
    """

    path: str
    summary: str
    file: File | None = None
    rules: list[dict[str, str]] = []
    explanation: list[str] = []


class Problem(Record):
    """The body of every refusal: a sentence for people, a stable word for programs, the HTTP status."""

    message: str
    reason: str
    code: int
