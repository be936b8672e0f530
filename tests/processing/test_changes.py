import asyncio
import contextlib
import json
from pathlib import Path

import httpx
import pytest
from services.api import Bench, listening
from sqlalchemy.exc import OperationalError

from beamhub.config.mistakes import Mistake, Mistakes
from beamhub.processing.api import changes as module


@pytest.fixture
async def bench(tmp_path):
    made = Bench(tmp_path)
    await arrive(made, "red/scan1/first.nxs", "blue/scan1/first.nxs")
    async with listening(made):
        yield made
    made.store.close()


async def arrive(bench, *paths):
    await asyncio.to_thread(bench.arrive, *paths)


class Stream:
    """The events of one stream, as they come."""

    def __init__(self, response):
        self.response, self.blocks = response, response.aiter_text()
        self.rest = ""

    async def block(self):
        """One block; None when the stream has ended."""
        while "\n\n" not in self.rest:
            try:
                self.rest += await anext(self.blocks)
            except StopAsyncIteration:
                return None
        block, _, self.rest = self.rest.partition("\n\n")
        return block

    async def event(self, within_s=5.0):
        """Kind, id and data of the next event that is no sign of life."""
        async with asyncio.timeout(within_s):
            while (block := await self.block()) is not None:
                parts = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
                if "event" in parts:
                    return parts["event"], int(parts.get("id", -1)), json.loads(parts["data"])
        return None

    async def ended(self, within_s=5.0):
        while await self.event(within_s) is not None:
            pass
        return True


@contextlib.asynccontextmanager
async def stream(bench, who="alice", query="", **headers):
    async with bench.client(who, **headers) as client, client.stream("GET", "changes" + query) as response:
        assert response.status_code == 200, await response.aread()
        opened = Stream(response)
        assert await opened.block() == ":"
        yield opened


async def test_a_mistake_in_an_edited_configuration_and_its_end_are_told_at_once(bench):
    async with stream(bench) as opened:
        for wrong in (Mistakes(Path("processing.yaml"), [Mistake("wrong")]), None):
            bench.notice.put(wrong)
            assert await opened.event() == ("proposals", -1, {"proposals": ["red"]})


async def test_a_file_and_its_run_are_told_in_commit_order(bench):
    async with stream(bench) as opened:
        await arrive(bench, "red/scan1/a.nxs")
        told = [await opened.event(), await opened.event()]
    head = bench.store.head()
    assert [(kind, number, data["kind"]) for kind, number, data in told] == [
        ("change", head, "file"),
        ("change", head, "run"),
    ]
    assert told[1][2] == {"seq": head, "proposal": "red", "kind": "run", "id": 3}


async def test_other_peoples_proposals_are_not_told(bench):
    async with stream(bench) as opened:
        await arrive(bench, "blue/scan1/secret.nxs")
        await arrive(bench, "red/scan1/own.nxs")
        assert (await opened.event())[2]["proposal"] == "red"


async def test_only_the_proposals_asked_for_are_told(bench):
    bench.hub.tokens["both"] = bench.hub.tokens["alice"] | {"groups": ["red", "blue"]}
    async with stream(bench, "both", "?proposal=blue") as opened:
        await arrive(bench, "red/scan1/other.nxs")
        await arrive(bench, "blue/scan1/asked.nxs")
        assert (await opened.event())[2]["proposal"] == "blue"


async def test_a_stream_goes_on_where_another_ended(bench):
    before = bench.store.head()
    await arrive(bench, "red/scan1/missed.nxs")
    for header, query in (({"Last-Event-ID": str(before)}, ""), ({}, f"?after={before}")):
        async with stream(bench, query=query, **header) as opened:
            assert (await opened.event())[1] == before + 1


async def test_a_number_ahead_of_the_store_is_answered_by_reset(bench):
    async with stream(bench, **{"Last-Event-ID": "1000"}) as opened:
        head = bench.store.head()
        assert await opened.event() == ("reset", head, {"seq": head})
        await arrive(bench, "red/scan1/after.nxs")
        assert (await opened.event())[1] == head + 1


async def test_a_proposals_first_file_is_told_at_once(bench):
    bench.hub.tokens["fresh"] = bench.hub.tokens["alice"] | {"groups": ["green"]}
    async with stream(bench, "fresh", "?proposal=green") as opened:
        await arrive(bench, "green/scan1/first.nxs")
        assert await opened.event() == ("proposals", -1, {"proposals": ["green"]})
        assert (await opened.event())[2]["proposal"] == "green"


async def test_a_quiet_stream_shows_that_it_lives(bench, monkeypatch):
    monkeypatch.setattr(module, "ALIVE_S", 0.05)
    async with stream(bench) as opened:
        assert [await opened.block() for _ in range(3)] == [":"] * 3


@pytest.mark.promise("access")
async def test_a_lost_group_ends_its_hints(bench, monkeypatch):
    monkeypatch.setattr(module, "ALIVE_S", 0.05)
    async with stream(bench) as opened:
        bench.hub.tokens["alice"] = bench.hub.tokens["alice"] | {"groups": []}
        assert await opened.event() == ("proposals", -1, {"proposals": []})
        await arrive(bench, "red/scan1/secret.nxs")
        with pytest.raises(TimeoutError):
            await opened.event(within_s=0.5)


@pytest.mark.parametrize("lost", ["token", "scope"])
@pytest.mark.promise("access")
async def test_a_token_that_may_not_read_any_more_ends_the_stream(bench, monkeypatch, lost):
    monkeypatch.setattr(module, "ALIVE_S", 0.05)
    async with stream(bench) as opened:
        if lost == "token":
            del bench.hub.tokens["alice"]
        else:
            bench.hub.tokens["alice"] = bench.hub.tokens["alice"] | {"scopes": []}
        assert await opened.ended()


async def test_a_short_outage_of_the_hub_is_lived_through_and_a_long_one_is_not(bench, monkeypatch):
    monkeypatch.setattr(module, "ALIVE_S", 0.05)
    async with stream(bench) as opened:
        bench.hub.away = True
        await asyncio.sleep(0.2)
        await arrive(bench, "red/scan1/still.nxs")
        assert (await opened.event())[0] == "change"
        monkeypatch.setattr(module, "WITHOUT_HUB_S", 0.1)
        assert await opened.ended()


async def test_a_store_that_is_away_ends_the_stream_so_that_the_asker_comes_again(bench, monkeypatch):
    def away(*args):
        raise OperationalError("SELECT", {}, Exception("no connection"))

    async with stream(bench) as opened:
        monkeypatch.setattr(bench.store, "head", away)
        assert await opened.ended()


async def test_a_stream_that_was_left_is_given_up(bench):
    async with stream(bench):
        assert streams(bench) == 1
    async with asyncio.timeout(3):
        while streams(bench):  # noqa: ASYNC110  # the gauge tells nobody when it changes
            await asyncio.sleep(0.02)


def streams(bench):
    return bench.running.metrics._registry.get_sample_value("beamhub_streams")


async def test_many_changes_at_once_all_arrive_once(bench):
    async with stream(bench) as opened:
        await arrive(bench, *(f"red/scan1/{number}.nxs" for number in range(1200)))
        told = [(await opened.event())[2] for _ in range(2400)]
    assert len({(change["kind"], change["id"]) for change in told}) == 2400


async def test_a_proposal_of_others_is_not_found(bench):
    async with bench.client("alice") as client:
        answers = [await client.get("changes?proposal=blue"), await client.get("changes?proposal=nothing")]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert isinstance(answers[0], httpx.Response)
