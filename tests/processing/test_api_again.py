"""Runs done again, cancelled, released; rules paused."""

from pathlib import Path

import pytest
from services.api import problem, told

from beamhub.config.mistakes import Mistake, Mistakes


def again(api, body, who="alice", **headers):
    return api.ask(who, "POST", "runs", json=body, headers={k.replace("_", "-"): v for k, v in headers.items()})


def test_runs_are_done_again_with_other_parameters(api):
    (run,) = told(again(api, {"ids": [api.done], "parameters": {"bins": 9}}), 201)["items"]
    assert (run["parameters"], run["cause"], run["requested_by"]) == ({"bins": 9}, "requested", "alice")
    assert run["function"] == "add"
    (other,) = told(again(api, {"ids": [api.done], "function": "mean"}), 201)["items"]
    assert (other["function"], other["parameters"]) == ("mean", {})


def test_the_same_key_gives_the_same_runs_and_another_body_is_refused(api):
    body = {"ids": [api.done]}
    first = told(again(api, body, Idempotency_Key="once"), 201)
    assert told(again(api, body, Idempotency_Key="once"), 201)["items"] == first["items"]
    assert told(again(api, body), 201)["items"] != first["items"]
    problem(again(api, body | {"parameters": {"bins": 3}}, Idempotency_Key="once"), 409, "idempotency-key")
    told(again(api, {"ids": [api.blue]}, "bob", Idempotency_Key="once"), 201)


def test_a_filter_is_counted_before_it_is_run(api):
    count = told(again(api, {"filter": {"proposal": "red", "state": "done", "text": "a.nxs"}, "dry_run": True}))
    assert count["count"] == 1
    assert count["seconds"] > 0
    before = told(api.ask("alice", "GET", "runs/count"))["count"]
    new = told(again(api, {"filter": {"proposal": "red", "state": "done", "text": "a.nxs"}}), 201)["items"]
    assert len(new) == 1
    assert told(api.ask("alice", "GET", "runs/count"))["count"] == before + 1


def test_how_long_it_takes_counts_what_waits_already(api):
    asked = {"ids": [api.done], "dry_run": True}
    before = told(again(api, asked))["seconds"]
    told(again(api, {"ids": [api.done, api.failed]}), 201)
    assert told(again(api, asked))["seconds"] > before


def test_more_than_are_done_again_at_once_are_refused_with_what_to_do(api, monkeypatch):
    monkeypatch.setattr("beamhub.processing.api.runs.MOST_AGAIN", 1)
    said = problem(again(api, {"filter": {"proposal": "red"}, "dry_run": True}), 400)
    assert "more than 1 runs match" in said
    assert "To do: search for fewer" in said


def test_a_filter_may_say_all_that_a_listing_can(api):
    asked = {
        "proposal": ["red"],
        "function": "add",
        "rule": "sum",
        "state": "done",
        "text": "scan1",
        "since": "2020-01-01T00:00:00Z",
        "until": "2120-01-01T00:00:00Z",
        "ids": [api.done],
        "file": 1,
    }
    assert told(again(api, {"filter": asked, "dry_run": True}))["count"] == 1
    assert told(again(api, {"filter": {}, "dry_run": True}))["count"] >= 3


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "either ids or filter"),
        ({"ids": [1], "filter": {"proposal": "red"}}, "either ids or filter"),
        ({"ids": "1"}, "ids"),
        ({"ids": ["1"]}, "ids.0"),
        ({"ids": [-1]}, "ids"),
        ({"ids": [10**30]}, "ids"),
        ({"ids": [1], "function": "nothing"}, "there is: add, mean"),
        ({"ids": [1], "function": "\0"}, "function"),
        ({"ids": [1], "parameters": {"bins": 0}}, "parameters.bins"),
        ({"ids": [1], "parameters": {"bins": "many"}}, "parameters.bins"),
        ({"ids": [1], "parameters": {"bin": 3}}, "bin"),
        ({"ids": [1], "parameters": {"mask": "/etc/passwd"}}, "only a rule can set it"),
        ({"ids": [1], "parametres": {}}, "parametres"),
        ({"ids": [1], "dry_run": "yes"}, "dry_run"),
        ({"filter": {"proposal": "red", "states": "done"}}, "filter.states"),
        ({"filter": {"proposal": "red", "state": "sleeping"}}, "filter.state"),
        ({"filter": {"proposal": "red", "text": "\0"}}, "NUL"),
        ({"filter": {"proposal": "red", "function": "\0"}}, "NUL"),
        ({"filter": {"proposal": "red", "file": 10**30}}, "filter.file"),
        ([], "object"),
    ],
)
@pytest.mark.promise("bad input")
def test_a_request_that_cannot_be_understood_is_refused_with_its_place(api, body, says):
    assert says in problem(again(api, body), 400)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff",
        b'{"ids": [1], "parameters": {"bins": NaN}}',
        b'{"ids": [1], "parameters": {"bins": ' + b"9" * 5000 + b"}}",
        b'{"ids": [1], "parameters": ' + b'{"a":' * 5000 + b"1" + b"}" * 5001,
        b'{"ids": [1], "function": "\\ud800"}',
    ],
    ids=["cut off", "no UTF-8", "NaN", "huge number", "deep", "half a character"],
)
@pytest.mark.promise("bad input")
def test_what_is_no_json_is_refused(api, body):
    problem(api.ask("alice", "POST", "runs", content=body), 400)


