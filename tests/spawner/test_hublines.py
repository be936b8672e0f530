"""What differs between the lines of JupyterHub, proved on the installed one; all marked `hub`, which runs on both."""

from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import pytest
from services.hub import RunningHub
from tornado import web

from beamhub.spawner.hublines import LINE, grant_to_users, spawn_exception


@pytest.mark.hub
def test_an_error_of_a_start_carries_its_words_and_its_status():
    error = spawn_exception("take fewer cores", reason="Too Much", status=409)
    assert isinstance(error, web.HTTPError)
    assert (error.status_code, error.reason) == (409, "Too Much")
    assert "take fewer cores" in (getattr(error, "jupyterhub_message", None) or str(error))


@pytest.mark.hub
def test_scopes_for_users_are_added_to_what_users_have_anyway():
    c = SimpleNamespace(JupyterHub=SimpleNamespace(extra_user_scopes=set(), load_roles=[{"name": "other"}]))
    grant_to_users(c, ["custom:read"])
    if LINE >= 6:
        assert c.JupyterHub.extra_user_scopes == {"custom:read"}
        assert c.JupyterHub.load_roles == [{"name": "other"}]
    else:
        assert c.JupyterHub.extra_user_scopes == set()
        assert c.JupyterHub.load_roles == [{"name": "other"}, {"name": "user", "scopes": ["self", "custom:read"]}]


@pytest.mark.hub
def test_the_hub_and_its_servers_are_of_the_jupyterhub_that_is_installed_here(tmp_path: Path):
    """An environment of the other line that borrowed the Hub or the servers of this one would prove nothing."""
    extra = 'c.Spawner.args = ["--allow-root"]'
    with RunningHub(tmp_path, command=["jupyterhub-singleuser"], extra=extra) as hub:
        assert hub.api("GET", "").json()["version"] == version("jupyterhub")
        hub.ask_server("ada", options={"profile": "small"}).raise_for_status()
        hub.wait_ready("ada", within_s=100)
        answer = hub.as_user("ada").get("user/ada/api")
        assert answer.headers["x-jupyterhub-version"] == version("jupyterhub")
