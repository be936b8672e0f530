"""The service as the Hub's own, reached with the token of a user's server."""

import httpx
import pytest
from services.facility import DETECTOR, facility
from services.hub import wait_for
from services.living import gone

pytestmark = pytest.mark.hub


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with facility(tmp_path_factory.mktemp("site")) as made:
        made.start_server("ada")
        made.start_server("bob")
        yield made


@pytest.mark.promise("access")
def test_the_token_of_a_server_reaches_the_service_with_exactly_its_scopes(site):
    who = httpx.get(f"{site.hub.url}hub/api/user", headers={"Authorization": f"token {site.tokens['ada']}"}).json()
    ours = {scope for scope in who["scopes"] if "beamhub" in scope}
    assert ours == {"access:services!service=beamhub", "custom:beamhub:read", "custom:beamhub:write"}
    assert site.ask("ada", "runs").status_code == 200
    assert site.ask("ada", "runs", "POST", json={"ids": []}).status_code == 201
    assert site.ask("ada", "events", "POST", json={}).json()["reason"] == "scope"
    assert site.ask("", "runs").status_code == 401


@pytest.mark.promise("access")
def test_a_file_is_seen_by_the_group_of_its_proposal_only(site):
    site.drop("adas.nxs")
    wait_for(lambda: "adas.nxs" in site.files("ada"))
    assert site.files("bob") == set()
    assert site.ask("bob", "runs?proposal=red").status_code == 404


def test_a_service_that_is_named_tells_of_files(site):
    event = {"specversion": "1.0", "id": "1", "source": "/detector", "type": "org.beamhub.file.closed"}
    event |= {"subject": "red/scan2/posted.nxs", "data": {"storage": "beamline", "size": 3}}
    headers = {"Authorization": f"token {DETECTOR}", "Content-Type": "application/cloudevents+json"}
    answer = httpx.post(site.url("events"), json=event, headers=headers)
    assert (answer.status_code, answer.json()) == (200, {"received": 1, "new": 1})
    assert "posted.nxs" in site.files("ada")
    assert site.ask("detector", "runs").status_code == 403


@pytest.mark.promise("kills of the service")
def test_the_service_dies_with_its_hub_and_nothing_is_missing_when_both_are_back(site):
    process = site.listening()
    site.hub.kill()
    assert gone(process, 15)
    site.drop("meanwhile.nxs")
    site.hub.start()
    wait_for(site.up, 40, "the service does not answer")
    wait_for(lambda: site.files("ada") == {"adas.nxs", "posted.nxs", "meanwhile.nxs"})
