"""Nobody gets anything of others from any route: the requests are made from openapi.json, so a new route is in."""

import asyncio
import contextlib
import itertools

import pytest
from services.api import Bench, listening, serving

from beamhub.processing import openapi

DOCUMENT = openapi.document()
SECRET = "alices-secret"  # in the name of everything of hers
STREAM = "/changes"


@pytest.fixture(scope="module")
def bench(tmp_path_factory, module_store_url):
    made = Bench(tmp_path_factory.mktemp("isolation"), module_store_url)
    made.hub.tokens["alice"]["groups"] = [SECRET]
    made.done, made.failed, made.queued = alices(made)
    (made.bobs,) = made.arrive("blue/scan1/a.nxs")
    made.store.request("key", "body", "alice", [made.done], again)
    with serving(made):
        yield made


def alices(bench):
    done, failed, queued = bench.arrive(*(f"{SECRET}/scan1/{SECRET}-{number}.nxs" for number in range(3)))
    bench.finish(done, {SECRET: 5.0}, SECRET.encode())
    bench.fail(failed, quarantined=True)
    bench.store.recover()
    return done, failed, queued


def again(run):
    from beamhub.processing.work import PlannedRun

    return PlannedRun("sum", "add", {"bins": 3})


def of_alice(bench):
    """Values of parameters that name something of hers."""
    files = [found.id for found in bench.store.files((SECRET,), 10).items]
    return {
        "id": [bench.done, bench.failed, bench.queued, *files],
        "name": ["sum"],
        "proposal": [SECRET, f"{SECRET},blue"],
        "function": ["add"],
        "rule": ["sum"],
        "state": ["done"],
        "text": [SECRET],
        "search": [SECRET],
        "zone": ["Europe/Berlin"],
        "since": ["2020-01-01T00:00:00Z"],
        "until": ["2120-01-01T00:00:00Z"],
        "ids": [f"{bench.done},{bench.failed},{bench.queued}"],
        "file": files,
        "sort": [f"scalar:{SECRET}", f"column:{SECRET}", "-queued"],
        "limit": [500],
        "after": [0, bench.ask("alice", "GET", "runs?limit=1").json()["after"]],
        "before": [bench.ask("alice", "GET", "runs?limit=1").json()["after"]],
        "at": [0],
        "path": [f"{SECRET}/scan1/{SECRET}-0.nxs"],
        "width": [64],
        "frame": [0],
        "scale": ["log"],
        "low": [0],
        "high": [1],
        "colours": ["greys"],
        "x": [0],
        "y": [0],
        "size": [2],
    }


BODIES = {
    "/runs": lambda bench: [
        {"ids": [bench.done]},
        {"ids": [bench.bobs, bench.done], "dry_run": True},
        {"filter": {"proposal": SECRET}},
        {"filter": {"proposal": [SECRET, "blue"], "text": SECRET}},
        {"filter": {"ids": [bench.done]}},
        {"filter": {"text": SECRET}, "dry_run": True},
        {"filter": {"search": SECRET}, "dry_run": True},
    ],
    "/rules/{name}/pause": lambda bench: [{"paused": True}],
    "/events": lambda bench: [{}],
}


def requests(bench):
    """Each operation with each value of each parameter, alone, and with none."""
    values = of_alice(bench)
    for path, methods in DOCUMENT["paths"].items():
        if path == STREAM:
            continue
        for method, operation in methods.items():
            within = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
            asked = [p["name"] for p in operation["parameters"] if p["in"] == "query"]
            places = [path.format(**{name: value}) for name in within for value in values[name]] or [path]
            queries = [{}, *({name: value} for name in asked for value in values[name])]
            bodies = BODIES[path](bench) if "requestBody" in operation else [None]
            for place, query, body in itertools.product(places, queries, bodies):
                yield method.upper(), place[1:], query, body


@pytest.mark.parametrize("who", ["bob", "nobody", "ingester", "prometheus", "unknown", ""])
@pytest.mark.promise("access")
def test_nobody_else_gets_anything_of_alices(bench, who):
    before = bench.store.head()
    for method, path, query, body in requests(bench):
        answer = bench.ask(who, method, path, params=query, json=body)
        said = answer.text
        for sent in (*query.values(), path, repr(SECRET) if body else ""):  # what one said oneself
            said = said.replace(str(sent), "")
        assert SECRET not in said, (method, path, query, body, answer.text)
        assert answer.status_code < 500
    changed = bench.store.changes([SECRET], before)
    assert changed == []


@pytest.mark.promise("access")
def test_what_others_may_not_see_answers_as_if_it_were_not_there(bench):
    nothing = 10**6
    for method, path, query, body in requests(bench):
        if not any(part.isdecimal() for part in path.split("/")):
            continue
        number = next(part for part in path.split("/") if part.isdecimal())
        if number == str(bench.bobs):
            continue
        hidden = bench.ask("bob", method, path, params=query, json=body)
        missing = bench.ask("bob", method, path.replace(number, str(nothing)), params=query, json=body)
        assert hidden.status_code == missing.status_code == 404
        assert hidden.text.replace(number, "N") == missing.text.replace(str(nothing), "N")
        assert set(hidden.headers) == set(missing.headers)


def test_alice_gets_what_is_hers(bench):
    """The requests above would find it."""
    found = [
        (method, path)
        for method, path, query, _ in requests(bench)
        if method == "GET" and SECRET in bench.ask("alice", method, path, params=query).text
    ]
    kinds = {path.split("/")[0] + "/" * path.count("/") for _, path in found}
    assert {"runs", "runs/", "files", "files/", "results//", "proposals"} <= kinds


async def heard(bench, who, within_s=1.0):
    """What a stream from the beginning says."""
    text = ""
    async with bench.client(who) as client, client.stream("GET", "changes?after=0") as response:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                async for part in response.aiter_text():
                    text += part
    return text


@pytest.mark.promise("access")
async def test_nobody_else_hears_of_alices_on_a_stream(tmp_path):
    made = Bench(tmp_path)
    made.hub.tokens["alice"]["groups"] = [SECRET]
    await asyncio.to_thread(alices, made)
    await asyncio.to_thread(made.arrive, "blue/scan1/a.nxs")
    async with listening(made):
        for who, expected in (("bob", ["blue", "blue"]), ("nobody", [])):
            text = await heard(made, who)
            assert SECRET not in text
            assert [text.count(f'"proposal": "{name}"') for name in set(expected)] == [2] * len(set(expected))
        async with made.client("bob") as client:
            assert (await client.get("changes", params={"proposal": SECRET})).status_code == 404
    made.store.close()
