"""Servers on a real Slurm, started by a Hub that has no rights but one rule of sudo."""

import calendar
import contextlib
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from services.hub import RunningHub, wait_for
from services.slurm import PEOPLE, Cluster, slurm
from services.slurm_hub import (
    away,
    ended,
    job_of,
    left,
    no_room,
    over,
    refused,
    slurm_hub,
    start_of,
    state_of,
    stopped,
    wait_told,
)  # fmt: skip

pytestmark = [pytest.mark.slurm, pytest.mark.promise("batch system")]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with slurm() as running:
        yield running


@pytest.fixture(scope="module")
def other() -> Iterator[Cluster]:
    """A second cluster; the numbers of its jobs begin with 1, too."""
    with slurm("bhb") as running:
        yield running


@pytest.fixture(scope="module")
def hub(cluster: Cluster, other: Cluster) -> Iterator[RunningHub]:
    with slurm_hub(cluster, other) as running:
        yield running


def test_a_server_starts_as_a_job_of_its_user_answers_and_stops(hub, cluster):
    hub.start_server("bhanna", options={"profile": "small", "cores": 2})
    start = start_of(hub, "bhanna")
    job = start["child"]["id"]
    said = hub.as_user("bhanna").get("user/bhanna/api").json()
    assert said["uid"] == PEOPLE["bhanna"]
    assert said["environment"]["SLURM_JOB_ID"] == job
    assert said["environment"]["SLURM_CPUS_PER_TASK"] == "2"
    assert said["environment"]["BEAMHUB_SITE"] == "cluster"
    ends = time.strptime(said["environment"]["BEAMHUB_ENDS_AT"], "%Y-%m-%dT%H:%M:%SZ")
    assert 3500 < calendar.timegm(ends) - time.time() <= 3601
    wait_for(lambda: start_of(hub, "bhanna")["ends_at"], 20)
    assert abs(start_of(hub, "bhanna")["ends_at"] - time.time() - 3600) < 60
    (umask,) = [line for line in Path(f"/proc/{said['pid']}/status").read_text().splitlines() if "Umask" in line]
    assert umask.split() == ["Umask:", "0022"]
    home = Path("/home/bhanna/.beamhub") / start["job"]
    assert home.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in home.iterdir() if path.name != "job.log"} == {0o600}
    hub.stop_server("bhanna")
    wait_for(lambda: over(cluster, job), 10)
    assert state_of(cluster, job) == "CANCELLED"
    assert not home.exists()


def test_a_server_that_waits_says_why_and_is_cancelled_while_it_waits(hub, cluster):
    with no_room(cluster):
        hub.ask_server("bhanna", options={"profile": "small", "cores": 16})
        wait_told(hub, "bhanna", "free nodes are waited for")
        job = job_of(hub, "bhanna")
        assert state_of(cluster, job) == "PENDING"
        began = time.monotonic()
        hub.api("DELETE", "users/bhanna/server")
        wait_for(lambda: over(cluster, job), 20)
        assert time.monotonic() - began < 10
        hub.wait_gone("bhanna")


def test_a_job_that_was_cancelled_by_hand_is_said_to_be(hub, cluster):
    hub.start_server("bhbob", options={"profile": "small"})
    job = job_of(hub, "bhbob")
    cluster.run("scancel", job)
    hub.wait_gone("bhbob")
    assert "cancelled in the batch system" in hub.server("bhbob")["state"]["kept"]["ended"]


def test_a_server_outlives_the_hub_and_is_stopped_by_the_next(hub, cluster):
    hub.start_server("bhanna", options={"profile": "small"})
    job = job_of(hub, "bhanna")
    hub.kill()
    hub.start()
    hub.wait_ready("bhanna")
    assert job_of(hub, "bhanna") == job
    assert hub.as_user("bhanna").get("user/bhanna/api").json()["environment"]["SLURM_JOB_ID"] == job
    hub.stop_server("bhanna")
    wait_for(lambda: over(cluster, job), 10)


