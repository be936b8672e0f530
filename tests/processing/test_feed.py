import asyncio

import pytest
from services.api import Bench
from sqlalchemy.exc import OperationalError

from beamhub.processing.feed import Feed


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


async def test_what_changes_in_quick_succession_is_told_together(bench):
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
