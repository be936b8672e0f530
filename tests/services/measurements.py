"""What happens to a store at a beamline, in few words: files arrive, runs are claimed and end."""

from datetime import UTC, datetime
from typing import Any

from beamhub.catalog.records import Run, Scalar
from beamhub.processing.event import FileEvent
from beamhub.processing.query import RunQuery
from beamhub.processing.store import Store
from beamhub.processing.work import Arrival, Claim, Failure, Outcome, PlannedRun, Retry

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
NO_OUTPUT = Failure("code", "NoOutput", "nothing was written", ("line 7, in average",), "it began", "node1")


def arrival(path: str, *rules: str, version: str = "1", kind: str = "closed", **more: Any) -> Arrival:
    """A file of the proposal that its first folder names, and the runs of some rules (each its own function)."""
    file_id = f"{path}|{version}" if kind == "closed" else ""
    event = FileEvent("watched", "demo", file_id, "beamline", path, 3, NOON, kind)  # type: ignore[arg-type]
    runs = tuple(PlannedRun(rule, f"{rule}_function", {"bins": 7}, "digest", "1") for rule in rules)
    return Arrival(event, path.partition("/")[0], more.get("columns", {}), runs)


def arrive(store: Store, *paths: str, rules: tuple[str, ...] = ("radial",), **more: Any) -> list[int]:
    """Files become complete, one after another; the ids of their runs."""
    before = {run.id for run in every(store, *{path.partition("/")[0] for path in paths})}
    for path in paths:
        store.intake([arrival(path, *rules, **more)])
    return sorted({run.id for run in every(store, *{path.partition("/")[0] for path in paths})} - before)


def claim(store: Store, *numbers: int) -> list[Claim]:
    """Have all runs claimed; those of these numbers, or all."""
    claims = {one.run: one for one in store.claim(1000)}
    return [claims[number] for number in numbers] if numbers else list(claims.values())


def finish(store: Store, number: int, **scalars: float) -> None:
    """Have a queued run claimed (with all others) and published."""
    (mine,) = claim(store, number)
    publish(store, mine, **scalars)


def publish(store: Store, mine: Claim, **scalars: float) -> bool:
    outcome = Outcome({name: Scalar(value=value) for name, value in scalars.items()}, "out.nxs", "preview.png")
    return store.publish(mine.run, mine.attempt, outcome, f"{mine.proposal}/{mine.run}/{mine.attempt}")


def fail(store: Store, mine: Claim, failure: Failure = NO_OUTPUT, **retry: Any) -> bool:
    return store.fail(mine.run, mine.attempt, failure, Retry(retry.pop("at", None), **retry))


def every(store: Store, *proposals: str) -> list[Run]:
    return store.runs(RunQuery(proposals, sort="queued", limit=500)).items if proposals else []


def states(store: Store, *proposals: str) -> dict[str, int]:
    """How many runs are in each state that any is in."""
    return {state: n for state, n in store.count(RunQuery(proposals)).states.items() if n}


def again(run: Run) -> PlannedRun:
    """The same once more, by another version and with other parameters."""
    return PlannedRun(run.rule, run.function, {"bins": 9}, "digest2", "2")
