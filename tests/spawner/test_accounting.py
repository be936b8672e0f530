"""Servers on a real Slurm that allows, limits and writes down jobs by an accounting database."""

import contextlib
import re
import shlex
import time
from collections.abc import Iterator

import pytest
from services.accounting import AccountedCluster
from services.hub import RunningHub, wait_for
from services.slurm import HUB, slurm
from services.slurm_hub import (
    away,
    ended,
    job_of,
    left,
    over,
    refused,
    slurm_hub,
    state_of,
    stopped,
    wait_told,
)

pytestmark = [pytest.mark.slurm, pytest.mark.promise("batch system")]
COMPUTE = """
sites:
  cluster: &site
    kind: slurm
    title: The cluster
    partitions: [short]
    hub_url: {hub_url}
    networks: [{address}/32]
    ports: 33000-34999
    slurm_conf: {conf}
    launcher: {launcher}
    start_timeout: 60s
    queue_timeout: 10m
  nowhere: {{<<: *site, title: An account that is not there, account: nowhere}}
  others: {{<<: *site, title: An account of others, account: others}}
  no_qos: {{<<: *site, title: A class of service that is not there, qos: nowhere}}
  not_my_qos: {{<<: *site, title: A class of service of others, qos: dear}}
  full: {{<<: *site, title: An account with few cores, account: full}}
  below: {{<<: *site, title: An account below one with few cores, account: below}}
  one: {{<<: *site, title: An account with one job at a time, account: one}}
  tight: {{<<: *site, title: A class of service with few cores for each, qos: tight}}
  little: {{<<: *site, title: A class of service for small jobs, qos: little}}
environments:
  python: {{title: Python, python: /usr/bin}}
profiles:
  small:
    title: Small analysis
    sites: [cluster, nowhere, others, no_qos, not_my_qos, full, below, one, tight, little]
    environments: [python]
    cores: {{choices: [1, 2, 16], default: 1}}
    memory: {{per_core: 200M}}
    walltime: {{choices: [1h], default: 1h}}
"""
SOON = "from beamhub.spawner.sites import slurm\nslurm.DATABASE = 2.0\n"
SLEEP = "#!/bin/sh\nsleep 600\n"


@pytest.fixture(scope="module")
def cluster() -> Iterator[AccountedCluster]:
    with slurm("bhc", kind=AccountedCluster) as running:
        running.account("physics", people=["bhanna", "bhbob"])
        running.account("others", people=["bhbob"])
        running.account("full", "GrpTRES=cpu=2", people=["bhanna", "bhbob"])
        running.account("below", "parent=full", people=["bhanna"])
        running.account("one", people=["bhanna"])
        running.manage("modify", "user", "bhanna", "where", "account=one", "set", "MaxJobs=1", "MaxSubmitJobs=2")
        running.manage("add", "qos", "dear")
        running.manage("add", "qos", "tight", "MaxTRESPerUser=cpu=1")
        running.manage("add", "qos", "little", "MaxTRESPerJob=cpu=1")
        running.manage("modify", "user", "bhanna", "where", "account=physics", "set", "qos+=tight,little")
        yield running


@pytest.fixture(scope="module")
def hub(cluster: AccountedCluster) -> Iterator[RunningHub]:
    with slurm_hub(cluster, compute=COMPUTE, extra=SOON) as running:
        yield running


@contextlib.contextmanager
def taken(cluster: AccountedCluster, *options: str, user: str) -> Iterator[str]:
    """Somebody's job runs for a while."""
    job = cluster.submit(SLEEP, *options, user=user)
    try:
        wait_for(lambda: state_of(cluster, job) == "RUNNING")
        yield job
    finally:
        cluster.run("scancel", job)


@pytest.mark.parametrize(
    ("site", "said"),
    [
        ("nowhere", "your account may not compute there"),
        ("others", "your account may not compute there"),
        ("no_qos", "your account may not use that class of service"),
        ("not_my_qos", "your account may not use that class of service"),
    ],
)
def test_an_account_or_class_of_service_that_one_may_not_use_is_refused_in_words_and_leaves_nothing(
    hub, cluster, site, said
):
    assert said in refused(hub, "bhanna", site=site)
    assert left(hub) == []


@pytest.mark.parametrize("site", ["full", "below"])
def test_a_limit_of_the_group_or_of_one_above_is_said_while_the_server_waits_for_it(hub, cluster, site):
    with taken(cluster, "--account=full", "--cpus-per-task=2", user="bhbob"):
        hub.ask_server("bhanna", options={"profile": "small", "site": site})
        wait_told(hub, "bhanna", "your group's limit of 2 cores is used up")
        assert state_of(cluster, job_of(hub, "bhanna")) == "PENDING"
    hub.wait_ready("bhanna")
    hub.stop_server("bhanna")


