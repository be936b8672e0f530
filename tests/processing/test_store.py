"""The store's promises, the same on both databases."""

import asyncio
import random
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from services.measurements import NO_OUTPUT, NOON, arrival, arrive, claim, every, fail, finish, publish
from sqlalchemy import create_engine, func, insert, inspect, select, update

from beamhub.catalog.records import Scalar
from beamhub.processing import progress, queries, retries, schema
from beamhub.processing.event import LONGEST_PATH, Position
from beamhub.processing.lifecycle import MAX_LOG, NotPossible, OtherRequest
from beamhub.processing.migrate import OtherVersion
from beamhub.processing.query import Condition, Range, RunQuery
from beamhub.processing.store import Store
from beamhub.processing.transaction import Transaction
from beamhub.processing.work import Outcome, PlannedRun

AS_IN_VERSION_3 = (
    "DROP TABLE parameter_set",
    "DROP INDEX run_by_parameters",
    "ALTER TABLE run DROP COLUMN parameter_set",
)


def states(store: Store, *proposals: str) -> dict[str, int]:
    return {state: n for state, n in store.count(RunQuery(proposals)).states.items() if n}


def again(run) -> PlannedRun:
    return PlannedRun(run.rule, run.function, {"bins": 9}, "digest2", "2")


# Opening


def test_the_schema_that_the_steps_make_is_the_one_in_the_code(store):
    def differs(context, _inspected, _column, made, written) -> bool:
        return made.compile(context.dialect) != written.compile(context.dialect)

    with store.reading() as connection:
        others = {"sqlite": {"run_by_queued", "run_by_text"}, "postgresql": {"run_by_words"}}[connection.dialect.name]
        elsewhere = lambda _thing, name, *_: name not in others  # noqa: E731
        context = MigrationContext.configure(connection, opts={"compare_type": differs, "include_object": elsewhere})
        assert others.isdisjoint(index["name"] for index in inspect(connection).get_indexes("run"))
        assert compare_metadata(context, schema.metadata) == []


def test_a_store_is_opened_again_with_all_that_it_held(store, store_url):
    (number,) = arrive(store, "red/a.nxs")
    store.close()
    with_all = Store.open(store_url)
    assert with_all.run(number).state == "queued"
    with_all.close()


def test_a_store_of_a_version_that_is_not_known_is_refused_with_a_sentence(store, store_url):
    with store.writing() as transaction:
        transaction.connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'tomorrow'")
    with pytest.raises(OtherVersion, match=r"made by another version of BeamHub .*tomorrow.*use that version"):
        Store.open(store_url)


def test_a_store_of_the_first_version_is_brought_up_to_date_with_its_runs(store, store_url):
    (number,) = arrive(store, "red/a.nxs", columns={"sample": "LaB6"})
    publish(store, claim(store)[0], Rg=2.0)
    (number,) = arrive(store, "red/b.nxs", columns={"sample": None})
    store.request("key", "body", "alice", [number], again)
    before, counted = store.headings(("red",)), store.count(RunQuery(("red",), rule="radial"))
    with store.writing() as transaction:
        for statement in (
            "DROP TABLE identity",
            *AS_IN_VERSION_3,
            "UPDATE counter SET n = 0",
            "INSERT INTO scalar (run, name, proposal, value) SELECT max(id), 'Rg', 'red', NULL FROM run",
            "DROP TABLE cell",
            "DROP TABLE heading",
            "ALTER TABLE run DROP COLUMN losses",
            "ALTER TABLE run DROP COLUMN transient_failures",
            "UPDATE alembic_version SET version_num = '1'",
        ):
            transaction.connection.exec_driver_sql(statement)
    store.close()
    opened = Store.open(store_url)
    assert opened.count(RunQuery(("red",), rule="radial")) == counted
    of_parameter = Condition("bins", frozenset({"parameter"}), Range(9.0, 9.0, True), "9")
    assert [run.parameters for run in opened.runs(RunQuery(("red",), conditions=(of_parameter,))).items] == [
        {"bins": 9}
    ]
    claim(opened)
    opened.recover()
    assert opened.run(number).state == "queued"
    assert opened.identity()
    for sort in ("column:sample", "scalar:Rg"):
        found = opened.runs(RunQuery(("red",), sort=sort)).items
        assert [run.file.name for run in found] == ["a.nxs", "b.nxs", "b.nxs"]
    assert opened.headings(("red",)) == before
    assert kept_counts(opened) == {("scalar", "Rg"): 1, ("column", "sample"): 1}
    opened.close()


