# ruff: noqa: S104 - addresses that are refused
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from services.hub import RunningHub, wait_for
from services.ports import free_port

from beamhub.spawner.announce import Announcement, Unwanted, first_right, is_own, parse
from beamhub.spawner.bootstrap import Listener

SECRET, JOB = "s" * 64, "bh-hub-1-0123456789"


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b"\xff", b'"text"', b'{"nonce": "a", "port": 1, "addresses": []}',
     b'{"nonce": "a", "port": true, "addresses": ["127.0.0.1"]}', b'{"nonce": "a", "port": 0, "addresses": ["::1"]}',
     b'{"nonce": "a", "port": 65536, "addresses": ["::1"]}', b'{"nonce": 1, "port": 80, "addresses": ["::1"]}',
     b'{"nonce": "a", "port": 80, "addresses": "::1"}', b'{"nonce": "a", "port": 80, "addresses": ["localhost"]}',
     b'{"nonce": "a", "port": 80, "addresses": [1]}', b'{"nonce": "a", "port": 80, "addresses": ["1.2.3.4\\n"]}',
     b'{"nonce": "a", "port": true, "listening": true}', b'{"nonce": 1, "port": 80, "ended": 0}',
     b'{"nonce": "a", "port": 80, "ended": 99999}', b'{"nonce": "a", "port": 80, "listening": "yes"}',
     b" " * 9000],
    ids=str,
)  # fmt: skip
@pytest.mark.promise("bad input")
def test_what_is_no_announcement_is_refused(body):
    with pytest.raises(Unwanted, match="no announcement") as refused:
        parse(body)
    assert refused.value.status == 400


def test_an_announcement_is_read():
    body = json.dumps({"nonce": "a1", "port": 4711, "addresses": ["10.0.0.1", "::1"], "more": 1}).encode()
    assert parse(body) == Announcement("a1", 4711, ("10.0.0.1", "::1"))


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ({"listening": True}, Announcement("a1", 4711, listening=True)),
        ({"ended": -15}, Announcement("a1", 4711, ended=-15)),
        ({"ended": 0}, Announcement("a1", 4711, ended=0)),
    ],
)
def test_what_a_job_says_of_its_server_is_read(said, read):
    assert parse(json.dumps({"nonce": "a1", "port": 4711, **said}).encode()) == read


@pytest.mark.parametrize(
    ("address", "port", "own"),
    [("127.0.0.1", 8000, True), ("127.0.0.2", 8000, True), ("0.0.0.0", 8000, True), ("10.0.0.1", 8000, True),
     ("10.0.0.1", 8001, False), ("10.0.0.2", 8000, False)],
    ids=str,
)  # fmt: skip
def test_the_hubs_own_places_are_known(address, port, own):
    assert is_own(address, port, {("10.0.0.1", 8000)}) is own


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener(("127.0.0.1", 0), SECRET, JOB)
    yield listener
    listener.close()


async def test_the_first_right_answer_wins(listener):
    said = Announcement("n", listener.server_address[1], ())
    assert await first_right(said, ["127.0.0.3", "127.0.0.1"], SECRET, JOB) == "127.0.0.1"


@pytest.mark.parametrize(("secret", "job"), [("t" * 64, JOB), (SECRET, "bh-hub-1-9876543210")], ids=["secret", "job"])
@pytest.mark.promise("access")
async def test_an_answer_made_with_another_secret_or_for_another_start_is_wrong(listener, secret, job):
    said = Announcement("n", listener.server_address[1], ())
    assert await first_right(said, ["127.0.0.1"], secret, job) is None


@pytest.mark.promise("access")
async def test_an_answer_passed_on_from_another_port_is_wrong(listener):
    """What listens at the announced port asks the real one, and says what that says."""
    with socket.create_server(("127.0.0.1", 0)) as relay:

        def pass_on() -> None:
            asked, _ = relay.accept()
            with asked, socket.create_connection(listener.server_address) as real:
                real.sendall(asked.recv(200))
                asked.sendall(real.recv(200))

        threading.Thread(target=pass_on, daemon=True).start()
        said = Announcement("n", relay.getsockname()[1], ())
        assert await first_right(said, ["127.0.0.1"], SECRET, JOB) is None


@pytest.fixture(scope="module")
def hub(tmp_path_factory) -> Iterator[RunningHub]:
    extra = 'c.Spawner.environment = {"STUB_SLEEP": lambda spawner: "600" if spawner.name == "slow" else "0"}\n'
    extra += 'c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 1}\n'
    with RunningHub(tmp_path_factory.mktemp("hub"), extra=extra) as hub:
        yield hub


class Job:
    """A start that is under way, seen by somebody who can read its token."""

    def __init__(self, hub: RunningHub, user: str) -> None:
        self.hub = hub
        hub.ask_server(user, "slow", {"profile": "small"})
        wait_for(lambda: hub.server(user, "slow")["state"]["start"]["phase"] == "announced")
        folders = (hub.folder / f"home/{user}/.beamhub").glob("bh-*")
        self.folder: Path = max(folders, key=lambda folder: folder.stat().st_mtime)
        self.token = (self.folder / "token").read_text()
        self.nonce = self.folder.name.rpartition("-")[2]

    def announce(self, token: str | None = None, **body: object) -> httpx.Response:
        said = {"nonce": self.nonce, "port": free_port(), "addresses": ["127.0.0.1"], **body}
        headers = {} if token == "" else {"Authorization": f"token {token or self.token}"}
        return httpx.post(f"{self.hub.url}hub/api/beamhub/announce", json=said, headers=headers, timeout=30)


