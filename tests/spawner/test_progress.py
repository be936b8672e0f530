import asyncio

from beamhub.spawner import progress
from beamhub.spawner.progress import Progress


async def followed(steps: Progress, count: int) -> list[str]:
    found = []
    async for step in steps.follow():
        found.append(step.message)
        if len(found) == count:
            break
    return found


async def test_who_comes_late_reads_everything_and_who_waits_each_new_step():
    steps = Progress()
    steps.say(20, "asked")
    early = asyncio.ensure_future(followed(steps, 3))
    await asyncio.sleep(0.01)
    steps.say(70, "there")
    assert await early == await followed(steps, 3) == ["Getting your server ready", "asked", "there"]


async def test_there_is_always_something_to_read(monkeypatch):
    monkeypatch.setattr(progress, "REMIND", 0.01)
    said = await followed(Progress(), 3)
    assert said[0] == "Getting your server ready"
    assert said[1].startswith("Getting your server ready (0 s so far)")
