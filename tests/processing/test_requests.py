"""What people ask of runs: to be cancelled, released, done again; on both databases."""

import threading
import time
from dataclasses import replace

import pytest
from services.measurements import NO_OUTPUT, again, arrive, claim, every, fail, finish, publish

from beamhub.processing.lifecycle import NotPossible, OtherRequest
from beamhub.processing.store import Store


def test_a_queued_run_is_cancelled_at_once(store):
    (number,) = arrive(store, "red/a.nxs")
    store.cancel(number)
    assert store.run(number).state == "cancelled"
    assert store.claim(1) == []


@pytest.mark.parametrize("end", [publish, fail])
def test_a_running_run_is_cancelled_when_its_attempt_ends(store, end):
    (number,) = arrive(store, "red/a.nxs")
    (mine,) = claim(store)
    store.cancel(number)
    assert store.cancelled_running([number]) == {number}
    end(store, mine)
    assert store.run(number).state == "cancelled"
    assert store.cancelled_running([number]) == set()
    assert store.named_outputs() == set()


def test_a_cancelled_run_that_was_left_running_is_not_run_again(store):
    (number,) = arrive(store, "red/a.nxs")
    claim(store)
    store.cancel(number)
    store.recover()
    assert store.run(number).state == "cancelled"


@pytest.mark.parametrize("end", [publish, fail])
def test_a_run_that_has_ended_cannot_be_cancelled_and_the_refusal_says_its_state(store, end):
    (number,) = arrive(store, "red/a.nxs")
    end(store, *claim(store))
    with pytest.raises(NotPossible, match="only a queued or running run can be cancelled") as refusal:
        store.cancel(number)
    assert refusal.value.state == store.run(number).state


def test_a_quarantined_run_is_released_once_with_its_failures_forgotten(store):
    (number,) = arrive(store, "red/a.nxs")
    fail(store, *claim(store), replace(NO_OUTPUT, kind="resource"), quarantined=True)
    assert store.run(number).quarantined
    store.release(number)
    assert (store.run(number).state, store.run(number).quarantined, store.run(number).error) == ("queued", False, None)
    assert claim(store)[0].resource_failures == 0
    with pytest.raises(NotPossible, match="not in quarantine"):
        store.release(number)


@pytest.mark.parametrize("method", ["cancel", "release"])
def test_what_is_not_there_cannot_be_cancelled_or_released(store, method):
    with pytest.raises(NotPossible, match="there is no run 77"):
        getattr(store, method)(77)


def test_a_run_asked_for_again_is_a_new_one_with_its_own_cause(store):
    (number,) = arrive(store, "red/a.nxs")
    finish(store, number)
    (new,) = store.request("key", "body", "alice", [number], again)
    run = store.run(new)
    assert (run.cause, run.requested_by, run.parameters, run.version) == ("requested", "alice", {"bins": 9}, "2")
    assert run.file == store.run(number).file
    assert store.run(number).state == "done"


def test_the_same_key_gives_the_same_runs_and_another_key_new_ones(store):
    numbers = arrive(store, "red/a.nxs", "red/b.nxs")
    first = store.request("key", "body", "alice", numbers, again)
    assert store.request("key", "body", "alice", numbers, again) == first
    assert set(store.request("key2", "body", "alice", numbers, again)).isdisjoint(first)
    assert len(every(store, "red")) == 6


def test_two_repeats_of_one_request_at_one_time_make_its_runs_once(store, store_url):
    numbers = arrive(store, "red/a.nxs")
    other, answers = Store.open(store_url), []

    def slowly(run):
        time.sleep(0.1)
        return again(run)

    threads = [
        threading.Thread(target=lambda one=one: answers.append(one.request("key", "b", "alice", numbers, slowly)))
        for one in (store, other)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert answers[0] == answers[1]
    assert len(every(store, "red")) == 2


def test_a_key_that_was_used_for_something_else_is_refused(store):
    numbers = arrive(store, "red/a.nxs")
    store.request("key", "body", "alice", numbers, again)
    with pytest.raises(OtherRequest, match="make a new key"):
        store.request("key", "other body", "alice", numbers, again)


def test_two_runs_of_one_file_asked_for_in_one_request_run_once_with_the_same_rule_and_function(store):
    (number,) = arrive(store, "red/a.nxs")
    second = store.request("key", "body", "alice", [number], again)
    assert len(store.request("key2", "body", "alice", [number, *second], again)) == 1
