import json
import socket

import pytest
from services.scripted import Answer

from beamhub.catalog import Client, Service, errors, find_service, requests

PAGE = b"<html><h1>Sign in</h1></html>"


def problem(code: int, message: str) -> list[bytes]:
    return [json.dumps({"message": message, "reason": "why", "code": code}).encode()]


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (400, errors.BadRequest),
        (401, errors.TokenExpired),
        (403, errors.NotAllowed),
        (404, errors.NotFound),
        (409, errors.NotNow),
        (413, errors.Answered),
    ],
)
def test_each_refusal_is_an_error_of_its_own_in_the_services_words(way, script, service, code, error):
    script.say(Answer(code, problem(code, "the sentence; the remedy")))
    with pytest.raises(error, match="the sentence; the remedy") as caught:
        way.send(service, requests.runs())
    assert type(caught.value) is error
    assert (caught.value.problem.code, caught.value.problem.reason) == (code, "why")


@pytest.mark.parametrize(("said", "seconds"), [("7", 7.0), ("soon", None), ("9" * 400, None), (None, None)])
def test_a_service_that_is_away_says_when_to_try_again(way, script, service, said, seconds):
    headers = {"Retry-After": said} if said else {}
    script.say(Answer(503, problem(503, "the Hub does not answer; try again"), headers))
    with pytest.raises(errors.ServiceDown, match="the Hub does not answer; try again") as caught:
        way.send(service, requests.runs())
    assert caught.value.retry_after == seconds


@pytest.mark.parametrize(
    "answer",
    [
        Answer(502, [PAGE]),
        Answer(404, [PAGE]),
        Answer(503, [b""]),
        Answer(302, [], {"Location": "/hub/login"}),
        Answer(200, [PAGE]),
        Answer(200, [b'{"items": 5}']),
        Answer(500, [b'{"message": 1}']),
    ],
    ids=["proxy's 502", "proxy's 404", "empty 503", "login", "page", "other json", "no problem"],
)
def test_what_is_not_the_service_is_said_to_be_so_and_what_to_do(way, script, service, answer):
    script.say(answer)
    with pytest.raises(errors.ServiceDown, match=r"(try again|is its address right\?)$"):
        way.send(service, requests.runs())


def test_a_service_that_is_not_there_is_said_in_a_sentence(way):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        service = Service(f"http://127.0.0.1:{free.getsockname()[1]}/", "secret")
        with pytest.raises(errors.ServiceDown, match=r"does not answer .*try again"):
            way.send(service, requests.runs())


def test_a_service_that_does_not_answer_in_time_is_down(way, script, service, monkeypatch):
    monkeypatch.setattr("beamhub.catalog.client.TIMEOUT_S", 0.1)
    script.say(Answer(hold=3))
    with pytest.raises(errors.ServiceDown, match="ReadTimeout"):
        way.send(service, requests.runs())


def test_the_token_goes_to_the_service_and_to_no_proxy_of_the_environment(way, script, service, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    script.say(Answer(200, [b'{"items": []}']))
    assert way.send(service, requests.runs()).items == []
    ((_, _, headers),) = script.asked
    assert headers["Authorization"] == "token secret"


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, r"BEAMHUB_SERVICE_URL and JUPYTERHUB_API_TOKEN are not set\): start it from a BeamHub Hub"),
        ({"BEAMHUB_SERVICE_URL": "http://h/"}, "JUPYTERHUB_API_TOKEN is not set"),
        ({"JUPYTERHUB_API_TOKEN": "t"}, "BEAMHUB_SERVICE_URL is not set"),
        ({"BEAMHUB_SERVICE_URL": "http://[", "JUPYTERHUB_API_TOKEN": "t"}, "is no address: 'http://\\['"),
        ({"BEAMHUB_SERVICE_URL": "hub:8000", "JUPYTERHUB_API_TOKEN": "t"}, "compute.yaml"),
    ],
)
def test_outside_of_a_hub_one_sentence_says_what_is_missing(environment, said, monkeypatch):
    for name in ("BEAMHUB_SERVICE_URL", "JUPYTERHUB_API_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(errors.NotConfigured, match=said) as caught:
        Client()
    assert "\n" not in str(caught.value)


def test_a_service_is_found_where_the_hub_says(monkeypatch):
    monkeypatch.setenv("BEAMHUB_SERVICE_URL", "http://h:8000/services/beamhub/")
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "t")
    assert find_service().api == "http://h:8000/services/beamhub/api/v1/"
