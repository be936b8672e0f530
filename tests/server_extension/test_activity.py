"""Kernels that compute are use of a server, whichever way their manager lists them."""

import asyncio
import contextlib
from datetime import UTC, datetime

import pytest

from beamhub.server_extension import activity

BUSY, IDLE = [{"execution_state": "idle"}, {"execution_state": "busy"}], [{"execution_state": "idle"}, {}]


async def listed_later(kernels):
    return kernels


async def watched(monkeypatch, answers: list) -> dict:
    """The settings after so many looks; an answer that is an exception is raised."""
    monkeypatch.setattr(activity, "LOOK_S", 0.0)
    settings, every = {}, asyncio.Event()

    def kernels():
        answer = answers.pop(0)
        if not answers:
            every.set()
            answers.append(IDLE)
        if isinstance(answer, Exception):
            raise answer
        return answer

    task = asyncio.create_task(activity.watch(settings, kernels))
    await asyncio.wait_for(every.wait(), 10)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return settings


@pytest.mark.parametrize("how", [lambda kernels: kernels, listed_later], ids=["at once", "later, as of a gateway"])
async def test_a_kernel_that_computes_is_use_and_one_that_waits_is_none(monkeypatch, how):
    begin = datetime.now(UTC)
    settings = await watched(monkeypatch, [how(BUSY), IDLE])
    assert begin <= settings[activity.SETTING] <= datetime.now(UTC)
    assert await watched(monkeypatch, [how(IDLE), IDLE]) == {}


async def test_kernels_that_cannot_be_listed_are_looked_at_again(monkeypatch, caplog):
    assert activity.SETTING in await watched(monkeypatch, [OSError("the gateway is away"), BUSY, IDLE])
    assert "could not be looked at" in caplog.text
