"""Which runs are handed out, and when, on both databases."""

import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from services.measurements import NO_OUTPUT, NOON, again, arrive, claim, every, fail, finish, states

from beamhub.processing import schema
from beamhub.processing.store import Store


def test_a_run_is_handed_to_one_of_two_claimers_only(store):
    arrive(store, *(f"red/{number}.nxs" for number in range(20)))
    claims, start = [], threading.Barrier(4)

    def work() -> None:
        start.wait()
        for _ in range(5):
            claims.extend(store.claim(1))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.run for one in claims) == [run.id for run in every(store, "red")]
    assert states(store, "red") == {"running": 20}


@pytest.mark.postgres
def test_two_services_on_one_database_get_different_runs(postgres_server):
    with postgres_server.database() as url:
        one, other = Store.open(url), Store.open(url)
        arrive(one, *(f"red/{number}.nxs" for number in range(4)))
        with one.writing() as transaction:
            first = [row.id for row in transaction.execute(schema.run.select().with_for_update().limit(2))]
            assert {claim.run for claim in other.claim(4)}.isdisjoint(first)
        one.close()
        other.close()


def test_a_claim_says_all_that_is_needed_for_the_execution(store):
    (number,) = arrive(store, "red/s/a.nxs")
    (mine,) = store.claim(5)
    assert (mine.run, mine.attempt, mine.proposal, mine.path) == (number, 1, "red", "red/s/a.nxs")
    assert (mine.storage, mine.function, mine.digest, mine.rule) == ("beamline", "radial_function", "digest", "radial")
    assert mine.parameters == {"bins": 7}
    assert store.run(number).state == "running"
    assert store.claim(5) == []


def test_the_oldest_run_comes_first(store):
    numbers = arrive(store, "red/c.nxs", "red/a.nxs", "red/b.nxs")
    assert [one.run for one in store.claim(2)] == numbers[:2]


@pytest.mark.promise("load")
@pytest.mark.parametrize("at_once", [1, 2, 5])
def test_a_proposal_with_few_runs_does_not_wait_for_another_ones_flood(store, at_once):
    arrive(store, *(f"flood/{number}.nxs" for number in range(10)))
    arrive(store, "small/1.nxs", "small/2.nxs")
    order = []
    while claims := store.claim(at_once):
        order += [one.proposal for one in claims]
    assert len(order) == 12
    assert order[:5].count("small") == 2


def test_a_run_waits_until_its_next_try_is_due_and_says_when_that_is(store):
    (number,) = arrive(store, "red/a.nxs")
    later = datetime.now(UTC) + timedelta(seconds=2)
    fail(store, *claim(store), at=later)
    assert store.claim(1) == []
    assert store.run(number).next_try == later
    while datetime.now(UTC) <= later:
        time.sleep(0.05)
    assert [one.attempt for one in store.claim(1)] == [2]
    assert store.run(number).next_try is None


def test_a_claim_counts_earlier_ends_for_bad_data_of_the_run_and_for_want_of_resources_of_the_file(store):
    radial, sector = arrive(store, "red/a.nxs", rules=("radial", "sector"))
    first, second = claim(store, radial, sector)
    fail(store, first, replace(NO_OUTPUT, kind="data"), at=NOON)
    fail(store, second, replace(NO_OUTPUT, kind="resource"))
    (mine,) = store.claim(5)
    assert (mine.run, mine.data_failures, mine.resource_failures) == (radial, 1, 1)


def test_a_paused_rules_runs_wait_and_files_are_taken_in_all_the_same(store):
    store.pause("radial", True)
    arrive(store, "red/a.nxs", rules=("radial", "sector"))
    assert [one.rule for one in store.claim(5)] == ["sector"]
    assert store.paused() == {"radial"}
    store.pause("radial", False)
    assert [one.rule for one in store.claim(5)] == ["radial"]


def test_what_somebody_asked_for_runs_although_its_rule_is_paused(store):
    (number,) = arrive(store, "red/a.nxs")
    finish(store, number)
    store.pause("radial", True)
    asked = store.request("key", "body", "alice", [number], again)
    assert [one.run for one in store.claim(5)] == asked
