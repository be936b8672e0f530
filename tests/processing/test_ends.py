"""What becomes of a run that ended, or was lost, on both databases."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from services.measurements import NO_OUTPUT, NOON, arrive, claim, every, fail, finish, publish, states

from beamhub.catalog.records import Scalar
from beamhub.processing import retries
from beamhub.processing.lifecycle import MAX_LOG
from beamhub.processing.work import Outcome


def test_an_outcome_becomes_the_runs_result(store):
    (number,) = arrive(store, "red/a.nxs")
    (mine,) = claim(store)
    scalars = {"Rg": Scalar(value=3.5, unit="nm")}
    outcome = Outcome(scalars, "o.nxs", "p.png", "plot.json", (1.0, None), "it ran", "node1")
    assert store.publish(number, mine.attempt, outcome, "red/1/1")
    run = store.run(number)
    assert (run.state, run.scalars, run.has, run.where) == ("done", scalars, ["file", "preview", "plot"], "node1")
    assert (run.sparkline, run.log_tail) == ([1.0, None], "it ran")
    assert run.started <= run.finished
    assert store.named_outputs() == {"red/1/1"}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")], ids=str)
def test_a_scalar_that_is_not_finite_is_stored_as_none_with_the_reason(store, value):
    (number,) = arrive(store, "red/a.nxs")
    (mine,) = claim(store)
    assert store.publish(number, mine.attempt, Outcome({"chi2": Scalar(value=value)}, "o.nxs", sparkline=(value,)), "f")
    run = store.run(number)
    assert run.scalars["chi2"] == Scalar(value=None, reason="not a number" if value != value else "infinite")
    assert run.sparkline == [None]


def test_only_the_attempt_in_force_publishes_or_fails(store):
    (number,) = arrive(store, "red/a.nxs")
    (late,) = claim(store)
    store.lost([number])
    (mine,) = claim(store)
    assert (late.attempt, mine.attempt) == (1, 2)
    assert not publish(store, late)
    assert not fail(store, late)
    assert publish(store, mine)
    assert not publish(store, mine)
    assert not fail(store, mine)
    assert store.run(number).state == "done"
    assert store.named_outputs() == {f"red/{number}/2"}


def test_a_failure_tells_who_can_mend_it_with_the_users_lines_in_the_full_answer_only(store):
    (number,) = arrive(store, "red/a.nxs")
    fail(store, *claim(store))
    listed, full = every(store, "red")[0], store.run(number)
    assert (listed.state, listed.error.kind, listed.error.type) == ("failed", "code", "NoOutput")
    assert (listed.error.traceback, full.error.traceback) == ([], ["line 7, in average"])
    assert (listed.log_tail, full.log_tail, full.where) == ("", "it began", "node1")


def test_of_a_long_log_the_end_is_kept(store):
    (number,) = arrive(store, "red/a.nxs")
    fail(store, *claim(store), replace(NO_OUTPUT, log_tail="x" * 2 * MAX_LOG + "the end"))
    assert len(store.run(number).log_tail) == MAX_LOG
    assert store.run(number).log_tail.endswith("the end")


def test_a_success_after_a_failure_leaves_no_error(store):
    (number,) = arrive(store, "red/a.nxs")
    fail(store, *claim(store), at=NOON)
    assert store.run(number).error.type == "NoOutput"
    finish(store, number)
    assert store.run(number).error is None


def test_at_the_start_what_was_left_running_is_queued_again_in_its_old_place(store):
    first, second = arrive(store, "red/a.nxs", "red/b.nxs")
    assert store.claim(1)[0].run == first
    store.recover()
    assert states(store, "red") == {"queued": 2}
    assert [(one.run, one.attempt) for one in store.claim(2)] == [(first, 2), (second, 1)]


def test_a_run_with_which_the_service_ended_eight_times_is_held_in_quarantine_until_it_is_released(store, monkeypatch):
    (number,) = arrive(store, "red/a.nxs")
    monkeypatch.setattr(retries, "LOSS_WAITS_S", (0.0,) * len(retries.LOSS_WAITS_S))
    for _ in range(7):
        claim(store, number)
        store.recover()
        assert states(store, "red") == {"queued": 1}
    claim(store, number)
    store.recover()
    run = store.run(number)
    assert (run.quarantined, run.error.kind, run.error.type) == (True, "resource", "ServiceEnded")
    store.release(number)
    claim(store, number)
    store.recover()
    assert states(store, "red") == {"queued": 1}


def test_a_run_that_was_lost_often_lets_others_go_first(store):
    number, other = arrive(store, "red/a.nxs", "red/b.nxs")
    for _ in range(2):
        claim(store, number)
        store.recover()
    claim(store, number)
    store.lost([other])
    store.recover()
    assert [one.run for one in store.claim(2)] == [other]


@pytest.mark.promise("kills of the service")
def test_a_run_that_was_only_beside_one_that_ends_the_service_is_done_and_that_one_is_held_in_quarantine(
    store, monkeypatch
):
    poisonous, *_ = arrive(store, "red/a.nxs", "red/b.nxs", "red/c.nxs")
    monkeypatch.setattr(retries, "LOSS_WAITS_S", (0.0,) * len(retries.LOSS_WAITS_S))
    for _ in range(20):
        for mine in store.claim(2):
            if mine.run == poisonous:
                break
            publish(store, mine)
        else:
            continue
        store.recover()
    runs = {run.id: run for run in every(store, "red")}
    assert runs.pop(poisonous).quarantined
    assert {run.state for run in runs.values()} == {"done"}


def test_while_a_run_is_tried_alone_nothing_else_is_handed_out(store, monkeypatch):
    alone, other = arrive(store, "red/a.nxs", "blue/b.nxs")
    monkeypatch.setattr(retries, "LOSS_WAITS_S", (0.0,) * 2)
    for _ in range(2):
        claim(store)
        store.recover()
    (first,) = store.claim(10)
    assert store.claim(10) == []
    publish(store, first)
    (second,) = store.claim(10)
    assert {first.run, second.run} == {alone, other}


def test_a_run_that_is_tried_alone_gets_its_turn_though_others_always_have_more(store, monkeypatch):
    (alone,) = arrive(store, "red/a.nxs")
    monkeypatch.setattr(retries, "LOSS_WAITS_S", (0.0,) * 2)
    for _ in range(2):
        claim(store)
        store.recover()
    (mine,) = store.claim(1)
    assert mine.run == alone
    arrive(store, *(f"blue/{number}.nxs" for number in range(9)))
    fail(store, mine, replace(NO_OUTPUT, kind="transient"), at=(due := datetime.now(UTC) + timedelta(seconds=2)))
    running, handed_out = store.claim(1), []
    while datetime.now(UTC) <= due:
        time.sleep(0.05)
    for _ in range(6):
        more = store.claim(2)  # before the one that runs came to its end, as under load
        handed_out += [one.run for one in more]
        for one in running:
            publish(store, one)
        running = more
    assert alone in handed_out


def test_what_was_given_up_in_good_order_was_not_lost(store):
    (number,) = arrive(store, "red/a.nxs")
    for _ in range(len(retries.LOSS_WAITS_S) + 2):
        claim(store, number)
        store.lost([number])
    assert store.run(number).state == "queued"


def test_losses_and_attempts_use_up_no_transient_failures(store):
    (number,) = arrive(store, "red/a.nxs")
    for _ in range(2):
        claim(store, number)
        store.recover()
    fail(store, *claim(store), replace(NO_OUTPUT, kind="transient"), at=NOON)
    (mine,) = claim(store)
    assert (mine.attempt, mine.transient_failures) == (4, 1)
