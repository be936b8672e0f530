"""batchspawner's settings in jupyterhub_config.py, in front of a real Slurm."""

import calendar
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from services.hub import RunningHub, wait_for
from services.slurm import Cluster, slurm
from services.slurm_hub import COMPUTE, job_of, over, slurm_hub, start_of

pytestmark = pytest.mark.slurm
TRAITS = """
c.SlurmSpawner.req_prologue = 'export CONFIGURED="for $USER"'
c.BatchSpawnerBase.req_epilogue = 'echo "$SLURM_JOB_ID" > "$HOME/epilogue"'
c.SlurmSpawner.req_runtime = "70"
"""
WITHOUT = "    walltime: {{choices: [1m, 1h, 4h], default: 1h}}\n"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with slurm("bhc") as running:
        yield running


@pytest.fixture(scope="module")
def hub(cluster: Cluster) -> Iterator[RunningHub]:
    assert WITHOUT in COMPUTE
    with slurm_hub(cluster, compute=COMPUTE.replace(WITHOUT, ""), traits=TRAITS) as running:
        yield running


@pytest.mark.promise("batch system")
def test_a_job_has_prologue_epilogue_and_time_limit_of_the_hubs_own_configuration(hub, cluster):
    hub.start_server("bhanna", options={"profile": "small"})
    job = job_of(hub, "bhanna")
    environment = hub.as_user("bhanna").get("user/bhanna/api").json()["environment"]
    assert environment["CONFIGURED"] == "for bhanna"
    assert " TimeLimit=01:10:00 " in cluster.run("scontrol", "-o", "show", "job", job).stdout
    ends = time.strptime(environment["BEAMHUB_ENDS_AT"], "%Y-%m-%dT%H:%M:%SZ")
    assert 4100 < calendar.timegm(ends) - time.time() <= 4201
    wait_for(lambda: start_of(hub, "bhanna")["ends_at"], 20)
    assert abs(start_of(hub, "bhanna")["ends_at"] - time.time() - 4200) < 60
    ran = Path("/home/bhanna/epilogue")
    try:
        hub.stop_server("bhanna")
        wait_for(lambda: over(cluster, job), 20)
        assert ran.read_text().strip() == job
    finally:
        ran.unlink(missing_ok=True)
