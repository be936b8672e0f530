"""What an event of a source leaves in the store, on both databases."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from services.measurements import NO_OUTPUT, NOON, arrival, arrive, claim, every, fail, finish

from beamhub.processing.event import LONGEST_PATH, Position
from beamhub.processing.query import RunQuery


def test_an_event_seen_twice_makes_one_file_and_one_run_of_each_rule(store):
    assert len(store.intake([arrival("red/a.nxs", "radial", "sector")])) == 1
    head = store.head()
    assert store.intake([arrival("red/a.nxs", "radial", "sector"), arrival("red/a.nxs", "radial")]) == []
    assert [run.rule for run in every(store, "red")] == ["radial", "sector"]
    assert store.head() == head


def test_a_new_version_of_a_file_is_processed_and_the_old_one_stays(store):
    first, second = arrive(store, "red/a.nxs")[0], arrive(store, "red/a.nxs", version="2")[0]
    assert first != second
    assert [file.id for file in store.find_files("red/a.nxs")] == [store.run(n).file.id for n in (second, first)]


def test_the_position_moves_with_the_events_or_neither_does(store):
    store.intake([arrival("red/a.nxs")], Position("kafka", "7"))
    broken = replace(arrival("red/b.nxs"), columns={"sample": object()}, runs=(None,))
    with pytest.raises(AttributeError):
        store.intake([arrival("red/c.nxs", "radial"), broken], Position("kafka", "9"))
    assert store.position("kafka") == "7"
    assert store.proposals()[0].files == 1
    assert every(store, "red") == []


def test_a_source_that_was_never_read_has_no_position(store):
    assert store.position("kafka") is None


def test_a_file_that_is_removed_says_so_and_so_do_all_in_a_folder(store):
    files = store.intake([arrival(path) for path in ("red/a.nxs", "red/s/b.nxs", "red/s/t/c.nxs", "red/s0.nxs")])
    store.intake([arrival("red/a.nxs", kind="removed"), arrival("red/s", kind="removed")])
    assert [store.file(number).kind for number in files] == ["removed", "removed", "removed", "closed"]


def test_a_removal_told_twice_changes_nothing_more(store):
    store.intake([arrival("red/a.nxs")])
    store.intake([arrival("red/a.nxs", kind="removed")])
    head = store.head()
    store.intake([arrival("red/a.nxs", kind="removed"), arrival("red/never-seen.nxs", kind="removed")])
    assert store.head() == head


def test_a_removed_file_that_is_told_of_again_is_restored_and_not_processed_again(store):
    (number,) = store.intake([arrival("red/a.nxs", "radial")])
    store.intake([arrival("red/a.nxs", kind="removed")])
    assert store.known([("demo", "red/a.nxs|1")]) == set()
    store.intake([arrival("red/a.nxs", "radial")])
    assert store.file(number).kind == "restored"
    assert len(store.file(number).runs) == 1


@pytest.mark.parametrize("event", ["red/a.nxs", "red"], ids=["the file", "its folder"])
def test_a_file_that_comes_back_online_says_so_and_is_not_processed_again(store, event):
    (number,) = store.intake([arrival("red/a.nxs", "radial")])
    store.intake([arrival(event, kind="removed")])
    start = store.head()
    assert store.intake([arrival(event, "radial", kind="restored")]) == []
    assert store.file(number).kind == "restored"
    assert [(change.kind, change.id) for change in store.changes(["red"], start)] == [("file", number)]
    assert len(store.file(number).runs) == 1


def test_known_versions_are_told_from_new_ones(store):
    store.intake([arrival("red/a.nxs")])
    asked = [("demo", "red/a.nxs|1"), ("demo", "red/a.nxs|2"), ("other", "red/a.nxs|1")]
    assert store.known(asked) == {("demo", "red/a.nxs|1")}
    assert store.known([]) == set()


def test_times_come_back_as_they_were_in_utc(store):
    before = datetime.now(UTC)
    (number,) = arrive(store, "red/a.nxs")
    run = store.run(number)
    assert run.file.time == NOON
    assert run.file.time.utcoffset() == timedelta()
    assert before <= run.queued <= datetime.now(UTC)


def test_text_that_no_database_holds_keeps_nothing_from_being_stored(store):
    (number,) = arrive(store, "red/a\udcff\0.nxs", columns={"sample": "Ga\0As \ud800"})
    (mine,) = claim(store)
    told = replace(NO_OUTPUT, message="no \0 in \udcff", traceback=("\0",), log_tail="\ud800")
    assert fail(store, mine, told)
    run = store.run(number)
    assert (run.file.path, run.error.message, run.log_tail) == ("red/a\\xff\ufffd.nxs", "no \ufffd in \\xff", "?")


def test_text_in_any_script_comes_back_as_it_was_and_is_found(store):
    path, sample = "red/Übung_試料_🧪.nxs", "α-Fe₂O₃ 𝛼 👩‍🔬"
    (number,) = arrive(store, path, columns={"sample": sample})
    fail(store, *claim(store), replace(NO_OUTPUT, message=sample, log_tail="🧪"))
    run = store.run(number)
    assert (run.file.path, run.columns, run.error.message, run.log_tail) == (path, {"sample": sample}, sample, "🧪")
    for text in ("試料", "🧪", "ÜBUNG", "👩‍🔬"):
        assert [found.id for found in store.runs(RunQuery(("red",), text=text)).items] == [number], text


def unique_text(length: int) -> str:
    """Text that cannot be compressed, as an index would do."""
    chance = random.Random(length)  # noqa: S311
    return "".join(chance.choices("abcdefghijklmnopqrstuvwxyzäöü", k=length))


def test_ids_of_files_and_names_of_scalars_may_be_longer_than_an_index_holds(store):
    version = unique_text(8000)
    (number,) = arrive(store, "red/a.nxs", version=version)
    assert arrive(store, "red/a.nxs", version=version) == []
    assert store.known([("demo", f"red/a.nxs|{version}")]) == {("demo", f"red/a.nxs|{version}")}
    finish(store, number, **{unique_text(8000): 1.0, "a\0": 2.0, "a\ufffd": 3.0})
    assert [scalar.value for scalar in store.run(number).scalars.values()] == [1.0, 3.0]


def test_a_path_may_be_as_long_as_sources_tell(store):
    folders = "/".join(unique_text(180) for _ in range(9))
    path = f"red/{folders}/a.nxs"[: LONGEST_PATH // 2]
    (number,) = arrive(store, path)
    assert store.run(number).file.path == path