@pytest.fixture(scope="module")
def job(hub) -> Iterator[Job]:
    yield Job(hub, "ada")
    hub.stop_server("ada", "slow")


@pytest.mark.hub
@pytest.mark.parametrize(
    ("said", "status"),
    [({"token": ""}, 403), ({"token": "0" * 32}, 403), ({"nonce": "0123456789"}, 404), ({"port": "x"}, 400),
     ({"addresses": ["10.1.2.3"]}, 403), ({"addresses": ["2001:db8::1"]}, 403), ({"addresses": ["0.0.0.0"]}, 403),
     ({"addresses": ["::"]}, 403), ({"addresses": ["169.254.169.254"]}, 403), ({"addresses": ["fe80::1"]}, 403),
     ({"addresses": ["::ffff:169.254.169.254"]}, 403), ({"addresses": ["::ffff:10.1.2.3"]}, 403),
     ({"addresses": ["255.255.255.255"]}, 403), ({"addresses": ["224.0.0.1"]}, 403),
     ({"addresses": ["metadata.example.org"]}, 400), ({"addresses": ["127.0.0.1"] * 33}, 400), ({}, 409)],
    ids=["no token", "unknown token", "another nonce", "no port", "foreign", "foreign IPv6", "any", "any IPv6",
         "link-local", "link-local IPv6", "link-local in IPv6", "foreign in IPv6", "everybody", "a group", "a name",
         "too many", "nothing there"],
)  # fmt: skip
@pytest.mark.promise("access")
def test_a_forged_announcement_is_refused(job, said, status):
    before = job.hub.server("ada", "slow")["state"]
    answer = job.announce(**said)
    assert answer.status_code == answer.json()["status"] == status
    assert answer.json()["give_up"] is (status in (403, 404))
    assert job.hub.server("ada", "slow")["state"] == before
    assert f"not taken: {answer.json()['message']}" in job.hub.log()
    assert job.token not in job.hub.log()


@pytest.mark.hub
@pytest.mark.promise("access")
def test_a_token_that_the_user_or_an_admin_minted_announces_nothing_whatever_it_is_called(job):
    own = job.hub.as_user("ada")
    for how in ({}, {"note": "Server at /user/ada/slow"}, {"note": "Server at /user/ada/slow/", "scopes": ["self"]}):
        minted = own.post("hub/api/users/ada/tokens", json=how).raise_for_status().json()["token"]
        assert job.announce(token=minted).status_code == 403
    assert job.announce(token=job.hub.admin).status_code == 403


@pytest.mark.hub
@pytest.mark.promise("access")
def test_a_servers_token_mints_no_other_token(job):
    headers = {"Authorization": f"token {job.token}"}
    for user in ("ada", "bob"):
        answer = httpx.post(f"{job.hub.url}hub/api/users/{user}/tokens", json={}, headers=headers, timeout=30)
        assert answer.status_code in (403, 404)
        assert "token" not in answer.json()


@pytest.mark.hub
@pytest.mark.promise("access")
def test_an_announcement_with_the_token_of_another_users_server_is_refused(job, hub):
    other = Job(hub, "bob")
    assert other.announce(token=job.token).status_code == 404
    hub.stop_server("bob", "slow")


@pytest.mark.hub
@pytest.mark.promise("access")
@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2", "::1", "::ffff:127.0.0.1", "0.0.0.0"])
def test_at_no_loopback_address_the_ports_of_hub_and_proxy_are_a_server(job, hub, address):
    assert job.announce(port=hub.port, addresses=[address]).status_code == 403


@pytest.mark.hub
@pytest.mark.promise("access")
def test_a_replayed_announcement_is_refused_while_the_server_runs_and_after_it(hub):
    hub.start_server("ada", options={"profile": "small"})
    (folder,) = [one for one in (hub.folder / "home/ada/.beamhub").glob("bh-*") if one.name in str(hub.server("ada"))]
    headers = {"Authorization": f"token {(folder / 'token').read_text()}"}
    port = int(hub.server("ada")["state"]["start"]["url"].rpartition(":")[2])
    said = {"nonce": folder.name.rpartition("-")[2], "port": port, "addresses": ["127.0.0.1"]}
    answer = httpx.post(f"{hub.url}hub/api/beamhub/announce", json=said, headers=headers, timeout=30)
    assert (answer.status_code, answer.json()["message"]) == (403, "this server runs already")
    hub.stop_server("ada")
    assert httpx.post(f"{hub.url}hub/api/beamhub/announce", json=said, headers=headers, timeout=30).status_code == 403


@pytest.mark.hub
def test_batchspawners_route_is_gone(hub):
    assert hub.api("POST", "batchspawner", json={"port": 1}).status_code == 404
