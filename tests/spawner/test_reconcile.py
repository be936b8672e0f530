import asyncio
import contextlib

from beamhub.spawner import reconcile
from beamhub.spawner.sites.site import Truth
from beamhub.spawner.state import job_of
from beamhub.spawner.testing import FakeSite


def site(*jobs: str) -> FakeSite:
    found = FakeSite()
    found.truths.update(dict.fromkeys(jobs, Truth.ALIVE))
    return found


async def test_a_job_that_no_server_names_is_an_orphan():
    assert await reconcile.orphans(site("a", "b"), lambda: {"a", "c"}) == {"b"}


async def test_nothing_is_an_orphan_while_the_database_cannot_be_read():
    assert await reconcile.orphans(site("a", "b"), lambda: None) == set()


async def test_the_jobs_are_looked_at_before_the_names_are_read():
    """A server that starts between the two is named by what is read later."""
    names: set[str] = set()

    class Busy(FakeSite):
        async def jobs(self) -> set[str]:
            found = await super().jobs()
            names.add("new")
            self.truths["new"] = Truth.ALIVE
            return found

    assert await reconcile.orphans(Busy(), lambda: names) == set()


@contextlib.asynccontextmanager
async def looking(here, known):
    """Somebody looks again and again for orphans."""
    task = asyncio.create_task(reconcile.keep_clean(here, known, every=0.01))
    try:
        yield
    finally:
        task.cancel()


async def test_an_orphan_is_ended_when_it_was_seen_twice(monkeypatch):
    monkeypatch.setattr(reconcile, "SECOND_LOOK", 0.01)
    looks = iter([{"a"}, {"a", "b"}])  # "b" was named by the second look

    def known() -> set[str]:
        return next(looks, {"a", "b"})

    here = site("a", "b", "c")
    async with looking(here, known):
        while not here.removed:  # noqa: ASYNC110 - the test's own limit ends it
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.1)
    assert here.removed == ["c"]


async def test_a_site_that_fails_is_asked_again():
    class Failing(FakeSite):
        asked = 0

        async def jobs(self) -> set[str]:
            self.asked += 1
            raise OSError("the controller does not answer")

    here = Failing()
    async with looking(here, set):
        while here.asked < 3:  # noqa: ASYNC110 - the test's own limit ends it
            await asyncio.sleep(0.01)


def test_a_servers_state_names_its_job():
    assert job_of({"start": {"job": "bh-1"}}) == "bh-1"
    assert job_of({"kept": {}}) == job_of({}) == job_of(None) == ""
