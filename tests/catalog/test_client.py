import asyncio
import io
import threading
from contextlib import closing

import pytest
from services.api import Bench, serving

from beamhub.catalog import AsyncClient, Client, Service, errors, find_service, open_result, requests
from beamhub.catalog.remote import RemoteFile


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    with serving(Bench(tmp_path_factory.mktemp("bench"))) as running:
        running.runs = running.arrive("red/scan1/a.nxs", "red/scan1/b.nxs", "blue/scan1/c.nxs")
        running.finish(running.runs[0], {"counts": 5.0}, output=bytes(range(256)) * 8192)
        yield running


def service(bench: Bench, token: str = "alice") -> Service:
    return Service(bench.url.removesuffix("api/v1/"), token)


@pytest.fixture(params=["sync", "async"])
def ask(request, bench):
    """The same question by both clients."""

    def sync(question, token="alice"):
        client = Client(service(bench, token))
        try:
            return client.send(question)
        finally:
            client.close()

    def async_(question, token="alice"):
        async def go():
            client = AsyncClient(service(bench, token))
            try:
                return await client.send(question)
            finally:
                await client.close()

        return asyncio.run(go())

    return sync if request.param == "sync" else async_


@pytest.fixture
def client(bench):
    found = Client(service(bench))
    yield found
    found.close()


def test_a_page_of_runs_is_read_as_records(ask, bench):
    page = ask(requests.runs(proposal="red", sort="file", limit=10))
    assert [run.file.name for run in page.items] == ["a.nxs", "b.nxs"]
    assert page.items[0].scalars["counts"].value == 5.0
    assert ask(requests.count(proposal="red", state="done")).count == 1
    assert ask(requests.runs(ids=bench.runs[:2], limit=1)).after is not None
    assert ask(requests.runs(proposal=["red"], since=page.items[0].queued)).items


def test_everything_that_can_be_asked_is_answered(ask, bench):
    done = bench.runs[0]
    assert ask(requests.run(done)).log_tail == "measured"
    assert ask(requests.plot(done)).title == "I(Q)"
    assert ask(requests.preview(done, 32)).startswith(b"\x89PNG")
    assert ask(requests.result_file(done, 10, 14)) == bytes([10, 11, 12, 13])
    assert [function.name for function in ask(requests.functions())] == ["add", "mean"]
    assert [rule.name for rule in ask(requests.rules())] == ["sum"]
    assert [proposal.name for proposal in ask(requests.proposals())] == ["red"]
    assert ask(requests.explain("red/scan1/a.nxs")).rules[0]["takes"] == "yes"
    assert ask(requests.count(proposal=["red"])).states["done"] == 1
    first = ask(requests.files(limit=1)).items[0]
    assert ask(requests.file(first.id)).runs[0].function == "add"


def test_runs_are_asked_for_again_once_for_each_key(ask, bench):
    question = requests.again(ids=bench.runs[:1], parameters={"bins": 9}, key=f"key-{ask.__name__}")
    first, second = ask(question), ask(question)
    assert [run.id for run in first.items] == [run.id for run in second.items]
    assert first.items[0].parameters == {"bins": 9}
    assert ask(requests.cancel(first.items[0].id)).state == "cancelled"


def test_how_much_it_would_be_is_told_without_starting_anything(ask, bench):
    before = ask(requests.count()).count
    assert ask(requests.extent(ids=bench.runs[:2], parameters={"bins": 8})).count == 2
    assert ask(requests.count()).count == before


def test_several_proposals_are_asked_for_at_once(ask):
    page = ask(requests.runs(proposal=["red", "blue"], sort="file"), "admin")
    assert {run.proposal for run in page.items} == {"red", "blue"}


def test_staff_hold_a_rule_back_and_let_it_go_on(ask):
    assert ask(requests.pause("sum"), "admin").paused is True
    assert ask(requests.pause("sum", False), "admin").paused is False


@pytest.mark.parametrize(
    ("question", "token", "error", "said"),
    [
        (requests.runs(sort="nonsense"), "alice", errors.BadRequest, "sort"),
        (requests.run(999_999), "alice", errors.NotFound, "no run"),
        (requests.runs(proposal="blue"), "alice", errors.NotFound, "blue"),
        (requests.runs(), "unknown", errors.TokenExpired, "restart your server"),
        (requests.runs(), "stranger", errors.NotAllowed, "scope"),
        (requests.again(ids=[1]), "reader", errors.NotAllowed, "custom:beamhub:write"),
        (requests.cancel(1), "alice", errors.NotNow, "done"),
    ],
)
def test_each_refusal_is_an_exception_of_its_own(ask, question, token, error, said):
    with pytest.raises(error, match=said):
        ask(question, token)


def test_a_service_that_is_away_is_said_in_a_sentence():
    with (
        pytest.raises(errors.ServiceDown, match="does not answer"),
        closing(Client(Service("http://127.0.0.1:9/", "x"))) as c,
    ):
        c.send(requests.runs())


def test_a_hub_that_is_away_says_when_to_try_again(bench, client):
    bench.hub.away = True
    try:
        with pytest.raises(errors.ServiceDown, match="Hub") as caught:
            client.send(requests.runs())
    finally:
        bench.hub.away = False
    assert caught.value.retry_after == 5.0


def test_changes_are_followed_from_where_they_were(bench, client):
    heard = []
    before = client.send(requests.runs(limit=1)).seq
    stream = client.follow(("red",), after=before)
    assert next(stream).event == "open"
    threading.Timer(0.2, lambda: bench.arrive("red/scan1/new.nxs")).start()
    while len(heard) < 1:
        event = next(stream)
        heard += [event] if event is not None and event.event == "change" else []
    assert int(heard[0].id) > before
    stream.close()
    again = client.follow(("red",), after=before)
    assert [next(again).event, next(again).event] == ["open", "change"]
    again.close()


def test_an_output_that_is_not_visible_here_is_read_over_http(bench, client):
    run = client.send(requests.run(bench.runs[0]))
    assert open_result(client, run) == run.output
    far = open_result(client, run.model_copy(update={"output": "/nowhere/out.nxs"}))
    assert isinstance(far, RemoteFile)
    far.seek(-3, io.SEEK_END)
    assert far.read() == bytes([253, 254, 255])
    far.seek(2**20 - 2)
    assert far.read(4) == bytes([254, 255, 0, 1])


def test_a_run_without_output_says_so(bench, client):
    with pytest.raises(errors.CatalogError, match="no output"):
        open_result(client, client.send(requests.run(bench.runs[1])))


def test_outside_of_a_hub_one_sentence_says_what_is_missing(monkeypatch):
    monkeypatch.delenv("BEAMHUB_SERVICE_URL", raising=False)
    with pytest.raises(errors.NotConfigured, match="BEAMHUB_SERVICE_URL"):
        find_service()


def test_the_token_is_in_no_representation(monkeypatch):
    monkeypatch.setenv("BEAMHUB_SERVICE_URL", "http://127.0.0.1:9/services/beamhub/")
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "very-secret")
    assert "very-secret" not in repr(find_service())
