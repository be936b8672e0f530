"""The extension in a server of a real Hub: who is answered, and what a page has to show."""

import re
from urllib.parse import urlsplit

import pytest
from services.hub import RunningHub, wait_for

pytestmark = [pytest.mark.hub, pytest.mark.timeout(180)]
API = "user/ada/beamhub/api/"
EXTRA = """
c.Spawner.args = ["--ServerApp.jpserver_extensions={'beamhub.server_extension': True}", "--allow-root"]
c.JupyterHub.load_roles += [{"name": "guest", "users": ["bob"], "scopes": ["access:servers!user=ada"]}]
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    with RunningHub(tmp_path_factory.mktemp("hub"), command=["jupyterhub-singleuser"], extra=EXTRA) as running:
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


@pytest.mark.parametrize("path", ["hello", "v1/runs", "changes", "selection/v", "hdf5/1/meta", "chunk/widget.js"])
@pytest.mark.promise("access")
def test_a_cookie_alone_is_not_enough_for_any_call_of_a_page(hub, path):
    client, _ = page(hub, "ada")
    for mode in ({}, {"Sec-Fetch-Mode": "navigate"}, {"Sec-Fetch-Mode": "cors"}, {"X-XSRFToken": "x"}):
        assert client.get(API + path, headers=mode).status_code == 403
    assert client.put(API + "selection/v", json={"ids": [2]}).status_code == 403
    assert client.post(API + "v1/runs", json={}).status_code == 403


@pytest.mark.promise("access")
def test_a_guest_on_the_server_gets_nothing_of_its_owner(hub):
    client, xsrf = page(hub, "bob")
    assert client.get("user/ada/api/status", headers=xsrf).status_code == 200
    for path in ("hello", "v1/runs", "changes?proposal=p", "selection/v", "hdf5/1/meta"):
        answer = client.get(API + path, headers=xsrf)
        assert answer.status_code == 403
        assert "belongs to ada" in answer.json()["message"]


@pytest.mark.promise("access")
def test_a_guests_own_token_opens_nothing_either(hub):
    answer = hub.as_user("bob").get(f"{API}hello")
    assert answer.status_code == 403
    assert "belongs to ada" in answer.json()["message"]


def test_the_owners_token_needs_no_page(hub):
    assert hub.as_user("ada").get(f"{API}hello").json()["user"] == "ada"