def kept_counts(store) -> dict[tuple[str, str], int]:
    """How many runs have a number or a column, as it is kept, and as it is."""
    with store.reading() as connection:
        rows = connection.execute(select(schema.heading).where(schema.heading.c.kind != "parameter")).all()
        kept = {(row.kind, row.name): row.n for row in rows}
        tables = {"scalar": schema.scalar, "column": schema.cell}
        for kind, name in kept:
            counted = select(func.count()).where(tables[kind].c.name == name)
            assert connection.execute(counted).scalar_one() == kept[kind, name]
    return kept


def test_how_many_runs_have_a_number_is_kept_with_each_that_gets_or_loses_one(store):
    first, second = arrive(store, "red/a.nxs", columns={"sample": "LaB6"}), arrive(store, "red/b.nxs")
    assert kept_counts(store) == {("column", "sample"): 1}
    for mine in claim(store):
        publish(store, mine, Rg=2.0, chi2=float("nan"))
    assert kept_counts(store) == {("column", "sample"): 1, ("scalar", "Rg"): 2, ("scalar", "chi2"): 0}
    store.request("key", "body", "alice", [*first, *second], again)
    for mine in claim(store):
        publish(store, mine, Rg=float("nan"), chi2=1.0)
    assert kept_counts(store)["scalar", "chi2"] == 2


def test_bringing_a_large_store_up_to_date_says_how_far_it_is(store, store_url, caplog, monkeypatch):
    (first,) = arrive(store, "red/a.nxs", columns={"sample": "LaB6"})
    with store.writing() as transaction:
        for table, other in ((schema.file, {"file_id": str}), (schema.run, {"file": int})):
            row = dict(transaction.connection.execute(select(table)).mappings().one())
            also = [
                {"id": n, **{name: kind(n) for name, kind in other.items()}} for n in range(first + 1, first + 7000)
            ]
            transaction.connection.execute(insert(table), [row | one for one in also])
        of_version_2 = ("DROP TABLE cell", "DROP TABLE heading", "UPDATE alembic_version SET version_num = '2'")
        for statement in (*AS_IN_VERSION_3, *of_version_2):
            transaction.connection.exec_driver_sql(statement)
    store.close()
    monkeypatch.setattr(progress, "EACH_S", 0.0)
    with caplog.at_level("INFO", "beamhub.processing.progress"):
        Store.open(store_url).close()
    said = [line for line in caplog.messages if "cells of runs:" in line]
    assert said == ["adding cells of runs: 5,000 of 7,000", "adding cells of runs: 7,000 of 7,000"]


@pytest.mark.postgres
def test_text_is_found_by_an_index_and_where_it_cannot_be_made_the_store_opens_and_says_what_to_do(
    postgres_server, caplog
):
    with postgres_server.database("template0") as url:
        owner = create_engine(url)
        with owner.begin() as connection:
            connection.exec_driver_sql("DROP ROLE IF EXISTS plain")
            connection.exec_driver_sql("CREATE ROLE plain LOGIN")
            connection.exec_driver_sql("GRANT CREATE, USAGE ON SCHEMA public TO plain")
        owner.dispose()
        store = Store.open(url.replace("test@", "plain@"))
        assert [
            one
            for one in caplog.messages
            if "permission denied" in one and "CREATE EXTENSION IF NOT EXISTS pg_trgm" in one
        ]
        (number,) = arrive(store, "red/a.nxs")
        assert [one.id for one in store.runs(RunQuery(("red",), text="a.nxs")).items] == [number]
        store.close()
    with postgres_server.database() as url:
        opened = create_engine(url)
        indexes = {index["name"]: index["dialect_options"] for index in inspect(opened).get_indexes("run")}
        assert indexes["run_by_text"]["postgresql_using"] == "gin"
        opened.dispose()


