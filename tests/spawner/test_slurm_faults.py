"""What goes wrong at a cluster that is managed by people: nodes drained, jobs held, homes full, accounts removed."""

import contextlib
import ctypes
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from services.hub import RunningHub, wait_for
from services.slurm import NODES, PEOPLE, Cluster, address, slurm
from services.slurm_hub import (
    ended,
    job_of,
    left,
    no_room,
    over,
    refused,
    slurm_hub,
    state_of,
    wait_told,
)  # fmt: skip

pytestmark = [pytest.mark.slurm, pytest.mark.promise("batch system")]
SMALL = {"profile": "small"}
CLOSED = """
import os
import beamhub.spawner.announce as announce
ask = announce._ask
async def while_open(*where):
    return None if os.path.exists("closed") else await ask(*where)
announce._ask = while_open
"""
AT_ONCE = 'c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0}'  # who asks is answered before it is there


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with slurm() as running:
        yield running


@pytest.fixture(scope="module")
def hub(cluster: Cluster) -> Iterator[RunningHub]:
    with slurm_hub(cluster, extra=AT_ONCE + CLOSED) as running:
        yield running


@pytest.fixture(autouse=True)
def clean(hub: RunningHub, cluster: Cluster) -> Iterator[None]:
    yield
    for user in PEOPLE:
        hub.api("DELETE", f"users/{user}/server")
        hub.wait_gone(user)
    cluster.wait_idle()


def test_a_job_that_is_held_back_is_said_to_be_and_starts_when_it_is_let_go(hub, cluster):
    with no_room(cluster):
        hub.ask_server("bhanna", options=SMALL)
        job = wait_for(lambda: job_of(hub, "bhanna"))
        cluster.run("scontrol", "hold", job)
        wait_told(hub, "bhanna", "it is held back in the batch system")
    time.sleep(4)
    assert state_of(cluster, job) == "PENDING"
    cluster.run("scontrol", "release", job)
    hub.wait_ready("bhanna")
    assert job_of(hub, "bhanna") == job


def test_a_job_that_is_put_back_into_the_queue_is_said_to_be_and_does_not_begin_again(hub, cluster):
    hub.start_server("bhanna", options=SMALL)
    job = job_of(hub, "bhanna")
    refusal = cluster.run("scontrol", "requeue", job, check=False)
    assert refusal.returncode != 0
    time.sleep(4)
    assert hub.server("bhanna")["ready"]
    cluster.run("scontrol", "update", f"jobid={job}", "requeue=1")
    cluster.run("scontrol", "requeue", job)
    hub.wait_gone("bhanna")
    assert "put back into the queue" in ended(hub, "bhanna") or "ended from outside" in ended(hub, "bhanna")
    wait_for(lambda: over(cluster, job))


def test_nodes_that_are_drained_keep_their_servers_and_a_start_says_why_it_waits(hub, cluster):
    hub.start_server("bhanna", options=SMALL)
    nodes = f"{cluster.name}[1-{NODES}]"
    cluster.run("scontrol", "update", f"nodename={nodes}", "state=drain", "reason=repair")
    try:
        hub.ask_server("bhbob", options=SMALL)
        wait_told(hub, "bhbob", "down or reserved")
        assert hub.server("bhanna")["ready"]
        assert hub.as_user("bhanna").get("user/bhanna/api").status_code == 200
    finally:
        cluster.run("scontrol", "update", f"nodename={nodes}", "state=resume")
    hub.wait_ready("bhbob")


@contextlib.contextmanager
def maintenance(cluster: Cluster, begin: str) -> Iterator[tuple[str, str]]:
    """All nodes are reserved for an hour of maintenance; when that begins and ends, by the clock here."""
    which = ["reservationname=secret", "flags=maint,ignore_jobs", "nodes=ALL", "duration=60", "user=root"]
    cluster.run("scontrol", "create", "reservation", f"starttime={begin}", *which)
    try:
        said = cluster.run("scontrol", "-o", "show", "reservation").stdout
        begins, ends = (re.search(rf"{name}=\S+T(\d\d:\d\d)", said)[1] for name in ("StartTime", "EndTime"))
        yield begins, ends
    finally:
        cluster.run("scontrol", "delete", "reservation=secret")