def test_a_path_that_a_rule_set_stays_when_a_run_is_done_again(api):
    api.store.request("k", "b", "alice", [api.done], lambda run: planned({"bins": 3, "mask": "/masks/1.edf"}))
    newest = told(api.ask("alice", "GET", "runs?sort=-queued&limit=1"))["items"][0]
    (new,) = told(again(api, {"ids": [newest["id"]], "parameters": {"bins": 5}}), 201)["items"]
    assert new["parameters"] == {"bins": 5, "mask": "/masks/1.edf"}


def planned(parameters):
    from beamhub.processing.work import PlannedRun

    return PlannedRun("sum", "add", parameters)


def test_a_queued_run_is_cancelled_once(api):
    (run,) = api.arrive("red/scan4/cancel.nxs")
    assert told(api.ask("alice", "POST", f"runs/{run}/cancel"))["state"] == "cancelled"
    assert "cancelled" in problem(api.ask("alice", "POST", f"runs/{run}/cancel"), 409, "cancelled")


def test_the_dispatcher_hears_of_a_running_run_that_is_cancelled(api):
    (run,) = api.arrive("red/scan4/running.nxs")
    api.claim(run)
    told(api.ask("alice", "POST", f"runs/{run}/cancel"))
    assert api.store.cancelled_running([run]) == {run}
    api.store.recover()


def test_a_run_is_released_from_quarantine(api):
    (run,) = api.arrive("red/scan4/held.nxs")
    api.fail(run, quarantined=True)
    assert told(api.ask("alice", "GET", f"runs/{run}"))["quarantined"] is True
    released = told(api.ask("alice", "POST", f"runs/{run}/release"))
    assert (released["state"], released["quarantined"]) == ("queued", False)
    problem(api.ask("alice", "POST", f"runs/{run}/release"), 409, "queued")


@pytest.mark.promise("bad input")
def test_what_is_wrong_with_an_edited_configuration_is_told_to_staff_and_to_others_that_it_is_so(api):
    wrong = Mistakes(
        Path("processing.yaml"), [Mistake("there is no storage 'x'", "rules.sum.when", 7, "did you mean y?")]
    )
    api.notice.put(wrong)
    told_to = {who: told(api.ask(who, "GET", "proposals"))["notice"] for who in ("staff", "admin", "alice", "nobody")}
    api.notice.put(None)
    assert told_to["staff"] == told_to["admin"]
    assert told_to["staff"].endswith(": processing.yaml:7: there is no storage 'x' @ rules.sum.when; did you mean y?")
    assert told_to["alice"] == told_to["nobody"]
    assert told_to["alice"].endswith("the last good one stays in force; the beamline's staff can see why.")
    assert told(api.ask("staff", "GET", "proposals"))["notice"] == ""


def test_staff_pause_a_rule(api):
    problem(api.ask("alice", "POST", "rules/sum/pause", json={"paused": True}), 403, "staff")
    assert told(api.ask("staff", "POST", "rules/sum/pause", json={"paused": True}))["paused"] is True
    assert told(api.ask("alice", "GET", "rules"))["items"][0]["paused"] is True
    assert told(api.ask("staff", "POST", "rules/sum/pause", json={"paused": False}))["paused"] is False
    for body in ({}, {"paused": "yes"}, {"paused": 1}):
        assert "paused" in problem(api.ask("staff", "POST", "rules/sum/pause", json=body), 400)
    problem(api.ask("staff", "POST", "rules/nothing/pause", json={"paused": True}), 404)