def test_a_store_keeps_its_name_and_another_one_has_another(store, store_url, tmp_path):
    again, other = Store.open(store_url), Store.open(f"sqlite:///{tmp_path}/other.db")
    assert store.identity() == again.identity() != other.identity()
    for opened in (again, other):
        opened.close()


@pytest.mark.postgres
def test_two_that_open_an_empty_database_at_one_time_make_one_schema(postgres_server):
    opened = []
    with postgres_server.database("template0") as url:
        threads = [threading.Thread(target=lambda: opened.append(Store.open(url))) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [store.head() for store in opened] == [0, 0]
        for store in opened:
            store.close()


# Intake


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


# Claims


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


# Ends


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


# What people ask for


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


# Counters, sequence and feed


def test_the_counters_are_right_after_everything_that_can_happen(store):
    done, failed, tried, cancelled, _running, queued = arrive(store, *(f"red/{number}.nxs" for number in range(6)))
    store.cancel(cancelled)
    with store.writing() as transaction:
        transaction.execute(update(schema.run).where(schema.run.c.id == queued).values(due=2**62))
    claims = {one.run: one for one in store.claim(10)}
    publish(store, claims[done])
    fail(store, claims[failed])
    fail(store, claims[tried], at=datetime.now(UTC) + timedelta(hours=1))
    assert states(store, "red") == {"done": 1, "failed": 1, "queued": 2, "cancelled": 1, "running": 1}
    store.recover()
    assert states(store, "red") == {"done": 1, "failed": 1, "queued": 3, "cancelled": 1}


def test_the_proposals_come_with_their_numbers(store):
    assert store.proposals() == []
    arrive(store, "red/a.nxs", "red/b.nxs", rules=("radial", "sector"))
    arrive(store, "blue/a.nxs", rules=())
    blue, red = store.proposals()
    assert (blue.name, blue.files, blue.runs) == ("blue", 1, 0)
    assert (red.name, red.files, red.runs) == ("red", 2, 4)
    assert red.last < blue.last


def test_every_change_of_a_run_is_in_the_feed_once_at_its_newest_place(store):
    first, second = arrive(store, "red/a.nxs", "red/b.nxs")
    start = store.head()
    (mine,) = store.claim(1)
    publish(store, mine)
    assert [(change.kind, change.id) for change in store.changes(["red"], start)] == [("run", first)]
    assert store.run(second).seq <= start < store.run(first).seq == store.head()


def test_the_feed_tells_of_the_asked_proposals_only(store):
    arrive(store, "red/a.nxs")
    arrive(store, "blue/a.nxs")
    assert {change.proposal for change in store.changes(["red"], 0)} == {"red"}
    assert {change.proposal for change in store.changes(None, 0)} == {"red", "blue"}
    assert store.changes([], 0) == []


def test_a_transactions_changes_are_told_together_also_above_the_limit(store):
    store.intake([arrival(f"red/{number}.nxs", "radial") for number in range(5)])
    store.intake([arrival(f"red/{number}.nxs", "radial") for number in range(5, 8)])
    first = store.changes(["red"], 0, limit=2)
    assert [change.seq for change in first] == [1] * 10
    assert [change.seq for change in store.changes(["red"], 1, limit=2)] == [2] * 6


def test_reading_the_feed_in_small_parts_tells_of_everything(store):
    for number in range(12):
        arrive(store, f"red/{number}.nxs", rules=("radial",) * (number % 3))
    told, after = [], 0
    while part := store.changes(["red"], after, limit=2):
        told, after = told + part, part[-1].seq
    assert told == store.changes(["red"], 0)


def test_numbers_are_in_commit_order_while_another_writer_is_slow_to_commit(store, store_url):
    """With numbers from a plain sequence the slow one's lower number would appear after the fast one's."""
    other, numbered = Store.open(store_url), threading.Event()

    def slowly() -> None:
        with other._engine.begin() as connection:
            transaction = Transaction(connection)
            transaction.touch_file(transaction.insert_new(schema.file, file_row("slow")))
            transaction.finish()
            numbered.set()
            time.sleep(0.3)

    thread = threading.Thread(target=slowly)
    thread.start()
    numbered.wait()
    store.intake([arrival("red/fast.nxs")])
    first = store.changes(["red"], 0)
    thread.join()
    other.close()
    assert [change.seq for change in first] == [1, 2]
    assert [change.id for change in first] == [store.find_files(path)[0].id for path in ("slow", "red/fast.nxs")]


def test_numbers_never_appear_below_what_a_reader_saw(store, store_url):
    others = [Store.open(store_url) for _ in range(2)]
    told, after, ready = [], 0, threading.Event()

    def write(one: Store, name: str) -> None:
        for number in range(15):
            one.intake([arrival(f"red/{name}{number}.nxs")])

    threads = [threading.Thread(target=write, args=(one, str(n))) for n, one in enumerate(others)]
    for thread in threads:
        thread.start()
    while not ready.is_set():
        if not any(thread.is_alive() for thread in threads):
            ready.set()  # and look once more
        for change in store.changes(["red"], after):
            told.append(change.id)
            after = change.seq
    for one in others:
        one.close()
    assert len(told) == len(set(told)) == 30


def test_listeners_hear_of_each_commit_that_changed_something_until_they_leave(store):
    heard = []
    leave = store.on_commit(heard.append)
    arrive(store, "red/a.nxs")
    arrive(store, "red/a.nxs")
    leave()
    arrive(store, "red/b.nxs")
    assert heard == [1]


def test_a_listener_that_fails_does_not_make_the_write_look_failed(store):
    def fails(head: int) -> None:
        raise RuntimeError("the loop is closed")

    store.on_commit(fails)
    assert len(arrive(store, "red/a.nxs")) == 1


async def test_readers_do_not_wait_for_a_write_that_takes_long(store):
    inside, go_on = threading.Event(), threading.Event()

    def intake() -> None:
        with store.writing():
            inside.set()
            go_on.wait(5)

    writes = [asyncio.create_task(store.call(intake)) for _ in range(6)]
    await asyncio.to_thread(inside.wait, 5)
    assert await asyncio.wait_for(store.call(store.head), 2) == 0
    go_on.set()
    await asyncio.gather(*writes)


def file_row(path: str) -> dict:
    text = dict.fromkeys(("storage", "source", "instance"), "x") | {"columns": "{}", "raw": "{}", "kind": "closed"}
    numbers = dict.fromkeys(("seq", "size", "time", "arrived"), 0)
    return text | numbers | {"proposal": "red", "file_id": path, "path": path}


def test_who_reads_sees_one_state_and_writes_nothing_and_who_writes_afterwards_can(store):
    for _ in range(3):  # connections are used again
        with store.reading() as connection:
            before = queries.head(connection)
            arrive(store, f"red/{before}.nxs")
            assert queries.head(connection) == before
            if connection.dialect.name == "postgresql":
                modes = [connection.exec_driver_sql(f"SHOW transaction_{one}") for one in ("isolation", "read_only")]
                assert [mode.scalar_one() for mode in modes] == ["repeatable read", "on"]
        assert store.head() == before + 1
        with store.writing() as transaction:
            if transaction.connection.dialect.name == "postgresql":
                mode = transaction.connection.exec_driver_sql("SHOW transaction_isolation").scalar_one()
                assert mode == "read committed"
