"""Servers on a real Grid Engine, started by a Hub that has no rights but one rule of sudo."""

import calendar
import contextlib
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from services.gridengine import CELL, SLOTS, Cluster, gridengine
from services.hub import STUB, RunningHub, wait_for
from services.launcher import installed
from services.slurm import HUB, PEOPLE, address
from services.slurm_hub import ended, job_of, left, refused, start_of, wait_told

pytestmark = [pytest.mark.gridengine, pytest.mark.promise("batch system")]
COMPUTE = """
sites:
  cluster: &site
    kind: gridengine
    title: The cluster
    partitions: [all.q]
    memory_resource: h_vmem
    hub_url: {hub_url}
    networks: [{address}/32]
    ports: 33000-34999
    sge_root: {root}
    sge_cell: {cell}
    qmaster_port: {master}
    execd_port: {execd}
    launcher: {launcher}
    start_timeout: 60s
    queue_timeout: 10m
  nowhere: {{<<: *site, title: The part that is not there, partitions: [nowhere.q]}}
  closed: {{<<: *site, title: The closed part, partitions: [closed.q]}}
  broken: {{<<: *site, title: The part that cannot begin, directives: [-o /nowhere/at/all]}}
environments:
  python: {{title: Python, python: /usr/bin}}
  gone: {{title: Not there, python: /nowhere/bin}}
profiles:
  small: &profile
    title: Small analysis
    sites: [cluster]
    environments: [python, gone]
    cores: {{choices: [1, 2, 64], default: 1}}
    memory: 2G
    walltime: {{choices: [1m, 1h], default: 1h}}
  elsewhere: {{<<: *profile, title: What is refused, sites: [nowhere, closed, broken]}}
"""
EXTRA = """
import beamhub.spawner.sites.batch as batch
from beamhub.spawner import reconcile
batch.BatchSite.interval = 3.0
reconcile.SECOND_LOOK = 2.0
reconcile.keep_clean.__defaults__ = (reconcile.known_jobs, 5.0)
c.Spawner.environment = {
    "STUB_SLEEP": lambda spawner: "8" if spawner.name.startswith("slow") else "0",
}
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with gridengine() as running:
        yield running


@pytest.fixture(scope="module")
def hub(cluster: Cluster) -> Iterator[RunningHub]:
    folder = Path(tempfile.mkdtemp(prefix="bhhub"))
    stub = Path(tempfile.mkdtemp(prefix="bhstub"))  # where every account can read it; the Hub's own files are not
    stub.chmod(0o755)
    command = ["/usr/bin/python3", shutil.copy(STUB[1], stub)]
    running = RunningHub(folder, users=[*PEOPLE, "stranger"], extra=EXTRA, host=address(), account=HUB, command=command)
    compute = COMPUTE.format(
        hub_url=running.url.rstrip("/"), address=address(), root=cluster.folder, cell=CELL, launcher="@LAUNCHER@",
        master=cluster.environment["SGE_QMASTER_PORT"], execd=cluster.environment["SGE_EXECD_PORT"],
    )  # fmt: skip
    (folder / "compute.yaml").write_text(compute)
    try:
        with installed(folder / "compute.yaml", running.mark), running:
            yield running
    finally:
        shutil.rmtree(folder)
        shutil.rmtree(stub)


def over(cluster: Cluster, job: str) -> bool:
    return job not in cluster.jobs()


@contextlib.contextmanager
def full(cluster: Cluster) -> Iterator[str]:
    """All slots are taken by one job, which ends with this."""
    job = cluster.submit("#!/bin/sh\nsleep 600\n", "-S", "/bin/sh", "-q", "all.q", "-pe", "smp", str(SLOTS))
    try:
        wait_for(lambda: cluster.jobs().get(job) == "r", 20)
        yield job
    finally:
        cluster.run("qdel", job, check=False)
        wait_for(lambda: over(cluster, job), 20)


def test_a_server_starts_as_a_job_of_its_user_answers_and_stops(hub, cluster):
    hub.start_server("bhanna", options={"profile": "small", "cores": 2})
    start = start_of(hub, "bhanna")
    job = start["child"]["id"]
    said = hub.as_user("bhanna").get("user/bhanna/api").json()
    assert said["uid"] == PEOPLE["bhanna"]
    assert said["environment"]["JOB_ID"] == job
    assert said["environment"]["NSLOTS"] == "2"
    assert said["environment"]["BEAMHUB_SITE"] == "cluster"
    ends = time.strptime(said["environment"]["BEAMHUB_ENDS_AT"], "%Y-%m-%dT%H:%M:%SZ")
    assert 3500 < calendar.timegm(ends) - time.time() <= 3601
    wait_for(lambda: start_of(hub, "bhanna")["ends_at"], 20)
    assert abs(start_of(hub, "bhanna")["ends_at"] - time.time() - 3600) < 60
    home = Path("/home/bhanna/.beamhub") / start["job"]
    assert home.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in home.iterdir() if path.name != "job.log"} == {0o600}
    assert "h_vmem=1024M" in cluster.run("qstat", "-j", job).stdout
    hub.stop_server("bhanna")
    wait_for(lambda: over(cluster, job), 20)
    assert not home.exists()


def test_a_server_that_waits_says_why_and_how_many_come_before_it_and_is_cancelled_while_it_waits(hub, cluster):
    with full(cluster):
        first = cluster.submit("#!/bin/sh\nsleep 600\n", "-q", "all.q", "-pe", "smp", str(SLOTS), "-p", "0")
        hub.ask_server("bhbob", options={"profile": "small", "cores": 1})
        job = wait_for(lambda: job_of(hub, "bhbob"))
        wait_for(lambda: cluster.jobs().get(job) == "qw", 20)
        said = wait_told(hub, "bhbob", "In the queue: free nodes are waited for")
        hub.api("DELETE", "users/bhbob/server")
        wait_for(lambda: over(cluster, job), 20)
        hub.wait_gone("bhbob")
        cluster.run("qdel", first)
    assert "1 job before yours" in said


def test_a_job_that_was_deleted_by_hand_is_said_to_be(hub, cluster):
    hub.start_server("bhbob", options={"profile": "small"})
    cluster.run("qdel", job_of(hub, "bhbob"))
    hub.wait_gone("bhbob")
    assert "cancelled in the batch system, not from here" in ended(hub, "bhbob")


def test_a_server_outlives_the_hub_and_is_stopped_by_the_next(hub, cluster):
    hub.start_server("bhanna", options={"profile": "small"})
    job = job_of(hub, "bhanna")
    hub.kill()
    hub.start()
    hub.wait_ready("bhanna")
    assert job_of(hub, "bhanna") == job
    assert hub.as_user("bhanna").get("user/bhanna/api").json()["environment"]["JOB_ID"] == job
    hub.stop_server("bhanna")
    wait_for(lambda: over(cluster, job), 20)


def test_a_server_that_waits_is_found_again_by_the_next_hub_which_starts_or_cancels_it(hub, cluster):
    with full(cluster):
        for user in ("bhanna", "bhbob"):
            hub.ask_server(user, options={"profile": "small"})
        jobs = {user: wait_for(lambda user=user: job_of(hub, user)) for user in ("bhanna", "bhbob")}
        wait_for(lambda: all(cluster.jobs().get(job) == "qw" for job in jobs.values()), 20)
        hub.kill()
        hub.start()
        time.sleep(8)
        assert {cluster.jobs().get(job) for job in jobs.values()} == {"qw"}
        hub.api("DELETE", "users/bhbob/server")
        wait_for(lambda: over(cluster, jobs["bhbob"]), 30)
    hub.wait_ready("bhanna")
    assert job_of(hub, "bhanna") == jobs["bhanna"]
    hub.stop_server("bhanna")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGSTOP], ids=["is away", "hangs"])
def test_a_master_that_does_not_answer_ends_no_server(hub, cluster, how):
    hub.start_server("bhanna", options={"profile": "small"})
    job = job_of(hub, "bhanna")
    before = len(hub.log())
    cluster.stop("qmaster", how)
    try:
        wait_for(lambda: "does not answer, its servers are left alone" in hub.log()[before:], 60)
        time.sleep(10)
        assert hub.server("bhanna")["ready"]
        assert hub.as_user("bhanna").get("user/bhanna/api").status_code == 200
    finally:
        if how == signal.SIGSTOP:
            cluster.stop("qmaster", signal.SIGCONT)
        else:
            cluster.start("qmaster")
    cluster.wait_up()
    wait_for(lambda: "Site cluster answers" in hub.log()[before:], 60)
    time.sleep(8)
    assert hub.server("bhanna")["ready"]
    hub.stop_server("bhanna")
    wait_for(lambda: over(cluster, job), 20)


def test_a_node_whose_daemon_is_away_ends_no_server(hub, cluster):
    hub.start_server("bhanna", options={"profile": "small"})
    job = job_of(hub, "bhanna")
    cluster.stop("execd", signal.SIGKILL)
    try:
        wait_for(lambda: "<state>u</state>" in cluster.run("qstat", "-f", "-q", "all.q", "-xml").stdout, 60)
        time.sleep(5)
        assert hub.server("bhanna")["ready"]
    finally:
        cluster.start("execd")
    cluster.wait_up()
    time.sleep(8)
    assert hub.as_user("bhanna").get("user/bhanna/api").json()["environment"]["JOB_ID"] == job
    hub.stop_server("bhanna")
    wait_for(lambda: over(cluster, job), 120)  # its daemon has to find it again


@pytest.mark.parametrize("after", [0.05, 0.5, 2.0])
def test_a_hub_that_is_killed_while_a_server_starts_loses_none_and_leaves_none(hub, cluster, after):
    hub.ask_server("bhanna", "slow", {"profile": "small"})
    time.sleep(after)
    hub.kill()
    hub.start()
    wait_for(lambda: not (hub.server("bhanna", "slow") or {}).get("pending"), 60)
    time.sleep(1)
    alive = set(cluster.jobs())
    if (hub.server("bhanna", "slow") or {}).get("ready"):
        assert alive == {job_of(hub, "bhanna", "slow")}
        hub.stop_server("bhanna", "slow")
    wait_for(lambda: not cluster.jobs(), 30)


def test_a_cancel_that_the_master_did_not_hear_is_repeated_until_it_does(hub, cluster):
    hub.start_server("bhanna", options={"profile": "small"})
    job = job_of(hub, "bhanna")
    cluster.stop("qmaster")
    try:
        hub.api("DELETE", "users/bhanna/server")
        time.sleep(8)
    finally:
        cluster.start("qmaster")
    wait_for(lambda: over(cluster, job), 60)
    hub.wait_gone("bhanna")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"profile": "elsewhere", "site": "nowhere"}, "the queue that the operator named is not there"),
        ({"profile": "elsewhere", "site": "closed"}, "your account may not use the queue"),
        ({"cores": 64}, "it is too large"),
    ],
    ids=["unknown queue", "closed queue", "too large"],
)
def test_a_refusal_of_grid_engines_is_said_in_words_and_leaves_nothing(hub, cluster, options, said):
    assert said in refused(hub, "bhanna", **options)
    assert left(hub) == []
    assert "bhanna" not in cluster.run("qstat", "-u", "bhanna").stdout


def test_a_job_that_grid_engine_cannot_begin_ends_the_start_with_its_words_and_is_removed(hub, cluster):
    said = refused(hub, "bhanna", profile="elsewhere", site="broken")
    assert "could not begin it" in said
    assert "/nowhere/at/all" in said
    wait_for(lambda: not cluster.jobs(), 40)


def test_an_environment_that_is_not_on_the_node_is_named(hub):
    assert "there is no Python in /nowhere/bin on" in refused(hub, "bhanna", environment="gone")


def test_a_job_that_belongs_to_no_server_is_ended_and_those_of_others_with_lying_names_are_not(hub, cluster):
    name = f"bh-{hub.mark}-4711-0123456789"
    ours = cluster.submit("#!/bin/sh\nsleep 600\n", "-S", "/bin/sh", "-N", name)
    others = [
        cluster.submit("#!/bin/sh\nsleep 600\n", "-S", "/bin/sh", "-N", lie, user="bhbob")
        for lie in (f"{name},x", f"x]]>{name}", f"</JB_name><JB_name>{name}".replace("/", "|"))
    ]
    wait_for(lambda: over(cluster, ours), 40)
    time.sleep(8)
    assert set(others) <= set(cluster.jobs())
    cluster.run("qdel", *others)


def test_a_server_that_ends_by_itself_is_noticed_at_once_and_said_with_its_last_lines(hub, cluster):
    hub.start_server("bhanna", options={"profile": "small"})
    job = job_of(hub, "bhanna")
    with contextlib.suppress(httpx.HTTPError):
        hub.as_user("bhanna").get("user/bhanna/api/die")
    hub.wait_gone("bhanna")
    assert "code 7" in ended(hub, "bhanna")
    assert "the stub was told to die" in ended(hub, "bhanna")
    wait_for(lambda: over(cluster, job), 20)


def test_no_secret_is_anywhere_but_in_its_file_and_nothing_of_the_hubs_environment_in_the_job(hub, cluster):
    hub.start_server("bhanna", options={"profile": "small"})
    start = start_of(hub, "bhanna")
    folder = Path("/home/bhanna/.beamhub") / start["job"]
    secrets_ = {(folder / name).read_text() for name in ("token", "secret")}
    shown = cluster.run("qstat", "-j", job_of(hub, "bhanna")).stdout
    scripts = "".join(path.read_text() for path in cluster.folder.rglob("job_scripts/*"))
    assert start["job"] in scripts
    for place in (shown, scripts, hub.log(), str(start), (folder / "start.json").read_text()):
        assert not any(one in place for one in secrets_)
    assert "BEAMHUB_TEST" not in hub.as_user("bhanna").get("user/bhanna/api").json()["environment"]
    hub.stop_server("bhanna")
    assert not folder.exists()


def test_a_server_whose_time_is_over_is_said_to_have_ended_by_that(hub, cluster):
    hub.start_server("bhanna", options={"profile": "small", "walltime": "1m"})
    hub.wait_gone("bhanna", within_s=180)
    assert ended(hub, "bhanna") == "Your server's time was over."
