import asyncio
import contextlib

from beamhub.processing.settings import Settings
from beamhub.processing.sources.running import RunningSources


def settings(folder, **sources):
    for name in ("one", "two"):
        (folder / name).mkdir(exist_ok=True)
    storages = {name: {"root": name, "layout": "{proposal}"} for name in ("one", "two")}
    watched = {name: {"kind": "filesystem", "storage": storage, "settle": 0.1} for name, storage in sources.items()}
    return Settings.model_validate({"storages": storages, "sources": watched}, context={"folder": folder})


async def test_sources_follow_the_settings(tmp_path):
    told = []

    async def sink(events, position=None):
        told.extend((event.source, event.path) for event in events)
        return []

    running = RunningSources(sink)
    async with contextlib.aclosing(_Closing(running)):
        await running.follow(settings(tmp_path, watched="one"))
        await arrives(tmp_path / "one/a.nxs", told, ("watched", "a.nxs"))
        await running.follow(settings(tmp_path, watched="two", other="one"))
        await arrives(tmp_path / "two/b.nxs", told, ("watched", "b.nxs"))
        await arrives(tmp_path / "one/c.nxs", told, ("other", "c.nxs"))
        await running.follow(settings(tmp_path))
        (tmp_path / "one/d.nxs").write_text("x")
        await asyncio.sleep(0.5)
    assert not any(path == "d.nxs" for _, path in told)
    assert ("watched", "c.nxs") not in told


class _Closing:
    def __init__(self, running):
        self.aclose = running.close


async def arrives(path, told, expected, within_s=5.0):
    await asyncio.sleep(0.2)
    path.write_text("x")
    async with asyncio.timeout(within_s):
        while expected not in told:  # noqa: ASYNC110  # what is waited for is in a list
            await asyncio.sleep(0.02)
