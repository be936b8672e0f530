"""What ``beamhub check --from`` prints starts servers on a real Slurm, once what it cannot know is filled in."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from services.hub import RunningHub
from services.slurm import PEOPLE, Cluster, slurm
from services.slurm_hub import job_of, slurm_hub

from beamhub.spawner.catalogue import NOWHERE
from beamhub.spawner.moving.translation import UNKNOWN_HUB, translate

pytestmark = pytest.mark.slurm
FORMER = """
c.JupyterHub.spawner_class = "wrapspawner.ProfilesSpawner"
c.Spawner.cmd = ["/usr/bin/jupyterhub-singleuser"]
c.SlurmSpawner.req_partition = "short"
c.SlurmSpawner.req_options = "--comment=moved --exclusive"
c.SlurmSpawner.batch_script = '''#!/bin/bash -l
#SBATCH --partition={{partition}} --mem={{memory}} --cpus-per-task={{nprocs}} --time={{runtime}}
#SBATCH --output={{homedir}}/jupyterhub_slurmspawner_%j.log
{% if options %}#SBATCH {{options}}{% endif %}
set -euo pipefail
export MOVED="by {{username}}"
srun {{cmd}}
'''
c.ProfilesSpawner.profiles = [
    ("Small", "small", "batchspawner.SlurmSpawner", dict(req_nprocs="2", req_memory="300", req_runtime="0:10:00")),
]
"""
HERE = """
    ports: 33000-34999
    slurm_conf: {conf}
    launcher: {launcher}
    networks: [{address}/32]"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with slurm("bhm") as running:
        yield running


@pytest.fixture(scope="module")
def hub(cluster: Cluster, tmp_path_factory) -> Iterator[RunningHub]:
    path: Path = tmp_path_factory.mktemp("former") / "jupyterhub_config.py"
    path.write_text(FORMER)
    text = translate(path).replace("{", "{{").replace("}", "}}").replace(UNKNOWN_HUB, "{hub_url}")
    (line,) = [line for line in text.splitlines() if NOWHERE in line]
    with slurm_hub(cluster, compute=text.replace(f"\n{line}", HERE)) as running:
        yield running


@pytest.mark.promise("batch system")
def test_a_server_of_a_profile_that_was_batchspawners_runs_as_its_job_did(hub, cluster):
    hub.start_server("bhanna", options={"profile": "small"})
    said = hub.as_user("bhanna").get("user/bhanna/api").json()
    assert (said["uid"], said["environment"]["MOVED"]) == (PEOPLE["bhanna"], "by bhanna")
    job = cluster.run("scontrol", "-o", "show", "job", job_of(hub, "bhanna")).stdout
    for part in (
        "Partition=short",
        "NumCPUs=16",
        "CPUs/Task=2",
        "TimeLimit=00:10:00",
        "Comment=moved",
        "MinMemoryNode=300M",
    ):
        assert f" {part} " in job, part
    hub.stop_server("bhanna")
