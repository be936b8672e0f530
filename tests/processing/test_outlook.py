"""What those that wait can expect."""

import pytest
from services.measurements import arrive, fail, publish

from beamhub.processing import outlook
from beamhub.processing.query import RunQuery

RED = RunQuery(("red",))
SECOND = 1_000_000


def end(store, number: int) -> None:
    """The oldest runs are handed out and end well."""
    for mine in store.claim(number):
        publish(store, mine)


def test_nothing_waits_so_nothing_is_expected(store):
    assert store.count(RED).seconds is None
    arrive(store, "red/1.nxs")
    end(store, 1)
    assert store.count(RED).seconds is None


def test_those_that_wait_are_told_how_long_at_the_pace_of_those_before_them(store, monkeypatch):
    arrive(store, *(f"red/{number}.nxs" for number in range(13)))
    began = store.runs(RED).items[-1].queued.timestamp()
    end(store, 3)
    monkeypatch.setattr(outlook, "now", lambda: int((began + 60) * SECOND))
    assert store.count(RED).states == {"done": 3, "queued": 10}
    assert store.count(RED).seconds == pytest.approx(200, rel=0.02)


def test_before_three_have_ended_nothing_is_said(store):
    arrive(store, *(f"red/{number}.nxs" for number in range(5)))
    end(store, 2)
    assert store.count(RED).seconds is None


def test_another_proposals_pace_is_not_mine(store):
    arrive(store, *(f"blue/{number}.nxs" for number in range(5)))
    end(store, 4)
    arrive(store, "red/1.nxs")
    assert store.count(RED).seconds is None


def test_runs_of_a_paused_rule_are_held_back_and_nothing_is_expected_of_them(store):
    arrive(store, *(f"red/{number}.nxs" for number in range(5)))
    store.pause("radial", True)
    assert (store.count(RED).held, store.count(RED).seconds) == (5, None)
    store.pause("radial", False)
    assert store.count(RED).held == 0


def test_only_what_waits_is_held_back(store):
    arrive(store, *(f"red/{number}.nxs" for number in range(3)))
    for mine in store.claim(1):
        fail(store, mine)
    store.claim(1)
    store.pause("radial", True)
    assert store.count(RED).held == 1


@pytest.mark.parametrize(
    ("ends", "seconds"),
    [
        pytest.param([9, 6, 3], 1000, id="few: since the oldest came"),
        pytest.param([10 - n / 10 for n in range(outlook.NEWEST)], 30, id="many: the newest alone"),
        pytest.param([3, 6], None, id="too few"),
        pytest.param([], None, id="none"),
    ],
)
def test_the_pace_is_that_of_the_newest_ends(ends, seconds):
    found = outlook.at_this_pace(300, 0, [int(end * SECOND) for end in ends], 10 * SECOND)
    assert found == (seconds if seconds is None else pytest.approx(seconds, rel=0.01))


def test_a_clock_that_was_set_back_promises_nothing():
    assert outlook.at_this_pace(300, 20 * SECOND, [30 * SECOND] * 5, 10 * SECOND) is None