def test_a_start_that_waits_for_maintenance_to_come_says_from_when_to_when_it_is(hub, cluster):
    with maintenance(cluster, "now+10minutes") as (begins, ends):
        hub.ask_server("bhanna", options=SMALL)
        said = wait_told(hub, "bhanna", f"maintenance from {begins}")
        assert re.search(rf" to {ends}[ :].*choose less time", said)
        assert "secret" not in said
        hub.start_server("bhbob", options={**SMALL, "walltime": "1m"})  # as it says
    hub.wait_ready("bhanna")


def test_a_start_in_the_middle_of_maintenance_says_until_when_it_is(hub, cluster):
    with maintenance(cluster, "now") as (_, ends):
        hub.ask_server("bhanna", options=SMALL)
        wait_told(hub, "bhanna", f"maintenance until {ends}")
    hub.wait_ready("bhanna")


def test_a_node_that_is_set_down_or_rebooted_is_said_to_have_failed(hub, cluster):
    hub.start_server("bhanna", options=SMALL)
    node = cluster.run("squeue", "-h", "-j", job_of(hub, "bhanna"), "-o", "%N").stdout.strip()
    cluster.run("scontrol", "update", f"nodename={node}", "state=down", "reason=reboot")
    try:
        hub.wait_gone("bhanna")
        assert "computer that it ran on failed" in ended(hub, "bhanna")
    finally:
        cluster.run("scontrol", "update", f"nodename={node}", "state=resume", check=False)  # it may have come back


def test_a_waiting_job_that_was_cancelled_by_hand_is_said_to_be(hub, cluster):
    with no_room(cluster):
        hub.ask_server("bhanna", options=SMALL)
        cluster.run("scancel", wait_for(lambda: job_of(hub, "bhanna")))
        wait_told(hub, "bhanna", "cancelled in the batch system")


def test_a_starting_job_that_was_cancelled_by_hand_is_said_to_be(hub, cluster):
    hub.ask_server("bhanna", "slow", SMALL)
    job = wait_for(lambda: job_of(hub, "bhanna", "slow"))
    wait_for(lambda: state_of(cluster, job) == "RUNNING")
    cluster.run("scancel", job)
    said = " ".join(str(event["message"]) for event in hub.progress("bhanna", "slow"))
    assert "cancelled in the batch system" in said
    hub.wait_gone("bhanna", "slow")


@contextlib.contextmanager
def removed(user: str) -> Iterator[None]:
    """An account is not there for a while, though programs of it run."""

    def replace(old: str, new: str) -> None:
        libc = ctypes.CDLL(None)
        assert libc.lckpwdf() == 0
        try:
            path, made = Path("/etc/passwd"), Path("/etc/passwd.beamhub")
            made.write_text(re.sub(f"^{old}:", f"{new}:", path.read_text(), flags=re.MULTILINE))
            made.chmod(0o644)
            made.replace(path)  # at once: others look accounts up meanwhile
        finally:
            libc.ulckpwdf()

    replace(user, f"{user}-gone")
    try:
        yield
    finally:
        replace(f"{user}-gone", user)


def test_a_server_whose_user_was_removed_is_not_forgotten_and_ends_when_the_account_is_back(hub, cluster):
    hub.start_server("bhdora", options=SMALL)
    job = job_of(hub, "bhdora")
    with removed("bhdora"):
        time.sleep(5)
        assert hub.server("bhdora")["ready"]
        hub.api("DELETE", "users/bhdora/server")
        wait_for(lambda: "no such account ('bhdora')" in hub.log())
        assert state_of(cluster, job) == "RUNNING"
    wait_for(lambda: over(cluster, job), 90)
    hub.wait_gone("bhdora")


