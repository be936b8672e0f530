"""Why a run is in its state, in sentences."""

from datetime import UTC, datetime, timedelta

import pytest

from beamhub.catalog.records import FileRef, Function, Run, RunError
from beamhub.processing.explanation import Facts, Standing, explain
from beamhub.processing.rules import Verdict

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
FILE = FileRef(id=1, name="a.nxs", path="red/scan1/a.nxs", storage="beamline", size=3, time=NOW)
TAKES = Verdict("sums", True, "the path matches */*/*.nxs")
NOTHING = Standing()
OWN = ("total.py:9 in total: frame = file[key]", "/usr/lib/h5py/group.py:1 in get: raise")


def function(**more) -> Function:
    told = {"name": "total", "title": "Sum", "version": "1", "digest": "new", "timeout_s": 60, "memory_bytes": 1}
    return Function(**told | more)


def error(kind: str, type: str = "KeyError", message: str = "'x'", traceback=OWN) -> RunError:
    return RunError(kind=kind, type=type, message=message, traceback=list(traceback))


def told(state: str, standing: Standing = NOTHING, verdict=TAKES, function_=None, **more) -> str:
    known = {"id": 7, "seq": 1, "proposal": "red", "state": state, "cause": "automatic", "file": FILE, "rule": "sums"}
    run = Run(**known | {"function": "total", "queued": NOW, "digest": "new"} | more)
    return "\n".join(explain(Facts(run, standing, verdict, function_ or function()), NOW))


@pytest.mark.parametrize(
    ("verdict", "more", "says"),
    [
        (TAKES, {}, "The rule sums took the file: the path matches */*/*.nxs."),
        (None, {}, "The rule sums took the file when it arrived; there is no such rule any more."),
        (Verdict("sums", False, "the path does not match x"), {}, "it would not now: the path does not match x."),
        (TAKES, {"cause": "requested", "requested_by": "ada"}, "ada asked for this run (of rule sums)."),
    ],
    ids=["taken", "rule is gone", "rule was changed", "asked for"],
)
def test_which_rule_took_the_file_comes_first(verdict, more, says):
    assert says in told("queued", verdict=verdict, **more).splitlines()[0]


@pytest.mark.parametrize(
    ("standing", "more", "says"),
    [
        (Standing(), {}, "Nothing waits before it; it starts as soon as a worker is free."),
        (Standing(1, 1), {}, "1 run of red waits before it."),
        (Standing(0, 2), {}, "It is the next of its proposal; proposals take turns, so that up to 2 runs altogether"),
        (Standing(12, 1015), {}, "12 runs of red wait before it; proposals take turns, so that up to 1,015 runs"),
        (Standing(10_000, 10_000), {}, "At least 10,000 runs of red wait before it."),
        (Standing(3, 3, paused=True), {}, "the rule sums is paused. To do: ask the beamline's staff"),
        (Standing(3, 3, paused=True), {"cause": "requested"}, "3 runs of red wait before it"),
    ],
    ids=["nothing", "one", "turns", "many", "most", "paused", "asked for though paused"],
)
def test_a_waiting_run_says_what_waits_before_it_or_what_holds_it_back(standing, more, says):
    assert says in told("queued", standing, **more)


@pytest.mark.parametrize(
    ("standing", "says"),
    [
        (Standing(versions=2, newest=(8, "done")), "superseded: run 8 of the same file and function is newer."),
        (Standing(versions=2, newest=(8, "failed")), "Run 8 of the same file and function is newer; it failed."),
        (Standing(versions=3), "It is the newest of 3 runs of this file and function."),
        (Standing(versions=1000), "It is the newest of at least 1,000 runs of this file and function."),
    ],
)
def test_of_several_runs_of_a_file_each_says_whether_it_is_the_newest(standing, says):
    assert says in told("done", standing)
    assert "newe" not in told("done")


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (
            {"error": error("transient", "OSError", "disk full")},
            "Attempt 2 failed: OSError: disk full. That is no fault",
        ),
        ({"error": error("data")}, "Attempt 2 failed: KeyError: 'x'. Perhaps the file was not complete yet."),
        ({}, "The service ended while it was running."),
    ],
    ids=["transient", "data", "lost"],
)
def test_a_run_that_is_tried_again_says_why_and_when(more, says):
    found = told("queued", attempts=2, next_try=NOW + timedelta(seconds=45), **more)
    assert says in found
    assert "It is tried again in 45 s." in found


def test_a_run_that_takes_far_longer_than_others_says_so_and_when_it_is_ended():
    late = told("running", Standing(mean_s=2.0), started=NOW - timedelta(seconds=30), where="node7")
    assert "It has been running for 30 s on node7." in late
    assert "took 2 s on average" in late
    assert "far longer than usual; it is ended when it has taken 60 s" in late
    assert "cancel it" in late
    assert "longer than usual" not in told("running", Standing(mean_s=2.0), started=NOW - timedelta(seconds=3))


def test_a_run_that_is_being_cancelled_says_so():
    assert "ends within seconds" in told("running", Standing(cancelling=True), started=NOW)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (
            {"error": error("code")},
            ["The function itself is wrong: KeyError: 'x'.", "own line: total.py:9", "show the line"],
        ),
        ({"error": error("data")}, ["The file is not what the function needs", "look at the file"]),
        ({"error": error("resource"), "quarantined": True}, ["too much memory", "it is held", "button below"]),
        ({"error": error("resource")}, ["timeout or memory"]),
        ({"error": error("transient")}, ["each time that it was tried", "beamline's staff"]),
        ({"error": error("code", "UnknownFunction", "no totl", ())}, ["the function's name mended in the rule"]),
        ({"error": error("data"), "standing": Standing(removed=True)}, ["bring the file back", "was removed since"]),
        ({"error": error("code"), "digest": "old"}, ["The function has been changed since this run."]),
        ({"error": error("code"), "log_tail": "frame 1\nframe 2\n"}, ["The last that it printed: frame 2"]),
        ({"error": error("code"), "function_": function(mistake="a.py:3: oops")}, ["not in force: a.py:3: oops"]),
    ],
    ids=["code", "data", "held", "resource", "transient", "no function", "removed", "changed", "log", "mistake"],
)
def test_a_failed_run_says_whose_fault_it_is_and_what_to_do(more, says):
    found = told("failed", **more)
    assert all(part in found for part in says), found
    assert "To do:" in found


def test_no_line_of_a_library_is_shown_as_the_functions_own():
    assert "own line" not in told("failed", error=error("code", traceback=OWN[1:]))


@pytest.mark.parametrize(
    ("state", "says"), [("cancelled", "Somebody cancelled it."), ("done", "It is done after 2 s.")]
)
def test_every_state_has_its_sentence(state, says):
    assert says in told(state, started=NOW, finished=NOW + timedelta(seconds=2))
