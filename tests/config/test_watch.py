import asyncio
import contextlib
import os

import pytest
from pydantic import BaseModel

from beamhub.config.watch import watch


class Model(BaseModel):
    number: int


@pytest.fixture
async def watched(tmp_path):
    """A watched file, and what was told of it."""
    path, told = tmp_path / "file.yaml", asyncio.Queue()
    path.write_text("number: 1")
    task = asyncio.create_task(
        watch(
            path, Model, lambda d: told.put_nowait(d.value.number), lambda m: told.put_nowait(str(m)), 0.01, "number: 1"
        )
    )
    yield path, told
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def watched_from(path, known, within_s):
    """What is told first, in this time, by a watch that begins with an older text in force."""
    told = asyncio.Queue()
    task = asyncio.create_task(
        watch(path, Model, lambda d: told.put_nowait(d.value.number), lambda m: told.put_nowait(str(m)), 0.01, known)
    )
    try:
        return await asyncio.wait_for(told.get(), within_s)
    except TimeoutError:
        return None
    finally:
        task.cancel()


async def next_of(told):
    return await asyncio.wait_for(told.get(), 5)


def replace(path, text):
    """As editors and configuration management do."""
    path.with_suffix(".new").write_text(text)
    os.replace(path.with_suffix(".new"), path)


async def test_a_right_change_is_taken(watched):
    path, told = watched
    replace(path, "number: 2")
    assert await next_of(told) == 2


@pytest.mark.promise("bad input")
async def test_a_wrong_change_is_told_once_and_the_next_right_one_is_taken(watched):
    path, told = watched
    replace(path, "number: two")
    assert "file.yaml:1: 'two' should be a whole number @ number" in await next_of(told)
    await asyncio.sleep(0.05)
    assert told.empty()
    replace(path, "number: 3")
    assert await next_of(told) == 3


async def test_a_file_that_is_gone_is_told_and_taken_when_it_is_back(watched):
    path, told = watched
    path.unlink()
    assert "there is no such file" in await next_of(told)
    path.write_text("number: 4")
    while (found := await next_of(told)) != 4:  # it may have been read while it was written
        assert "file.yaml" in found


async def test_what_did_not_change_is_not_told(watched):
    _, told = watched
    await asyncio.sleep(0.05)
    assert told.empty()


@pytest.mark.parametrize(
    ("now", "first"), [("number: 1", None), ("number: 5", 5), ("number: x", "'x' should be"), (None, "no such file")]
)
async def test_what_changed_before_watching_began_is_told(tmp_path, now, first):
    path = tmp_path / "file.yaml"
    if now is not None:
        path.write_text(now)
    found = await watched_from(path, "number: 1", 0.5 if first is None else 20)
    assert found == first or str(first) in str(found)