@pytest.mark.root
def test_a_home_that_is_full_is_named_and_nothing_is_handed_in(hub, cluster):
    home = Path("/home/bhdora/.beamhub")
    home.mkdir(exist_ok=True)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size=64k,uid={PEOPLE['bhdora']},mode=700", "tmpfs", home], check=True
    )
    try:
        (home / "measured").write_bytes(bytes(60_000))
        before = cluster.jobs("-u", "bhdora")
        said = refused(hub, "bhdora")
        assert "/home/bhdora/.beamhub" in said
        assert "No space left" in said
        assert set(cluster.jobs("-u", "bhdora")) <= set(before)  # of which Slurm forgets those that ended
        (home / "measured").unlink()
        hub.start_server("bhdora", options=SMALL)
        hub.stop_server("bhdora")
        assert left(hub, "bhdora") == []
    finally:
        subprocess.run(["umount", "-l", home], check=True)
        shutil.rmtree(home)


@pytest.mark.parametrize("does", ["echo hello; echo world >&2", "sleep 30", "exit 1", "false; set -eu; cd /nowhere"])
def test_a_login_profile_that_prints_sleeps_or_fails_keeps_no_server_from_starting(hub, does):
    home = Path("/home/bhdora")
    kept = {path: path.read_bytes() for path in home.glob(".*") if path.is_file()}
    try:
        for name in (".profile", ".bash_profile", ".bashrc", ".bash_login"):
            (home / name).write_text(f"{does}\n")
        hub.start_server("bhdora", options=SMALL)
        assert hub.as_user("bhdora").get("user/bhdora/api").json()["uid"] == PEOPLE["bhdora"]
    finally:
        for name in (".profile", ".bash_profile", ".bashrc", ".bash_login"):
            (home / name).unlink()
        for path, content in kept.items():
            path.write_bytes(content)


@contextlib.contextmanager
def conf(cluster: Cluster, text: str | None) -> Iterator[None]:
    """The cluster's configuration is another one for a while, or none."""
    kept = cluster.conf.read_text()
    if text is None:
        cluster.conf.unlink()
    else:
        cluster.conf.write_text(text)
    try:
        yield
    finally:
        cluster.conf.write_text(kept)


def test_a_configuration_that_is_missing_ends_no_server_and_starts_are_refused_at_once(hub, cluster):
    hub.start_server("bhanna", options=SMALL)
    before = len(hub.log())
    with conf(cluster, None):
        wait_for(lambda: "Site cluster does not answer" in hub.log()[before:], 20)
        assert "does not answer at the moment" in refused(hub, "bhbob", site="cluster")
        assert hub.server("bhanna")["ready"]
    time.sleep(5)
    hub.start_server("bhbob", options=SMALL)
    assert hub.server("bhanna")["ready"]


def test_a_controller_whose_name_cannot_be_resolved_ends_no_server(hub, cluster):
    hub.start_server("bhanna", options=SMALL)
    wrong = cluster.conf.read_text().replace("(127.0.0.1)", "(controller.invalid)")
    before = len(hub.log())
    with conf(cluster, wrong):
        wait_for(lambda: "does not answer, its servers are left alone" in hub.log()[before:], 60)
        assert hub.server("bhanna")["ready"]
    wait_for(lambda: "Site cluster answers" in hub.log()[before:], 60)
    assert hub.server("bhanna")["ready"]


def test_a_node_that_is_reached_only_after_a_while_is_named_and_its_server_starts_then(hub):
    (hub.folder / "closed").touch()
    hub.ask_server("bhanna", options=SMALL)
    said = wait_told(hub, "bhanna", "gets no answer from it at")
    assert f"{address()} port 3" in said
    assert f"nc -vz {address()} 3" in hub.log()
    (hub.folder / "closed").unlink()
    hub.wait_ready("bhanna")


def test_a_prologue_of_the_clusters_that_fails_is_said_and_leaves_no_job(hub, cluster):
    script = cluster.folder / "etc/prolog"
    script.write_text("#!/bin/sh\nexit 1\n")
    script.chmod(0o755)
    cluster.reconfigure(f"Prolog={script}")
    try:
        said = refused(hub, "bhanna")
        assert "could not be made ready for it" in said
        assert "Error running slurm prolog" in said
        assert all(over(cluster, job) for job in cluster.jobs("-u", "bhanna"))
    finally:
        cluster.reconfigure("")
        cluster.run("scontrol", "update", f"nodename={cluster.name}[1-{NODES}]", "state=resume", check=False)
