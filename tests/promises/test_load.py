"""Many pages, many servers, one proposal's flood."""

import asyncio
import contextlib
import logging

import pytest
from services.api import READ, Bench, listening, user
from services.service import CONFIG, hub_api, processing
from services.workbench import wait_for

from beamhub.server_extension.service import ProcessingService
from beamhub.server_extension.upstream import Listener, Upstream

MANY = 50
FILES = 40
pytestmark = pytest.mark.promise("load")


@pytest.fixture
async def bench(tmp_path):
    made = Bench(tmp_path)
    for number in range(MANY):
        made.hub.tokens[f"token{number}"] = user(f"user{number}", [f"p{number}"], READ)
    await asyncio.to_thread(made.arrive, *(f"p{number}/scan1/first.nxs" for number in range(MANY)), "red/scan1/a.nxs")
    async with listening(made):
        yield made
    made.store.close()


@contextlib.asynccontextmanager
async def server(bench, token):
    """What a notebook server asks the service with."""
    service = ProcessingService(bench.url.removesuffix("api/v1/"), token)
    upstream = Upstream(service, logging.getLogger("tests"))
    try:
        yield upstream
    finally:
        await upstream.close()
        await service.close()


async def heard(page: Listener, number: int) -> list[tuple[str, str, int]]:
    """Proposal, kind and id of so many changes, in the order in which they came."""
    found = []
    async with asyncio.timeout(60):
        while len(found) < number:
            event, data = await page.queue.get()
            assert event in ("status", "change"), event
            if event == "change":
                found.append((data["proposal"], data["kind"], data["id"]))
    return found


async def live(page: Listener) -> None:
    async with asyncio.timeout(60):
        while not (told := await page.queue.get())[1].get("live"):
            assert told[0] == "status"


async def test_fifty_pages_of_one_user_hear_every_change_once_through_one_stream(bench):
    async with server(bench, "alice") as upstream, contextlib.AsyncExitStack() as stack:
        pages = [await stack.enter_async_context(upstream.listening(frozenset({"red"}))) for _ in range(MANY)]
        await asyncio.gather(*map(live, pages))
        assert bench.running.metrics._registry.get_sample_value("beamhub_streams") == 1
        await asyncio.to_thread(bench.arrive, *(f"red/scan2/{number}.nxs" for number in range(FILES)))
        every = await asyncio.gather(*(heard(page, 2 * FILES) for page in pages))
        assert all(set(one) == set(every[0]) and len(set(one)) == 2 * FILES for one in every)
        assert all(page.queue.empty() for page in pages)


async def test_fifty_users_servers_each_hear_their_own_changes_once_and_no_others(bench):
    async with contextlib.AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(server(bench, f"token{number}")) for number in range(MANY)]
        pages = [await stack.enter_async_context(one.listening(frozenset())) for one in servers]
        await asyncio.gather(*map(live, pages))
        assert bench.running.metrics._registry.get_sample_value("beamhub_streams") == MANY
        paths = [f"p{number}/scan2/{file}.nxs" for file in range(FILES // 4) for number in range(MANY)]
        await asyncio.to_thread(bench.arrive, *paths)
        for number, page in enumerate(pages):
            mine = await heard(page, FILES // 2)
            assert {proposal for proposal, _, _ in mine} == {f"p{number}"}
            assert len(set(mine)) == FILES // 2
        assert all(page.queue.empty() for page in pages)


@pytest.mark.timeout(180)
def test_a_paused_rule_stops_a_flood_at_once_and_what_was_held_back_is_done_when_it_goes_on(tmp_path):
    slow = CONFIG.replace("function: count}", "function: count, with: {wait: 0.5}}")
    with hub_api() as url, processing(tmp_path / "service", url, slow) as service:
        service.start()
        wait_for(lambda: service.logged("functions can run"), 60)
        for number in range(FILES):
            service.drop(f"{number:03}.raw")
        service.done(2)
        assert service.ask("rules/sizes/pause", "staff", "POST", json={"paused": True}).status_code == 200
        handed_out = {run["id"] for run in service.runs(limit=500) if run["state"] != "queued"}
        wait_for(lambda: not service.runs(state="running"), 30)
        count = service.ask("runs/count", params={"proposal": "red"}).json()
        assert {run["id"] for run in service.runs(limit=500) if run["state"] != "queued"} == handed_out
        assert (count["held"], count["states"]) == (
            FILES - len(handed_out),
            {"done": len(handed_out), "queued": FILES - len(handed_out)},
        )
        assert count["seconds"] is None
        service.ask("rules/sizes/pause", "staff", "POST", json={"paused": False})
        assert len(service.done(FILES, 90)) == FILES
        service.stop()