def test_a_controller_that_is_away_ends_no_server(hub, cluster):
    hub.start_server("bhanna", options={"profile": "small"})
    job = job_of(hub, "bhanna")
    cluster.stop("slurmctld")
    try:
        time.sleep(25)
        assert hub.server("bhanna")["ready"]
        assert hub.as_user("bhanna").get("user/bhanna/api").status_code == 200
    finally:
        cluster.start("slurmctld")
    cluster.wait_idle(3)
    time.sleep(8)
    assert hub.server("bhanna")["ready"]
    hub.stop_server("bhanna")
    wait_for(lambda: over(cluster, job), 20)


def test_a_munged_that_is_away_ends_no_server(hub, cluster):
    hub.start_server("bhanna", options={"profile": "small"})
    with away(cluster, "munged"):
        time.sleep(7)  # after ten seconds Slurm itself calls its nodes down
        assert hub.server("bhanna")["ready"]
    time.sleep(5)
    assert hub.server("bhanna")["ready"]
    hub.stop_server("bhanna")


def test_a_submit_that_timed_out_and_took_effect_all_the_same_becomes_the_server(hub, cluster):
    with stopped(cluster):
        hub.ask_server("bhanna", options={"profile": "small"})
        time.sleep(9)  # sbatch gives up after 5
    hub.wait_ready("bhanna")
    assert hub.as_user("bhanna").get("user/bhanna/api").json()["environment"]["SLURM_JOB_ID"] == job_of(hub, "bhanna")
    hub.stop_server("bhanna")


@pytest.mark.parametrize("how", [stopped, lambda cluster: away(cluster, "slurmctld")], ids=["hangs", "is away"])
def test_a_cancel_that_the_controller_did_not_hear_is_repeated_until_it_does(hub, cluster, how):
    hub.start_server("bhanna", options={"profile": "small"})
    job = job_of(hub, "bhanna")
    with how(cluster):
        hub.api("DELETE", "users/bhanna/server")
        time.sleep(8)
    wait_for(lambda: over(cluster, job), 60)
    hub.wait_gone("bhanna")


def test_a_job_whose_server_was_stopped_by_a_hub_that_then_died_is_ended_by_the_next(hub, cluster):
    hub.start_server("bhanna", options={"profile": "small"})
    job = job_of(hub, "bhanna")
    with away(cluster, "slurmctld"):
        hub.api("DELETE", "users/bhanna/server")
        hub.wait_gone("bhanna", within_s=90)
        hub.kill()
    assert not over(cluster, job)
    hub.start()
    wait_for(lambda: over(cluster, job), 60)


def test_a_job_that_belongs_to_no_server_is_ended_and_one_of_somebody_else_with_a_lying_name_is_not(hub, cluster):
    name = f"bh-{hub.mark}-4711-0123456789"
    ours = cluster.submit("#!/bin/sh\nsleep 600\n", f"--job-name={name}", user="bhanna")
    victim = cluster.submit("#!/bin/sh\nsleep 600\n", "--job-name=mine", user="bhbob")
    liar = cluster.submit(
        "#!/bin/sh\nsleep 600\n", f"--job-name=x\nbhbob|bh-{hub.mark}-{victim}-0123456789", user="bhanna"
    )
    wait_for(lambda: over(cluster, ours), 40)
    time.sleep(8)
    assert not over(cluster, victim)
    assert not over(cluster, liar)
    cluster.run("scancel", victim, liar)


def test_a_suspended_server_is_alive_and_goes_on(hub, cluster):
    hub.start_server("bhanna", options={"profile": "small"})
    job = job_of(hub, "bhanna")
    cluster.run("scontrol", "suspend", job)
    time.sleep(8)
    assert hub.server("bhanna")["ready"]
    cluster.run("scontrol", "resume", job)
    wait_for(lambda: hub.as_user("bhanna").get("user/bhanna/api").status_code == 200)
    hub.stop_server("bhanna")


