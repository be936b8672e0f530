"""The one stream of changes: shared by all pages, gone without them, resumed where it was lost."""

import asyncio
import logging

import pytest

from beamhub.catalog import changes
from beamhub.server_extension import upstream as module
from beamhub.server_extension.service import ProcessingService
from beamhub.server_extension.upstream import Upstream

RED, BLUE, ALL = frozenset({"red"}), frozenset({"blue"}), frozenset()


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    """What takes seconds in earnest takes hundredths here."""
    monkeypatch.setattr(changes, "WAITS_S", (0.01,))
    monkeypatch.setattr(module, "REFUSED_S", 0.02)


@pytest.fixture
async def upstream(service):
    following = Upstream(service, logging.getLogger("tests"))
    yield following
    await following.close()


async def told(listener, number=1, within=5.0):
    async with asyncio.timeout(within):
        return [await listener.queue.get() for _ in range(number)]


async def live(listener):
    """Wait until the stream stands; all that was told on the way."""
    found = await told(listener)
    while not (found[-1][0] == "status" and found[-1][1]["live"]):
        found += await told(listener)
    return found


async def becomes(condition, within=5.0):
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_pages_share_one_stream_and_each_hears_what_it_watches(upstream, fake):
    async with upstream.listening(RED) as red, upstream.listening(BLUE) as blue, upstream.listening(ALL) as all_:
        for page in (red, blue, all_):
            await live(page)
        assert len(fake.streams) == 1
        await fake.change("red", 1)
        await fake.change("blue", 2)
        assert [data["id"] for _, data in await told(red)] == [1]
        assert [data["id"] for _, data in await told(blue)] == [2]
        assert [data["id"] for _, data in await told(all_, 2)] == [1, 2]


async def test_without_pages_there_is_no_stream(upstream, fake):
    for _ in range(3):
        async with upstream.listening(RED) as page:
            await live(page)
        await becomes(lambda: not fake.streams)


async def test_a_later_page_is_not_told_live_before_the_stream_stands_again(upstream, fake):
    async with upstream.listening(RED) as page:
        await live(page)
    async with upstream.listening(RED) as page:
        (_, first), *_ = await live(page)
        assert (first["live"], first["message"]) == (False, module.CONNECTING)


async def test_nothing_is_told_while_nothing_changes(upstream, fake):
    async with upstream.listening(RED) as page:
        await live(page)
        for stream in fake.streams:
            await stream.say(":\n\n:\n\nid: 10\n\n")
        with pytest.raises(TimeoutError):
            await told(page, within=0.2)


async def test_a_lost_stream_goes_on_where_it_was_and_says_so(upstream, fake):
    async with upstream.listening(RED) as page:
        await live(page)
        seq = await fake.change("red")
        await told(page)
        fake.lose()
        first, second = await told(page, 2)
        assert (first[0], first[1]["live"], second[1]["live"]) == ("status", False, True)
        assert [asked.get("Last-Event-Id") for asked in fake.requests("changes")] == [None, str(seq)]


async def test_a_silent_stream_is_made_anew(upstream, fake, monkeypatch):
    monkeypatch.setattr(changes, "SILENCE_S", 0.2)
    async with upstream.listening(RED) as page:
        await live(page)
        fake.mute = True
        (_, status), *_ = await told(page)
        assert status["live"] is False
        await becomes(lambda: len(fake.requests("changes")) >= 2)
        await becomes(lambda: len(fake.streams) == 1)


async def test_a_gap_that_the_service_tells_of_is_passed_on_to_all(upstream, fake):
    async with upstream.listening(RED) as red, upstream.listening(BLUE) as blue:
        for page in (red, blue):
            await live(page)
        for stream in fake.streams:
            await stream.say('event: reset\nid: 3\ndata: {"seq": 3}\n\n')
        assert await told(red) == await told(blue) == [("reset", {"seq": 3})]


