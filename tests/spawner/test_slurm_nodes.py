"""What nodes of a real Slurm do with servers: the kernel keeps their memory, Podman runs their images."""

import contextlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml
from services import cgroups
from services.hub import RunningHub, wait_for
from services.slurm import PEOPLE, Cluster, slurm
from services.slurm_hub import ended, image_in, job_of, over, slurm_hub, state_of

pytestmark = [pytest.mark.slurm, pytest.mark.promise("batch system")]
ROOT = Path(__file__).parent.parent.parent
EXAMPLE = yaml.safe_load((ROOT / "examples/slurm/podman.yaml").read_text())["sites"]["maxwell"]
IMAGE = "localhost/bhstub:1"
HERE = [
    "--runtime=/usr/sbin/runc",
    "--volume=/usr:/usr:ro",
    "--volume={stub}:{stub}:ro",
]  # crun needs cgroups of one kind
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
  boxes:
    <<: *site
    title: A cluster with Podman
    slurm_conf: {other}
    runtime: podman
    runtime_options: OPTIONS
    prologue: PROLOGUE
    epilogue: EPILOGUE
environments:
  python: {{title: Python, python: /usr/bin}}
  boxed: {{title: In an image, image: "IMAGE"}}
profiles:
  small:
    title: Small analysis
    sites: [cluster, boxes]
    environments: [python, boxed]
    cores: {{choices: [1, 2], default: 1}}
    memory: {{per_core: 200M}}
    walltime: {{choices: [1h], default: 1h}}
"""


BOXED = {"profile": "small", "site": "boxes", "environment": "boxed"}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Its jobs are held in cgroups where this computer has them."""
    with slurm("bhg", kind=Cluster if cgroups.missing() else cgroups.CgroupCluster) as running:
        yield running


@pytest.fixture(scope="module")
def images() -> Iterator[Path]:
    """A folder with an image, made of nothing, that all accounts and nodes may read."""
    with tempfile.TemporaryDirectory(prefix="bhimages") as name:
        folder = Path(name)
        image_in(folder / "image")
        subprocess.run(["tar", "-C", folder / "image", "-cf", folder / "image.tar", "."], check=True)
        options = [f"--root={folder}/store", f"--runroot={folder}/run", "--storage-driver=vfs", "--events-backend=none"]
        subprocess.run(["podman", *options, "import", folder / "image.tar", IMAGE], check=True, capture_output=True)
        subprocess.run(["chmod", "-R", "a+rX", folder], check=True)
        yield folder / "store"


@pytest.fixture(scope="module")
def plain() -> Iterator[Cluster]:
    """Its jobs are what their first process started."""
    with slurm("bhp") as running:
        yield running


@pytest.fixture(scope="module")
def hub(cluster: Cluster, plain: Cluster, images: Path) -> Iterator[RunningHub]:
    prologue = EXAMPLE["prologue"].replace("/software/images", str(images)).replace('"overlay"', '"vfs"')
    text = COMPUTE.replace("OPTIONS", json.dumps(EXAMPLE["runtime_options"] + HERE)).replace("IMAGE", IMAGE)
    text = text.replace("PROLOGUE", json.dumps(prologue)).replace("EPILOGUE", json.dumps(EXAMPLE["epilogue"]))
    with slurm_hub(cluster, plain, compute=text) as running:
        yield running


@pytest.mark.cgroup
def test_a_server_that_takes_more_memory_than_its_cgroup_has_is_told_so(hub, cluster):
    hub.start_server("bhanna", options={"profile": "small"})
    job = job_of(hub, "bhanna")
    with contextlib.suppress(httpx.HTTPError):
        hub.as_user("bhanna").get("user/bhanna/api/eat")
    hub.wait_gone("bhanna")
    assert state_of(cluster, job) == "OUT_OF_MEMORY"
    assert "It took more memory than it had. Choose more memory." in ended(hub, "bhanna")


def test_a_server_starts_in_an_image_that_podman_runs_and_leaves_nothing_when_it_is_stopped(hub, plain):
    hub.start_server("bhanna", options=BOXED)
    job = job_of(hub, "bhanna")
    said = hub.as_user("bhanna").get("user/bhanna/api").json()
    assert said["uid"] == PEOPLE["bhanna"]
    assert said["environment"]["SLURM_JOB_ID"] == job
    (server,) = in_images("stub_server")
    assert (server / "root/etc/in-the-image").exists()
    hub.stop_server("bhanna")
    wait_for(lambda: over(plain, job))
    assert_nothing_left(job)


def test_one_server_after_the_other_starts_in_an_image_and_leaves_nothing(hub, plain):
    """Podman cleans up beside the end of its own ``podman run``: what one leaves, a next one may wait for."""
    for _ in range(8):
        hub.start_server("bhanna", options=BOXED)
        job = job_of(hub, "bhanna")
        hub.stop_server("bhanna")
        wait_for(lambda job=job: over(plain, job))
        assert_nothing_left(job)


def test_after_a_server_in_an_image_was_killed_the_next_one_starts(hub, plain):
    hub.start_server("bhanna", options=BOXED)
    job = job_of(hub, "bhanna")
    try:
        plain.run("scancel", "--signal=KILL", "--full", job)
        hub.wait_gone("bhanna")
        hub.start_server("bhanna", options=BOXED)
        hub.stop_server("bhanna")
    finally:
        shutil.rmtree(f"/tmp/beamhub-{job}", ignore_errors=True)


def assert_nothing_left(job: str) -> None:
    wait_for(lambda: not list(in_images()))
    wait_for(lambda: not Path(f"/tmp/beamhub-{job}").exists())


def in_images(words: str = "") -> Iterator[Path]:
    """The processes of servers that run in images, and those above them."""
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if b"container=podman" in (path / "environ").read_bytes() and words in (path / "cmdline").read_text():
                yield path