def test_a_server_that_ends_by_itself_is_noticed_at_once_and_said_with_its_last_lines(hub, cluster):
    hub.start_server("bhanna", options={"profile": "small"})
    job = job_of(hub, "bhanna")
    began = time.monotonic()
    with contextlib.suppress(httpx.HTTPError):
        hub.as_user("bhanna").get("user/bhanna/api/die")
    hub.wait_gone("bhanna")
    assert time.monotonic() - began < 5
    assert "code 7" in ended(hub, "bhanna")
    assert "the stub was told to die" in ended(hub, "bhanna")
    wait_for(lambda: over(cluster, job), 10)


def test_an_environment_that_is_not_on_the_node_is_named(hub):
    assert "there is no Python in /nowhere/bin on" in refused(hub, "bhanna", environment="gone")


def test_a_refusal_of_slurms_is_said_in_words_and_leaves_nothing(hub):
    said = refused(hub, "bhanna", site="closed")
    assert "your groups may not use that queue" in said
    assert left(hub) == []


def test_a_folder_that_cannot_be_written_is_named(hub):
    folder = Path("/home/bhcarl/.beamhub")
    folder.mkdir(exist_ok=True)
    shutil.chown(folder, "root", "root")
    folder.chmod(0o755)
    try:
        assert "/home/bhcarl/.beamhub" in refused(hub, "bhcarl")
    finally:
        shutil.rmtree(folder)


def test_who_has_no_account_there_reads_that(hub):
    assert "no such account ('stranger')" in refused(hub, "stranger")


def test_a_node_that_fails_is_said(hub, cluster):
    hub.start_server("bhanna", options={"profile": "small"})
    job = job_of(hub, "bhanna")
    node = cluster.run("squeue", "-h", "-j", job, "-o", "%N").stdout.strip()
    cluster.stop(f"slurmd.{node}", signal.SIGKILL)
    try:
        hub.wait_gone("bhanna", within_s=90)
        assert "computer that it ran on failed" in ended(hub, "bhanna")
    finally:
        cluster.start(f"slurmd.{node}")
        cluster.wait_idle()


def test_no_secret_is_anywhere_but_in_its_file(hub, cluster):
    hub.start_server("bhanna", options={"profile": "small"})
    start = start_of(hub, "bhanna")
    folder = Path("/home/bhanna/.beamhub") / start["job"]
    secrets_ = {(folder / name).read_text() for name in ("token", "secret")}
    shown = cluster.run("scontrol", "-o", "show", "job", job_of(hub, "bhanna")).stdout
    script = cluster.run("scontrol", "write", "batch_script", job_of(hub, "bhanna"), "-").stdout
    arguments = "".join(path.read_text(errors="replace") for path in command_lines())
    for place in (shown, script, arguments, hub.log(), str(start), (folder / "start.json").read_text()):
        assert not any(one in place for one in secrets_)
    hub.stop_server("bhanna")
    assert not folder.exists()


def command_lines() -> Iterator[Path]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            path.read_bytes()
            yield path


def test_ten_servers_at_once_all_start_and_all_stop(hub, cluster):
    names = [f"s{number}" for number in range(10)]
    for name in names:
        hub.ask_server("bhanna", name, {"profile": "small"})
    for name in names:
        hub.wait_ready("bhanna", name)
    jobs = {job_of(hub, "bhanna", name) for name in names}
    assert len(jobs) == 10
    for name in names:
        hub.api("DELETE", f"users/bhanna/servers/{name}")
    wait_for(lambda: all(over(cluster, job) for job in jobs), 30)
    for name in names:
        hub.wait_gone("bhanna", name)


@pytest.mark.parametrize("after", [1.0, 4.0])
def test_a_hub_that_is_killed_while_a_server_starts_loses_none_and_leaves_none(hub, cluster, after):
    hub.ask_server("bhanna", "slow", {"profile": "small"})
    time.sleep(after)
    hub.kill()
    hub.start()
    wait_for(lambda: not (hub.server("bhanna", "slow") or {}).get("pending"), 60)
    time.sleep(1)
    alive = {job for job, state in cluster.jobs("-u", "bhanna").items() if state in ("RUNNING", "PENDING")}
    if (hub.server("bhanna", "slow") or {}).get("ready"):
        assert alive == {job_of(hub, "bhanna", "slow")}
        hub.stop_server("bhanna", "slow")
    wait_for(lambda: all(over(cluster, job) for job in alive), 30)


