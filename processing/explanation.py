"""Why a run is in its state, in sentences for a scientist: who took the file, what it waits for, what to do."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from beamhub.catalog.records import Function, Run, RunState
from beamhub.processing.late import late_after
from beamhub.processing.rules import Verdict

MOST = 10_000  # runs that are counted in a queue
MOST_VERSIONS = 1000  # of a file, and runs of them, that are counted
LONGEST = 300  # characters of what a function said
AGAIN = "run it again here (tab Again)"


@dataclass(frozen=True)
class Standing:
    """What surrounds a run.

    ``ahead`` of it wait so many runs of its proposal, up to 10,000; ``altogether`` is the most that can be handed out
    before it, since proposals take turns. ``mean_s``: how long its function's newest runs took; None: not known.
    ``versions``: how many runs there are of its rule, its function and its file, which may have been written anew, up
    to 1,000; ``newest`` is the number and the state of the last of them, where that is another one.
    """

    ahead: int = 0
    altogether: int = 0
    paused: bool = False
    cancelling: bool = False
    removed: bool = False
    mean_s: float | None = None
    versions: int = 1
    newest: tuple[int, RunState] | None = None


@dataclass(frozen=True)
class Facts:
    """All that the sentences about one run are made from.

    Args:
        run: in full, with its traceback.
        standing: what surrounds it.
        verdict: whether its rule takes its file now; None where there is no such rule (any more).
        function: the one in force; None where there is none.
    """

    run: Run
    standing: Standing
    verdict: Verdict | None
    function: Function | None


def explain(facts: Facts, now: datetime) -> list[str]:
    """The sentences, the most telling ones first: who took the file, why it is where it is, what to do."""
    states = {"queued": _waits, "running": _runs, "failed": _failed, "cancelled": _cancelled, "done": _done}
    return [_taken(facts), *states[facts.run.state](facts, now), *_around(facts)]


def _taken(facts: Facts) -> str:
    run, verdict = facts.run, facts.verdict
    if run.cause == "requested":
        return f"{run.requested_by or 'Somebody'} asked for this run{f' (of rule {run.rule})' if run.rule else ''}."
    if verdict is None:
        return f"The rule {run.rule} took the file when it arrived; there is no such rule any more."
    if not verdict.takes:
        return f"The rule {run.rule} took the file when it arrived; it would not now: {verdict.reason}."
    return f"The rule {run.rule} took the file: {verdict.reason}."


def _waits(facts: Facts, now: datetime) -> Iterator[str]:
    run, standing = facts.run, facts.standing
    if standing.paused and run.cause == "automatic":
        yield f"It waits because the rule {run.rule} is paused. To do: ask the beamline's staff to let the rule go on."
        return
    if run.next_try is not None and run.next_try > now:
        yield f"{_why_again(run)} It is tried again in {_duration((run.next_try - now).total_seconds())}."
        yield "To do: nothing; it starts by itself."
        return
    if run.error is not None:
        yield _why_again(run)
    yield _queue(standing, run.proposal)
    yield "To do: nothing; it starts by itself when its turn comes."


def _why_again(run: Run) -> str:
    if run.error is None:
        return "The service ended while it was running."
    told = f"Attempt {run.attempts} failed: {_error(run)}"
    if run.error.kind == "data":
        return f"{told} Perhaps the file was not complete yet."
    if run.error.kind == "transient":
        return f"{told} That is no fault of the function or the file, and often passes."
    return told


def _queue(standing: Standing, proposal: str) -> str:
    if not standing.altogether:
        return "Nothing waits before it; it starts as soon as a worker is free."
    whose = f"of {proposal}" if proposal else "without a proposal"
    own = f"{_runs_of(standing.ahead)} {whose} wait before it" if standing.ahead else "It is the next of its proposal"
    most = "At least " if standing.ahead >= MOST else ""
    if standing.ahead == 1:
        own = own.replace(" wait ", " waits ")
    if standing.altogether == standing.ahead:
        return f"{most}{own}."
    return f"{most}{own}; proposals take turns, so that up to {standing.altogether:,} runs altogether start before it."


def _runs(facts: Facts, now: datetime) -> Iterator[str]:
    run, mean = facts.run, facts.standing.mean_s
    if facts.standing.cancelling:
        yield "Somebody cancelled it; it ends within seconds."
        return
    took = (now - run.started).total_seconds() if run.started else 0.0
    yield f"It has been running for {_duration(took)}{f' on {run.where}' if run.where else ''}."
    if mean is not None:
        yield f"The last runs of this function took {_duration(mean)} on average."
    if mean is not None and took > late_after(mean):
        bound = f"; it is ended when it has taken {_duration(facts.function.timeout_s)}" if facts.function else ""
        yield f"That is far longer than usual{bound}."
        yield "To do: wait, or cancel it; if others of its kind hang as well, tell whoever wrote the function."


def _failed(facts: Facts, now: datetime) -> Iterator[str]:
    run = facts.run
    if run.error is None:
        yield f"It failed. To do: {AGAIN}."
        return
    yield f"{_WHOSE.get(run.error.kind, 'It failed')}: {_error(run)}"
    if line := own_line(run.error.traceback):
        yield f"The function's own line: {line}"
    if said := run.log_tail.strip():
        yield f"The last that it printed: {said.splitlines()[-1][-LONGEST:]}"
    yield from _changed(facts)
    yield f"To do: {_remedy(facts)}"


_WHOSE = {
    "code": "The function itself is wrong",
    "data": "The file is not what the function needs",
    "resource": "It took too long or needed too much memory",
    "transient": "Something around it failed, each time that it was tried",
}


def own_line(traceback: Sequence[str]) -> str:
    """The user's own line that failed: frames of the user's modules have a relative path, and stand first.

    >>> own_line(["total.py:9 in total: frame = file[key]", "/usr/lib/h5py/group.py:1 in get: raise"])
    'total.py:9 in total: frame = file[key]'
    >>> own_line(["/usr/lib/h5py/group.py:1 in get: raise"])
    ''
    """
    first = traceback[0] if traceback else ""
    return "" if first.startswith(("/", "caused by ")) else first[:LONGEST]


def _changed(facts: Facts) -> Iterator[str]:
    run, now = facts.run, facts.function
    if now is None:
        yield f"There is no function {run.function} now."
    elif run.digest and run.digest != now.digest:
        yield "The function has been changed since this run."


def _remedy(facts: Facts) -> str:
    run, error = facts.run, facts.run.error
    if error is not None and error.type == "UnknownFunction":
        return f"have the function's name mended in the rule, or the function brought back; then {AGAIN}."
    if facts.standing.removed and error is not None and error.kind == "data":
        return f"bring the file back, if it is still wanted; it is then taken again, or {AGAIN}."
    if run.quarantined:
        return "it is held, so that it harms nothing else. Let it run again with the button below, once it is mended."
    remedies = {
        "code": f"show the line to whoever wrote the function; once it is mended, {AGAIN}.",
        "data": f"look at the file; if it is right, tell whoever wrote the function. Then {AGAIN}.",
        "resource": f"have timeout or memory of the function raised, or give it less to do; then {AGAIN}.",
        "transient": f"tell the beamline's staff if it lasts (a disk, the network); once it has passed, {AGAIN}.",
    }
    return remedies.get(error.kind if error else "", f"{AGAIN}.")


def _cancelled(facts: Facts, now: datetime) -> Iterator[str]:
    yield f"Somebody cancelled it. To do, if its result is wanted after all: {AGAIN}."


def _done(facts: Facts, now: datetime) -> Iterator[str]:
    run = facts.run
    took = f" after {_duration((run.finished - run.started).total_seconds())}" if run.started and run.finished else ""
    yield f"It is done{took}."


_NEWER: dict[RunState, str] = {
    "queued": "it waits to start",
    "running": "it is running",
    "failed": "it failed",
    "cancelled": "it was cancelled",
}


def _around(facts: Facts) -> Iterator[str]:
    standing = facts.standing
    if standing.newest is not None:
        number, state = standing.newest
        told = f"run {number} of the same file and function is newer"
        yield f"It is superseded: {told}." if state == "done" else f"{told.capitalize()}; {_NEWER[state]}."
    elif standing.versions > 1:
        most = "at least " if standing.versions >= MOST_VERSIONS else ""
        yield f"It is the newest of {most}{standing.versions:,} runs of this file and function."
    if facts.standing.removed:
        yield "The file was removed since it arrived."
    if facts.function is not None and facts.function.mistake:
        yield f"A newer version of the function is not in force: {facts.function.mistake[:LONGEST]}"


def _error(run: Run) -> str:
    told = f"{run.error.type}: {run.error.message[:LONGEST]}" if run.error else ""
    return told if told.endswith((".", "!", "?")) else f"{told}."


def _runs_of(number: int) -> str:
    return f"{number:,} {'run' if number == 1 else 'runs'}"


def _duration(seconds: float) -> str:
    """How long, in words.

    >>> [_duration(n) for n in (0.03, 7.24, 75, 300, 7200)]
    ['30 ms', '7.2 s', '75 s', '5 min', '2 h']
    """
    if seconds < 1:
        return f"{max(1, round(seconds * 1000))} ms"
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 10 and seconds % 1 >= 0.05 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.0f} h"
