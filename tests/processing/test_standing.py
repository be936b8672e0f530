"""What waits before a run, on both databases."""

from dataclasses import replace

from services.measurements import arrival, arrive, claim, finish

from beamhub.processing import means, standing
from beamhub.processing.explanation import Standing
from beamhub.processing.work import PlannedRun


def test_runs_of_the_same_proposal_wait_before_it_and_others_take_turns(store):
    red = arrive(store, *(f"red/{number}.nxs" for number in range(4)))
    arrive(store, *(f"blue/{number}.nxs" for number in range(9)))
    arrive(store, "green/1.nxs")
    # before the third of red: two of red, at most three of blue, the one of green
    assert store.standing(red[2]) == Standing(ahead=2, altogether=6)


def test_what_a_paused_rule_holds_back_is_before_nobody(store):
    store.intake([arrival("red/1.nxs", "radial"), arrival("red/2.nxs", "powder")])
    (mine,) = [run.id for run in store.file(2).runs]
    assert store.standing(mine).ahead == 1
    store.pause("radial", True)
    assert (store.standing(mine).ahead, store.standing(mine).paused) == (0, False)
    store.pause("powder", True)
    assert store.standing(mine).paused


def test_a_running_run_knows_how_long_others_took_and_whether_it_is_cancelled(store):
    first, second = arrive(store, "red/1.nxs", "red/2.nxs")
    finish(store, first)
    found = store.standing(second)
    assert 0 < found.mean_s < 60
    assert not found.cancelling
    store.cancel(second)
    assert store.standing(second).cancelling


def test_that_a_file_was_removed_is_known(store):
    (mine,) = arrive(store, "red/1.nxs")
    store.intake([arrival("red/1.nxs", kind="removed")])
    assert store.standing(mine).removed
    assert store.standing(mine + 100) == Standing()


def test_which_run_of_a_file_and_function_is_the_newest_is_known_also_where_the_file_was_written_anew(store):
    (alone,) = arrive(store, "red/2.nxs", rules=("powder",))
    old, other = arrive(store, "red/1.nxs", rules=("radial", "powder"))
    assert (store.standing(old).versions, store.standing(old).newest) == (1, None)
    (new,) = arrive(store, "red/1.nxs", version="2")
    assert store.standing(old).newest == (new, "queued")
    claim(store)
    assert store.standing(old).newest == (new, "running")
    assert (store.standing(new).versions, store.standing(new).newest) == (2, None)
    assert store.standing(other).versions == store.standing(alone).versions == 1


def test_a_run_of_another_rule_that_has_the_same_function_is_no_newer_version(store):
    once, arrived = "averages", arrival("red/1.nxs")
    planned = [PlannedRun(rule, once, {"bins": bins}) for rule, bins in (("fine", 100), ("coarse", 7))]
    store.intake([replace(arrived, runs=tuple(planned))])
    fine, coarse = (run.id for run in store.file(1).runs)
    for mine in (fine, coarse):
        assert (store.standing(mine).versions, store.standing(mine).newest) == (1, None)
    (again,) = store.request("key", "body", "alice", [fine], lambda _: PlannedRun("fine", once, {"bins": 9}))
    assert store.standing(fine).newest == (again, "queued")
    assert store.standing(coarse).newest is None
    (of_none,) = store.request("other", "body", "alice", [fine], lambda _: PlannedRun("", once, {}))
    assert (store.standing(of_none).versions, store.standing(again).newest) == (1, None)


def test_of_a_file_that_is_written_again_and_again_the_newest_versions_are_counted(store, monkeypatch):
    monkeypatch.setattr(standing, "MOST_VERSIONS", 3)
    runs = [arrive(store, "red/1.nxs", version=str(number))[0] for number in range(5)]
    assert (store.standing(runs[4]).versions, store.standing(runs[4]).newest) == (3, None)
    assert store.standing(runs[0]).newest == (runs[4], "queued")
    (again,) = store.request("k", "b", "alice", runs[:1], lambda run: PlannedRun(run.rule, run.function, {}))
    assert store.standing(again).newest is None  # its file is none of those, and none of theirs is newer


def test_new_runs_come_after_what_waits_and_take_turns_with_other_proposals(store, monkeypatch):
    monkeypatch.setattr(
        means, "mean_seconds", lambda _, name: {"radial_function": 2.0, "powder_function": 10.0}.get(name)
    )
    assert store.work_until("radial_function", 3, {"red"}) == 6
    assert store.work_until("slow_function", 3, {"red"}) is None
    arrive(store, "red/1.nxs", "red/2.nxs", rules=("powder",))
    assert store.work_until("radial_function", 3, {"red"}) == 2 * 10 + 6
    arrive(store, *(f"blue/{number}.nxs" for number in range(9)), rules=("slow",))  # of which nothing is known
    assert store.work_until("radial_function", 3, {"red"}) == 2 * 10 + 5 * 2 + 6
    assert store.work_until("radial_function", 3, {"red", "blue"}) == 2 * 10 + 9 * 2 + 6
    store.pause("powder", True)
    assert store.work_until("radial_function", 3, {"red"}) == 3 * 2 + 6


def test_the_newest_file_of_a_name_is_found_with_and_without_runs(store):
    arrive(store, "red/s/a.nxs", "red/t/a.nxs", "blue/u/a.nxs")
    store.intake([arrival("red/s/no_rule.nxs")])
    assert [file.path for file in store.find_named("a.nxs", ["red"])] == ["red/t/a.nxs"]
    assert [file.path for file in store.find_named("no_rule.nxs", ["red"])] == ["red/s/no_rule.nxs"]
    assert store.find_named("no_rule.nxs", ["blue"]) == []
    assert claim(store)