async def test_the_first_page_is_told_of_all_since_what_it_shows(upstream, fake):
    async with upstream.listening(RED, last=7) as page:
        await live(page)
        assert fake.requests("changes")[0]["Last-Event-Id"] == "7"


async def test_a_page_that_comes_later_gets_what_it_missed_out_of_memory(upstream, fake):
    async with upstream.listening(RED, last=10) as first:
        await live(first)
        seen = await fake.change("red", 1)
        await fake.change("blue", 2)
        await fake.change("red", 3)
        await told(first, 2)
        async with upstream.listening(RED, last=seen) as second:
            (_, status), (event, data) = await told(second, 2)
            assert (status["live"], event, data["id"]) == (True, "change", 3)
            assert second.queue.empty()
        assert len(fake.requests("changes")) == 1


async def test_a_page_that_asked_for_its_rows_a_moment_ago_misses_nothing(upstream, fake, monkeypatch):
    async with upstream.listening(RED) as first:
        await live(first)
        await fake.change("red", 1)
        await fake.change("blue", 2)
        await told(first)
        await becomes(lambda: upstream._last == fake.head)
        async with upstream.listening(RED) as second:
            assert [data.get("id") for _, data in await told(second, 2)] == [None, 1]
            assert second.queue.empty()
        monkeypatch.setattr(module, "JUST_NOW_S", 0.0)
        async with upstream.listening(RED) as third:
            assert third.queue.qsize() == 1


async def test_a_page_that_missed_more_than_is_remembered_asks_again(upstream, fake, monkeypatch):
    monkeypatch.setattr(module, "REMEMBERED", 2)
    async with upstream.listening(ALL, last=10) as first:
        await live(first)
        for number in range(4):
            await fake.change("red", number)
        await told(first, 4)
        for last, expected in ((11, ["reset"]), (12, ["change", "change"]), (14, [])):
            async with upstream.listening(RED, last=last) as page:
                assert [event for event, _ in await told(page, 1 + len(expected))][1:] == expected
                assert page.queue.empty()


async def test_a_page_that_reads_too_slowly_asks_again(upstream, fake, monkeypatch):
    monkeypatch.setattr(module, "FULL", 3)
    async with upstream.listening(ALL) as page:
        await live(page)
        for number in range(5):
            await fake.change("red", number)
        await becomes(lambda: upstream._last == fake.head)
        assert [event for event, _ in await told(page, 2)] == ["reset", "change"]


@pytest.mark.promise("access")
async def test_a_refusal_is_told_to_the_page_and_once_in_the_log(upstream, fake, caplog):
    fake.refuse("changes", 403, "the token lacks the scope custom:beamhub:read")
    async with upstream.listening(RED) as page:
        status = (await told(page, 2))[-1][1]
        assert (status["live"], status["message"]) == (False, "the token lacks the scope custom:beamhub:read")
        await becomes(lambda: len(fake.requests("changes")) > 2)
        assert [record.levelname for record in caplog.records if "lacks the scope" in record.message] == ["ERROR"]
        assert fake.token not in caplog.text
        assert upstream.refused
        fake.answers.clear()
        await live(page)
        assert not upstream.refused


async def test_without_a_service_the_page_is_told_so():
    upstream = Upstream(ProcessingService("", ""), logging.getLogger("tests"))
    async with upstream.listening(RED) as page:
        status = (await told(page, 2))[-1][1]
        assert status["live"] is False
        assert "BeamHub Hub" in status["message"]


async def test_whatever_answers_in_the_services_place_is_never_live(upstream, fake):
    for code, headers in ((502, {}), (302, {"Location": "/hub/login"}), (200, {"Content-Type": "text/html"})):
        fake.answers["changes"] = (code, b"<html>", headers)
        async with upstream.listening(RED) as page:
            await becomes(lambda: len(fake.requests("changes")) > 1)
            assert not upstream.status["live"]
            assert [data["live"] for _, data in await told(page, 2)] == [False, False]
            assert page.queue.empty()
        fake.asked.clear()
    assert all(path == "changes" for _, path, _, _ in fake.asked)
