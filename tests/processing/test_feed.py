import asyncio

import pytest
from services.api import Bench
from services.measurements import arrive
from sqlalchemy.exc import OperationalError

from beamhub.processing.feed import Feed
from beamhub.processing.store import Store


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path)
    yield made
    made.store.close()


def listen(feed, told, proposals=frozenset({"red"})):
    async def shown():
        return proposals

    async def listening():
        async for changes, seq in feed.changes(shown, 0):
            told.append((len(changes), seq))

    return asyncio.create_task(listening())


async def end(*tasks):
    for task in tasks:
        task.cancel()
    return await asyncio.gather(*tasks, return_exceptions=True)


async def until(condition, within_s=5.0):
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110  # what is waited for is in a list
            await asyncio.sleep(0.01)


async def test_many_listeners_look_at_the_store_once_and_all_are_told(bench, monkeypatch):
    looks, look = [], bench.store.head
    monkeypatch.setattr(bench.store, "head", lambda: looks.append(1) or look())
    feed, told = Feed(bench.store), [[] for _ in range(20)]
    tasks = [listen(feed, one) for one in told]
    await asyncio.sleep(1.5)
    assert len(looks) <= 3
    await asyncio.to_thread(bench.arrive, "red/scan1/a.nxs")
    await until(lambda: all(one == [(2, look())] for one in told))
    await end(*tasks)


async def test_what_changes_in_quick_succession_is_told_together(bench, monkeypatch):
    monkeypatch.setattr("beamhub.processing.feed.GAP_S", 0.5)
    told = []
    task = listen(Feed(bench.store), told)
    for number in range(20):
        await asyncio.to_thread(bench.arrive, f"red/scan1/{number}.nxs")
    await until(lambda: sum(count for count, _ in told) == 40)
    await end(task)
    assert len(told) < 20


async def test_every_listener_hears_that_the_store_is_away(bench, monkeypatch):
    def away():
        raise OperationalError("SELECT", {}, Exception("no connection"))

    feed = Feed(bench.store)
    tasks = [listen(feed, []) for _ in range(5)]
    await asyncio.sleep(0.1)
    monkeypatch.setattr(bench.store, "head", away)
    await asyncio.wait(tasks, timeout=5)
    assert all(isinstance(found, OperationalError) for found in await end(*tasks))


async def test_changes_come_in_commit_order_each_once_and_go_on_where_somebody_left(store):
    numbers = [await asyncio.to_thread(arrive, store, f"red/{number}.nxs") for number in range(3)]
    feed, told = Feed(store), []
    task = listen_to(feed, told, after=1)
    await until(lambda: len(told) == 4)
    await asyncio.to_thread(store.cancel, numbers[0][0])
    await until(lambda: len(told) == 5)
    await end(task)
    assert [change.seq for change in told] == sorted(change.seq for change in told)
    assert (told[-1].kind, told[-1].id, told[-1].seq) == ("run", numbers[0][0], store.head())


async def test_a_commit_wakes_a_listener_at_once(store, monkeypatch):
    monkeypatch.setattr("beamhub.processing.feed.LOOK_S", 60)
    told = []
    task = listen_to(Feed(store), told)
    await asyncio.sleep(0.3)
    await asyncio.to_thread(arrive, store, "red/a.nxs")
    await until(lambda: told, within_s=2)
    await end(task)


async def test_what_another_process_wrote_is_found_by_looking(store, store_url, monkeypatch):
    monkeypatch.setattr("beamhub.processing.feed.LOOK_S", 0.1)
    told, other = [], Store.open(store_url)
    task = listen_to(Feed(store), told)
    await asyncio.sleep(0.2)
    await asyncio.to_thread(arrive, other, "red/a.nxs")
    await until(lambda: told)
    await end(task)
    other.close()


async def test_more_than_one_batch_holds_is_told_without_a_gap(store, monkeypatch):
    monkeypatch.setattr("beamhub.processing.feed.LARGEST", 3)
    for number in range(10):
        await asyncio.to_thread(arrive, store, f"red/{number}.nxs")
    told = []
    task = listen_to(Feed(store), told)
    await until(lambda: len(told) == 20)
    await end(task)
    assert told == store.changes(["red"], 0)


async def test_of_a_proposal_that_may_not_be_seen_any_more_nothing_is_told(store):
    seen, told = {"red", "blue"}, []
    task = listen_to(Feed(store), told, seen=seen)
    await asyncio.to_thread(arrive, store, "blue/1.nxs")
    await until(lambda: len(told) == 2)
    seen.remove("blue")
    await asyncio.to_thread(arrive, store, "blue/2.nxs")
    await asyncio.to_thread(arrive, store, "red/1.nxs")
    await until(lambda: len(told) == 4)
    await end(task)
    assert [change.proposal for change in told] == ["blue", "blue", "red", "red"]


def listen_to(feed, told, after=0, seen=frozenset({"red"})):
    async def shown():
        return frozenset(seen)

    async def listening():
        async for changes, _ in feed.changes(shown, after):
            told.extend(changes)

    return asyncio.create_task(listening())