def test_a_limit_of_a_class_of_service_is_said_while_the_server_waits_for_it(hub, cluster):
    with taken(cluster, "--qos=tight", user="bhanna"):
        hub.ask_server("bhanna", options={"profile": "small", "site": "tight"})
        wait_told(hub, "bhanna", "your own limit of 1 core is used up")
    hub.wait_ready("bhanna")
    hub.stop_server("bhanna")


def test_who_asks_for_more_than_one_job_may_have_is_told_that_it_waits_for_nothing(hub):
    hub.ask_server("bhanna", options={"profile": "small", "site": "little", "cores": 2})
    wait_told(hub, "bhanna", "limit for one job: stop it, and choose less")
    hub.stop_server("bhanna")


def test_a_limit_of_jobs_is_said_while_the_server_waits_for_it(hub, cluster):
    with taken(cluster, "--account=one", user="bhanna"):
        hub.ask_server("bhanna", options={"profile": "small", "site": "one"})
        wait_told(hub, "bhanna", "as many jobs as you may have run already")
    hub.wait_ready("bhanna")
    hub.stop_server("bhanna")


def test_a_job_more_than_one_may_hand_in_is_refused_in_words_and_leaves_nothing(hub, cluster):
    with taken(cluster, "--account=one", user="bhanna"):
        second = cluster.submit(SLEEP, "--account=one", user="bhanna")
        said = refused(hub, "bhanna", site="one")
        cluster.run("scancel", second)
    assert "your or your group's limit is used up" in said
    assert left(hub) == []


def test_a_database_that_is_away_costs_no_server_and_no_start(hub, cluster):
    hub.start_server("bhanna", options={"profile": "small"})
    with taken(cluster, "--account=full", "--cpus-per-task=2", user="bhbob"):
        hub.ask_server("bhanna", "waits", {"profile": "small", "site": "full"})
        waits = wait_for(lambda: job_of(hub, "bhanna", "waits"))
        cluster.stop("slurmdbd")
        cluster.stop("mariadbd")
        hub.start_server("bhbob", "new", {"profile": "small"})
        cluster.stop("slurmctld")
        cluster.start("slurmctld")  # it knows accounts and limits from its own files
        cluster.wait_idle(2)
        assert "your account may not compute there" in refused(hub, "bhbob", site="nowhere")
        time.sleep(6)
        assert hub.server("bhanna")["ready"]
        assert hub.server("bhbob", "new")["ready"]
        assert state_of(cluster, waits) == "PENDING"
        cluster.start("mariadbd")
        cluster.start("slurmdbd")
    hub.wait_ready("bhanna", "waits")
    for user, name in (("bhanna", ""), ("bhanna", "waits"), ("bhbob", "new")):
        job = job_of(hub, user, name)
        hub.stop_server(user, name)
        wait_for(lambda job=job: over(cluster, job))


def mended(hub: RunningHub, cluster: AccountedCluster, after: int) -> str:
    """Do what the Hub's log, from a place on, says to do for it to see all jobs; what that was."""
    line = wait_for(lambda: re.search(r"Site cluster: .*(sacctmgr .*adminlevel=Operator)", hub.log()[after:]), 30)[1]
    assert cluster.run("squeue", "-h", user=HUB).stdout == ""
    cluster.run(*shlex.split(line))
    wait_for(lambda: "Site cluster shows all jobs now" in hub.log()[after:], 30)
    return str(line)


@pytest.fixture
def hiding(hub: RunningHub, cluster: AccountedCluster) -> Iterator[int]:
    """A Slurm that hides jobs from the Hub while a server runs; how long the Hub's log was before."""
    cluster.run("sacctmgr", "-i", "delete", "user", HUB, check=False)
    hub.start_server("bhanna", options={"profile": "small"})
    before = len(hub.log())
    cluster.reconfigure("PrivateData=jobs")
    yield before
    cluster.reconfigure("")


def test_the_line_that_the_log_says_where_jobs_are_hidden_mends_it(hub, cluster, hiding):
    first = mended(hub, cluster, hiding)
    cluster.run("scancel", job_of(hub, "bhanna"))
    hub.wait_gone("bhanna")
    assert "cancelled in the batch system" in ended(hub, "bhanna")
    after = len(hub.log())
    cluster.manage("modify", "user", HUB, "set", "adminlevel=None")
    assert mended(hub, cluster, after) != first  # the account is there by now


@pytest.mark.parametrize("how", [away, stopped], ids=["is away", "hangs"])
def test_while_the_database_cannot_be_asked_nobody_is_told_that_rights_are_missing(hub, cluster, hiding, how):
    mended(hub, cluster, hiding)
    after = len(hub.log())
    with how(cluster, "slurmdbd"):
        wait_for(lambda: re.search(r"Site cluster: .*sacctmgr", hub.log()[after:]))
        cluster.run("scancel", job_of(hub, "bhanna"))
        hub.wait_gone("bhanna")
        assert "cancelled in the batch system" in ended(hub, "bhanna")
    assert not re.search(r"Site cluster: .*adminlevel=Operator", hub.log()[after:])
