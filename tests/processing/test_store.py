"""The store's own promises, the same on both databases: counters, the feed, readers beside writers."""

import asyncio
import threading
import time
from datetime import UTC, datetime, timedelta

from services.measurements import arrival, arrive, fail, publish, states
from sqlalchemy import update

from beamhub.processing import queries, schema
from beamhub.processing.store import Store
from beamhub.processing.transaction import Transaction


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
