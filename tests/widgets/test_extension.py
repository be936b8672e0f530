"""How a kernel finds the extension of its own server."""

import json

import pytest
from services.scripted import Answer, scripted

from beamhub.widgets.extension import Extension, Selected


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch, tmp_path):
    for name in ("JUPYTERHUB_SERVICE_URL", "JUPYTERHUB_API_TOKEN", "JPY_PARENT_PID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))


def base() -> str:
    found = Extension.find()
    address = str(found._http.base_url)
    found.close()
    return address


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("http://127.0.0.1:20001/user/ada/", "http://127.0.0.1:20001/user/ada/beamhub/api/"),
        ("http://0.0.0.0:20001/user/ada/", "http://127.0.0.1:20001/user/ada/beamhub/api/"),
        ("http://[::]:20001/hub/user/ada/", "http://[::1]:20001/hub/user/ada/beamhub/api/"),
        ("https://node7:20001/user/%C3%A4/", "https://node7:20001/user/%C3%A4/beamhub/api/"),
    ],
)
def test_the_hub_says_where_its_server_is(monkeypatch, address, expected):
    monkeypatch.setenv("JUPYTERHUB_SERVICE_URL", address)
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "t")
    assert base() == expected


def test_a_plain_server_says_it_in_its_own_folder(monkeypatch, tmp_path):
    (tmp_path / "jpserver-4711.json").write_text(json.dumps({"url": "http://localhost:8888/lab/", "token": "t"}))
    monkeypatch.setenv("JPY_PARENT_PID", "4711")
    assert base() == "http://localhost:8888/lab/beamhub/api/"


@pytest.mark.parametrize("parent", ["", "4712", "x"])
def test_without_a_server_there_is_none(monkeypatch, parent):
    monkeypatch.setenv("JPY_PARENT_PID", parent)
    assert Extension.find() is None


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(200, [b'{"id": "x", "service": "ok"}']), "x"),
        (Answer(200, [b'{"id": "x", "service": "not configured"}']), None),
        (Answer(404, [b"<html>"]), None),
        (Answer(200, [b"<html>"]), None),
        (Answer(302, [], {"Location": "/hub/login"}), None),
    ],
    ids=["there", "no service", "not installed", "something else", "not logged in"],
)
def test_only_an_extension_that_has_a_service_is_named_to_the_page(answer, expected):
    with scripted() as script:
        script.say(answer)
        extension = Extension(script.url, "t")
        assert extension.hello() == expected
        extension.close()


def test_a_selection_that_nobody_tells_is_empty():
    with scripted() as script:
        script.say(Answer(500), Answer(200, [b'{"ids": "x"}']), Answer(200, [b'{"ids": [3, 4], "time": 7.5}']))
        extension = Extension(script.url, "t")
        assert [extension.selection("v") for _ in range(3)] == [Selected(), Selected(), Selected((3, 4), 7.5)]
        extension.close()
    away = Extension("http://127.0.0.1:9/", "t")
    assert away.selection("v") == Selected()
    assert away.hello() is None
    away.close()