def test_a_server_starts_in_a_container_image(hub, cluster):
    hub.start_server("bhanna", options={"profile": "small", "environment": "boxed"})
    said = hub.as_user("bhanna").get("user/bhanna/api").json()
    root = Path(f"/proc/{said['pid']}/root")
    assert said["environment"]["SLURM_JOB_ID"] == job_of(hub, "bhanna")
    assert (root / "etc/in-the-image").exists()
    hub.stop_server("bhanna")


def test_servers_of_two_clusters_are_told_apart_though_their_numbers_are_the_same(hub, cluster, other):
    last = {one.name: int(one.submit("#!/bin/sh\nexit\n")) for one in (cluster, other)}
    behind = min((cluster, other), key=lambda one: last[one.name])
    for _ in range(abs(last[cluster.name] - last[other.name])):
        behind.submit("#!/bin/sh\nexit\n")
    hub.start_server("bhanna", "one", {"profile": "small", "site": "cluster"})
    hub.start_server("bhanna", "two", {"profile": "small", "site": "other"})
    job = job_of(hub, "bhanna", "one")
    assert job_of(hub, "bhanna", "two") == job
    hub.stop_server("bhanna", "one")
    wait_for(lambda: state_of(cluster, job) == "CANCELLED")
    time.sleep(8)
    assert state_of(other, job) == "RUNNING"
    assert hub.server("bhanna", "two")["ready"]
    hub.stop_server("bhanna", "two")
    wait_for(lambda: state_of(other, job) == "CANCELLED")


def test_jobs_that_are_hidden_from_the_hub_are_not_gone_and_what_to_do_is_said(hub, cluster):
    hub.start_server("bhanna", options={"profile": "small"})
    job = job_of(hub, "bhanna")
    cluster.reconfigure("PrivateData=jobs,nodes")
    try:
        wait_for(lambda: "PrivateData=jobs" in hub.log(), 30)
        time.sleep(8)
        assert hub.server("bhanna")["ready"]
        began = time.monotonic()
        hub.stop_server("bhanna")
        assert time.monotonic() - began < 15
        hub.start_server("bhbob", options={"profile": "small"})
        with contextlib.suppress(httpx.HTTPError):
            hub.as_user("bhbob").get("user/bhbob/api/die")
        hub.wait_gone("bhbob")
    finally:
        after = len(hub.log())
        cluster.reconfigure("")
    wait_for(lambda: over(cluster, job), 10)
    for site in ("cluster", "closed", "low"):  # until then what ended there is known less well
        wait_for(lambda site=site: f"Site {site} shows all jobs now" in hub.log()[after:], 30)


def test_a_server_that_takes_more_memory_than_it_had_is_ended_and_said_to_be(hub, cluster):
    hub.start_server("bhanna", options={"profile": "small"})
    with contextlib.suppress(httpx.HTTPError):
        hub.as_user("bhanna").get("user/bhanna/api/eat")
    hub.wait_gone("bhanna")
    assert "took more memory than it had" in ended(hub, "bhanna")
    assert "exceeded memory limit" in ended(hub, "bhanna")


def test_a_server_whose_place_another_job_takes_is_said_to_have_lost_it(hub, cluster):
    hub.start_server("bhanna", options={"profile": "small", "site": "low"})
    blocking = [cluster.submit("#!/bin/sh\nsleep 600\n", "-p", "high", "--exclusive", "-N1") for _ in range(4)]
    try:
        hub.wait_gone("bhanna")
        assert "goes before yours" in ended(hub, "bhanna")
    finally:
        cluster.run("scancel", *blocking)
    cluster.wait_idle()


def test_a_server_whose_time_is_over_is_said_to_have_ended_by_that(hub, cluster):
    hub.start_server("bhanna", options={"profile": "small", "walltime": "1m"})
    hub.wait_gone("bhanna", within_s=150)
    assert ended(hub, "bhanna") == "Your server's time was over."
