"""Making a store, opening it again, and bringing an older one up to date, on both databases."""

import threading

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from services.measurements import again, arrive, claim, publish
from sqlalchemy import create_engine, func, insert, inspect, select

from beamhub.processing import progress, schema
from beamhub.processing.migrate import OtherVersion
from beamhub.processing.query import Condition, Range, RunQuery
from beamhub.processing.store import Store

AS_IN_VERSION_3 = (
    "DROP TABLE parameter_set",
    "DROP INDEX run_by_parameters",
    "ALTER TABLE run DROP COLUMN parameter_set",
)


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
