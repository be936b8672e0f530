"""Who may ask the API, and what it says of itself."""

import pytest
from services.api import problem, told
from sqlalchemy.exc import OperationalError


@pytest.mark.parametrize(
    ("token", "status", "reason"),
    [("", 401, "token"), ("unknown", 401, "token"), ("stranger", 403, "scope"), ("ingester", 403, "scope")],
)
def test_a_token_must_be_known_and_carry_the_scopes(api, token, status, reason):
    problem(api.ask(token, "GET", "runs"), status, reason)


def test_a_refused_token_is_told_how_to_ask(api):
    assert api.ask("", "GET", "runs").headers["WWW-Authenticate"] == "Bearer"


def test_a_token_that_is_no_text_is_unknown(api):
    answer = api.ask("", "GET", "runs", headers={"Authorization": b"token \xff\xfe"})
    problem(answer, 401, "token")


def test_reading_takes_the_read_scope_and_changing_the_write_scope(api):
    told(api.ask("reader", "GET", "runs"))
    for path in (f"runs/{api.queued}/cancel", f"runs/{api.failed}/release", "runs", "rules/sum/pause"):
        problem(api.ask("reader", "POST", path, json={}), 403, "scope")


def test_while_the_hub_does_not_answer_the_service_says_try_again(api):
    api.hub.away = True
    try:
        answer = api.ask("alice", "GET", "runs")
    finally:
        api.hub.away = False
    problem(answer, 503, "hub-away")
    assert int(answer.headers["Retry-After"]) > 0


def test_while_the_store_does_not_answer_the_service_says_try_again(api, monkeypatch):
    def away(*args):
        raise OperationalError("SELECT", {}, Exception("no connection"))

    monkeypatch.setattr(api.store, "listing", away)
    answer = api.ask("alice", "GET", "runs")
    problem(answer, 503, "store-away")
    assert int(answer.headers["Retry-After"]) > 0


def test_what_goes_wrong_inside_is_not_told(api, monkeypatch):
    def wrong(*args):
        raise RuntimeError("secret of the inside")

    monkeypatch.setattr(api.store, "listing", wrong)
    assert "secret" not in problem(api.ask("alice", "GET", "runs"), 500, "internal")


@pytest.mark.parametrize("path", ["runs", "health", "nothing", "results/1/plot"])
def test_no_answer_can_be_taken_for_a_page(api, path):
    headers = api.ask("alice", "GET", path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "Server" not in headers


def test_health_is_for_everybody(api):
    assert told(api.ask("", "GET", "health"))["status"] == "ok"


def test_health_says_when_the_store_is_away(api, monkeypatch):
    def away():
        raise OperationalError("SELECT", {}, Exception("no connection"))

    monkeypatch.setattr(api.store, "head", away)
    problem(api.ask("", "GET", "health"), 503, "store-away")


def test_metrics_are_for_services_and_for_those_who_see_everything(api):
    problem(api.ask("alice", "GET", "metrics"), 403)
    for token in ("prometheus", "admin"):
        text = api.ask(token, "GET", "metrics").text
        assert 'beamhub_runs{state="done"}' in text
        assert "beamhub_files" in text


def test_the_api_describes_itself(api):
    assert "/runs/{id}" in told(api.ask("", "GET", "openapi.json"))["paths"]
