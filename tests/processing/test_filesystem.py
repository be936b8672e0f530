import asyncio
import contextlib

import pytest

from beamhub.processing.sources.filesystem import FilesystemSource


@contextlib.asynccontextmanager
async def watching(root, told, settle=0.2):
    """Watch a folder; ``told`` gets the paths of complete files."""

    async def sink(events, position=None):
        told.extend(event.path for event in events if event.kind == "closed")
        return []

    task = asyncio.create_task(FilesystemSource("watched", "beamline", "beamline", root, settle).run(sink))
    await asyncio.sleep(0.3)
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def until(condition, within_s=5.0):
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110  # what is waited for is in a list
            await asyncio.sleep(0.02)


@pytest.mark.filterwarnings("ignore:Callback with id")  # watchdog's own, when a folder is made and watched at once
async def test_files_of_folders_that_are_as_new_as_they_are_told_once(tmp_path):
    told = []
    async with watching(tmp_path, told):
        for number in range(50):
            path = tmp_path / f"proposal{number}/scan1/a.nxs"
            path.parent.mkdir(parents=True)
            path.write_text("x")
        await until(lambda: len(set(told)) == 50)
        await asyncio.sleep(0.5)
    assert len(told) == 50
