"""Somebody else with an account on the same nodes gets neither a token nor somebody's traffic."""

import contextlib
import json
import os
import pwd
import re
import resource
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from services.hub import RunningHub, wait_for
from services.slurm import Cluster, address, slurm
from services.slurm_hub import slurm_hub, start_of

pytestmark = [pytest.mark.slurm, pytest.mark.promise("access")]
PROGRAM = Path(__file__).parent.parent / "services/neighbour.py"
FIRST, LAST, FREE = 33000, 34999, 40
SMALL = {"profile": "small"}
LOOK = re.compile(
    r"GET /user/bhanna/slow/api HTTP/1.0\r\nHost: [0-9.:]+\r\n\r\n"
)  # the Hub's, until it is told who listens


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with slurm() as running:
        yield running


@pytest.fixture(scope="module")
def hub(cluster: Cluster) -> Iterator[RunningHub]:
    with slurm_hub(cluster, extra='c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0}') as running:
        yield running


@pytest.fixture
def program(tmp_path_factory) -> Iterator[Path]:
    folder = Path("/tmp") / f"bhneighbour{os.getpid()}"  # where the other account can read it
    folder.mkdir(mode=0o755)
    yield Path(shutil.copy(PROGRAM, folder))
    shutil.rmtree(folder)


def as_bob(cluster: Cluster, *command: str | Path, **more):
    bob = pwd.getpwnam("bhbob")
    environment = {"PATH": "/usr/bin:/bin", "SLURM_CONF": str(cluster.conf), "HOME": bob.pw_dir}
    return subprocess.Popen(
        ["/usr/bin/python3", *command], user=bob.pw_uid, group=bob.pw_gid, extra_groups=[], env=environment, cwd="/",
        stdout=subprocess.PIPE, text=True, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192)),
        **more,
    )  # fmt: skip


@contextlib.contextmanager
def listening(cluster: Cluster, program: Path) -> Iterator[list[str]]:
    """Listens at nearly all ports of the range; what it was sent."""
    heard: list[str] = []
    bob = as_bob(cluster, program, "listen", str(FIRST), str(LAST), str(FREE))
    try:
        while not (said := json.loads(bob.stdout.readline())).startswith("listening at "):
            heard.append(said)
        assert int(said.split()[2]) > (LAST - FIRST) * 0.8  # other tests may use some
        yield heard
    finally:
        bob.terminate()
        heard += [json.loads(line) for line in bob.stdout]
        bob.stdout.close()
        bob.wait()


def secrets_of(hub: RunningHub, user: str, name: str = "") -> list[str]:
    folder = Path(f"/home/{user}/.beamhub") / start_of(hub, user, name)["job"]
    return [(folder / one).read_text().strip() for one in ("token", "secret")]


def test_who_listens_at_the_ports_of_the_range_hears_nothing_of_a_server_that_starts_there(hub, cluster, program):
    with listening(cluster, program) as heard:
        hub.start_server("bhanna", options=SMALL)
        assert hub.as_user("bhanna").get("user/bhanna/api").json()["environment"]["USER"] == "bhanna"
        hub.stop_server("bhanna")
    assert heard == []


def test_who_takes_the_port_of_a_server_that_ended_gets_none_of_its_requests(hub, cluster, program):
    hub.start_server("bhanna", options=SMALL)
    own = hub.as_user("bhanna")
    hub.stop_server("bhanna")
    with listening(cluster, program) as heard:
        for _ in range(5):
            assert own.get("user/bhanna/api").status_code in (404, 424, 503)
        time.sleep(4)
    assert heard == []


def test_nothing_that_another_account_may_read_holds_token_or_secret(hub, cluster, program):
    before = time.time() - 60
    hub.start_server("bhanna", options=SMALL)
    words = secrets_of(hub, "bhanna")
    marker = f"marker-{words[0][:8]}"
    (program.parent / "readable").write_text(marker)
    folders = ["/home", "/tmp", "/opt", "/var", "/run", "/dev/shm", str(cluster.folder), str(hub.folder)]
    with as_bob(cluster, program, "search", str(before), *folders, stdin=subprocess.PIPE) as bob:
        found, _ = bob.communicate("\n".join([*words, marker]))
    assert found.split("\n")[:-1] == [str(program.parent / "readable")]
    hub.stop_server("bhanna")


def announce(hub: RunningHub, token: str, **said) -> int:
    headers = {"Authorization": f"token {token}"} if token else {}
    url = f"{hub.url}hub/api/beamhub/announce"
    return httpx.post(url, json=said, headers=headers, timeout=60).status_code


def test_who_forges_what_a_job_says_changes_nothing(hub, cluster, program):
    hub.start_server("bhbob", options=SMALL)
    own, _ = secrets_of(hub, "bhbob")
    hub.ask_server("bhanna", "slow", SMALL)
    wait_for(lambda: start_of(hub, "bhanna", "slow").get("url"))
    start = start_of(hub, "bhanna", "slow")
    nonce, port = start["job"].rpartition("-")[2], int(start["url"].rpartition(":")[2])
    with listening(cluster, program) as heard:
        for token in ("", "0" * 32, own, hub.token("bhbob")):
            for at in (FIRST + 1, port):
                assert announce(hub, token, nonce=nonce, port=at, addresses=[address()]) in (403, 404)
                assert announce(hub, token, nonce=nonce, port=at, listening=True) in (403, 404)
                assert announce(hub, token, nonce=nonce, port=at, ended=0) in (403, 404)
        mine = start_of(hub, "bhbob")["job"].rpartition("-")[2]
        assert announce(hub, own, nonce=mine, port=FIRST + 1, addresses=[address()]) == 403  # it runs already
        hub.wait_ready("bhanna", "slow")
        assert hub.as_user("bhanna").get("user/bhanna/slow/api").json()["environment"]["USER"] == "bhanna"
    assert [said for said in heard if not LOOK.fullmatch(said)] == []
    hub.stop_server("bhanna", "slow")
    hub.stop_server("bhbob")
