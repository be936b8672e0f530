import asyncio
import re
import socket
import time

import pytest

from beamhub.spawner import moments
from beamhub.spawner.bringup import Bringup, obituary
from beamhub.spawner.errors import StartFailed
from beamhub.spawner.sites.site import Truth
from beamhub.spawner.testing import FakeServer, FakeSite


@pytest.fixture
def server() -> FakeServer:
    site = FakeSite()
    site.truths["job"] = Truth.ALIVE
    return site.child_class()(job="job")


def waiting(server: FakeServer, seconds: float = 60) -> Bringup:
    return Bringup(server, "the cluster", moments.now() + seconds)


async def speaking(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readline()
    writer.write(b"HTTP/1.0 404 Not Found\r\n\r\n")
    writer.close()


async def test_the_announcement_is_seen_at_once(server):
    bringup, urls = waiting(server), [""]
    task = asyncio.ensure_future(bringup.announcement(lambda: urls[-1]))
    await asyncio.sleep(0.01)
    urls.append("http://127.0.0.1:1")
    begun = time.monotonic()
    bringup.news()
    assert await task == "http://127.0.0.1:1"
    assert time.monotonic() - begun < 0.1


async def test_any_answer_in_http_is_one_and_what_only_listens_gives_none(server):
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.close()

    silent = await asyncio.start_server(mute, "127.0.0.1", 0)
    speaker = await asyncio.start_server(speaking, "127.0.0.1", 0)
    urls = [f"http://127.0.0.1:{one.sockets[0].getsockname()[1]}" for one in (silent, speaker)]
    async with silent, speaker:
        task = asyncio.ensure_future(waiting(server).answer(lambda: urls[0], "/"))
        await asyncio.sleep(0.2)
        assert not task.done()
        del urls[0]
        await asyncio.wait_for(task, 5)


async def test_an_answer_of_somebody_else_is_none_and_is_said_when_the_start_fails(server):
    server.own = False
    async with await asyncio.start_server(speaking, "127.0.0.1", 0) as speaker:
        port = speaker.sockets[0].getsockname()[1]
        task = asyncio.ensure_future(waiting(server).answer(lambda: f"http://127.0.0.1:{port}", "/"))
        await asyncio.sleep(0.2)
        assert not task.done()
        server.site.truths["job"] = Truth.DEAD
        said = f"Somebody else's program listens at port {port} of the cluster(.|\n)*ended while it was starting"
        with pytest.raises(StartFailed, match=said):
            await asyncio.wait_for(task, 5)


@pytest.mark.parametrize("before", [False, None], ids=["somebody else listened", "nobody listened any more"])
async def test_the_wait_goes_on_until_the_own_server_listens(server, before):
    server.own = before
    async with await asyncio.start_server(speaking, "127.0.0.1", 0) as speaker:
        port = speaker.sockets[0].getsockname()[1]
        task = asyncio.ensure_future(waiting(server).answer(lambda: f"http://127.0.0.1:{port}", "/"))
        await asyncio.sleep(0.2)
        assert not task.done()
        server.own = True
        await asyncio.wait_for(task, 5)


async def test_a_job_that_is_dead_ends_the_wait_with_its_last_lines(server):
    server.log_text = "no such module: numpy"
    bringup = waiting(server)
    task = asyncio.ensure_future(bringup.announcement(str))
    await asyncio.sleep(0.01)
    server.site.truths["job"] = Truth.DEAD
    bringup.news()
    with pytest.raises(StartFailed, match=r"ended while it was starting\. It ended with code 3(.|\n)*numpy"):
        await task


async def test_not_knowing_ends_no_wait_but_time_does(server):
    server.site.truths["job"] = Truth.UNKNOWN
    with pytest.raises(StartFailed, match="did not come up in time at the cluster") as failed:
        await waiting(server, seconds=0.6).announcement(str)
    assert "code" not in str(failed.value)


@pytest.mark.promise("batch system")
async def test_the_time_in_which_the_site_does_not_answer_is_not_the_starts(server, monkeypatch):
    monkeypatch.setattr(server.site, "truths", {"job": Truth.UNKNOWN})
    monkeypatch.setattr("beamhub.spawner.bringup.LOOK", 0.05)
    answers = False
    monkeypatch.setattr(type(server), "away", lambda _: not answers)
    task = asyncio.ensure_future(waiting(server, seconds=0.3).announcement(str))
    await asyncio.sleep(1)
    assert not task.done()
    answers = True
    with pytest.raises(StartFailed, match="did not come up in time"):
        await asyncio.wait_for(task, 5)


async def test_from_the_begin_of_the_job_its_start_timeout_counts(server, monkeypatch):
    monkeypatch.setattr(server.site, "config", server.site.config.model_copy(update={"start_timeout": 0.0}))
    monkeypatch.setattr(type(server), "began", lambda _: True)
    bringup = waiting(server)
    with pytest.raises(StartFailed, match="did not come up in time"):
        await asyncio.wait_for(bringup.announcement(lambda: ""), 5)


async def test_a_server_that_ran_before_the_hub_did_is_waited_for_as_long_as_was_said(server, monkeypatch):
    monkeypatch.setattr(server.site, "config", server.site.config.model_copy(update={"start_timeout": 0.0}))
    monkeypatch.setattr(type(server), "began", lambda _: True)
    bringup = waiting(server)
    bringup.began = True
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(bringup.announcement(lambda: ""), 1.2)


async def test_why_a_job_waits_is_said_when_it_changes(server, monkeypatch):
    reasons = iter(["other jobs come first"] * 2 + ["free nodes are waited for"] * 99)
    monkeypatch.setattr(type(server), "waiting", lambda _: next(reasons))
    monkeypatch.setattr("beamhub.spawner.bringup.LOOK", 0.01)
    bringup = waiting(server)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(bringup.announcement(lambda: ""), 0.2)
    assert [step.message for step in bringup.steps.steps[-2:]] == ["other jobs come first", "free nodes are waited for"]


async def test_where_a_server_was_not_reached_is_said_while_it_starts_and_when_it_failed(server):
    bringup = waiting(server, seconds=0.2)
    bringup.unreached("10.0.0.1, 10.0.0.2 port 20001")
    said = rf"Hub's computer \({socket.gethostname()}\) gets no answer from it at 10.0.0.1, 10.0.0.2 port 20001"
    assert re.search(said, bringup.steps.steps[-1].message)
    with pytest.raises(StartFailed, match=rf"{said}\. Show this to the operator\. .*did not come up in time"):
        await bringup.announcement(str)


async def test_without_a_log_nothing_is_said_of_it(server):
    assert await obituary(server, "It is late.") == "It is late."
