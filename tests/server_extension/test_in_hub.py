"""The extension in a server of a real Hub: who is answered, and what a page has to show."""

import re
from urllib.parse import urlsplit

import pytest
from services.hub import RunningHub, wait_for

from beamhub.processing import openapi
from beamhub.server_extension import content
from beamhub.server_extension.app import BASE, routes
from beamhub.server_extension.changes import Changes
from beamhub.server_extension.chunks import Chunk
from beamhub.server_extension.hdf5 import Hdf5
from beamhub.server_extension.hello import Hello
from beamhub.server_extension.passing import Pass
from beamhub.server_extension.place import Place
from beamhub.server_extension.session import SessionHandler
from beamhub.server_extension.views import SelectionHandler

pytestmark = [pytest.mark.hub, pytest.mark.promise("access")]
METHODS = ("get", "head", "post", "put", "patch", "delete")
PLACES = {  # what one can ask each handler for
    Hello: ["hello", "hello?service=1"],
    Changes: ["changes", "changes?proposal=red&last=0"],
    SelectionHandler: ["selection/v"],
    Place: ["place/1"],
    SessionHandler: ["session"],
    Chunk: ["chunk/widget.js"],
    Hdf5: [f"hdf5/1/{word}" for word in content.WORDS],
    Pass: ["v1" + path.format(id=1, name="r") for path in openapi.document()["paths"]],
}
CALLS = [
    (method.upper(), place)
    for _, handler in routes()
    for method in METHODS
    if method in vars(handler)
    for place in PLACES[handler]
]
API = "user/ada/beamhub/api/"
EXTRA = """
c.Spawner.args = ["--ServerApp.jpserver_extensions={'beamhub.server_extension': True}", "--allow-root"]
c.JupyterHub.load_roles += [{"name": "guest", "users": ["bob"], "scopes": ["access:servers!user=ada"]}]
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hub")
    users = ["ada", "bob", "eve"]
    with RunningHub(folder, users=users, command=["jupyterhub-singleuser"], extra=EXTRA) as running:
        running.start_server("ada", options={"profile": "small"})
        yield running


def page(hub, user):
    """Somebody whose browser has opened Ada's server, with what its page adds to each call."""
    client = hub.logged_in(user)
    wait_for(lambda: client.get("user/ada/api/status").status_code < 500)
    asked = client.get("user/ada/lab")
    if "oauth2/authorize" in str(asked.url):  # a guest is asked whether this server may know who he is
        form = {name: re.findall(rf'name="{name}"[^>]*value="([^"]*)"', asked.text) for name in ("_xsrf", "scopes")}
        client.post(str(asked.url), data=form, headers={"Referer": str(asked.url)})
    path = urlsplit(f"{hub.url}user/ada/").path
    marks = [cookie.value for cookie in client.cookies.jar if cookie.name == "_xsrf" and cookie.path == path]
    return client, {"X-XSRFToken": marks[0] if marks else ""}


def test_the_owners_page_is_answered(hub):
    client, xsrf = page(hub, "ada")
    hello = client.get(f"{API}hello", headers=xsrf | {"Sec-Fetch-Mode": "cors"})
    assert hello.status_code == 200
    assert hello.json()["user"] == "ada"
    assert client.put(f"{API}selection/v", headers=xsrf, json={"proposal": "p", "ids": [1]}).status_code == 204
    assert client.get(f"{API}selection/v", headers=xsrf).json()["ids"] == [1]


def test_every_route_of_the_extension_is_asked_below():
    for pattern, handler in routes():
        assert all(re.fullmatch(pattern, BASE + place.partition("?")[0]) for place in PLACES[handler])
    assert {handler for _, handler in routes()} == set(PLACES)
    assert {"GET", "POST", "PUT"} == {method for method, _ in CALLS}


@pytest.fixture(scope="module")
def owner(hub):
    """The owner's browser."""
    return page(hub, "ada")[0]


@pytest.fixture(scope="module")
def guest(hub):
    """The browser of another user of the Hub, who may open this server."""
    client, xsrf = page(hub, "bob")
    assert client.get("user/ada/api/status", headers=xsrf).status_code == 200
    return client, xsrf


@pytest.mark.parametrize(("method", "place"), CALLS, ids=str)
def test_a_cookie_alone_is_not_enough_for_any_call_of_a_page(owner, method, place):
    for mode in ({}, {"Sec-Fetch-Mode": "navigate"}, {"Sec-Fetch-Mode": "cors"}, {"X-XSRFToken": "x"}):
        assert owner.request(method, API + place, headers=mode).status_code == 403


@pytest.mark.parametrize(("method", "place"), CALLS, ids=str)
def test_another_user_of_the_hub_gets_nothing_of_the_owner_from_any_route(hub, guest, method, place):
    client, xsrf = guest
    by_page = client.request(method, API + place, headers=xsrf, json={})
    by_token = hub.as_user("bob").request(method, API + place, json={})
    for answer in (by_page, by_token):
        assert answer.status_code == 403
        assert answer.json()["reason"] == "not-owner"
        assert "belongs to ada" in answer.json()["message"]


@pytest.mark.parametrize(("method", "place"), CALLS, ids=str)
def test_a_user_who_may_not_open_the_server_gets_nothing_from_any_route(hub, method, place):
    answer = hub.as_user("eve").request(method, API + place, json={})
    assert answer.status_code in (403, 404)
    assert "ada" not in answer.text.replace("/user/ada/", "")


def test_the_owners_token_needs_no_page(hub):
    assert hub.as_user("ada").get(f"{API}hello").json()["user"] == "ada"
