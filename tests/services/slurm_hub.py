"""A Hub in front of a real Slurm, which has no rights but one rule of sudo, and what tests look at there."""

import contextlib
import json
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
from services.hub import STUB, RunningHub, wait_for
from services.launcher import installed
from services.slurm import HUB, NODES, PEOPLE, Cluster, address

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
    runtime: charliecloud
    runtime_options: ["--bind=/usr:/usr"]
  closed: {{<<: *site, title: The closed part, partitions: [closed]}}
  low: {{<<: *site, title: The part where others go before, partitions: [low]}}
  other: {{<<: *site, title: The other cluster, slurm_conf: {other}}}
environments:
  python: {{title: Python, python: /usr/bin}}
  gone: {{title: Not there, python: /nowhere/bin}}
  boxed: {{title: In an image, image: {stub}/image}}
profiles:
  small:
    title: Small analysis
    sites: [cluster, closed, low, other]
    environments: [python, gone, boxed]
    cores: {{choices: [1, 2, 16], default: 1}}
    memory: {{per_core: 200M}}
    walltime: {{choices: [1m, 1h, 4h], default: 1h}}
"""
EXTRA = """
import beamhub.spawner.sites.batch as batch
from beamhub.spawner import reconcile
batch.BatchSite.interval = 3.0
batch.CHECK = 3.0
reconcile.SECOND_LOOK = 2.0
reconcile.keep_clean.__defaults__ = (reconcile.known_jobs, 5.0)
c.Spawner.environment = {
    "STUB_SLEEP": lambda spawner: "8" if spawner.name.startswith("slow") else "0",
    "STUB_DIE": lambda spawner: "3" if spawner.name.startswith("broken") else "",
}
"""


@contextlib.contextmanager
def slurm_hub(
    cluster: Cluster, other: Cluster | None = None, compute: str = COMPUTE, extra: str = "", traits: str = ""
) -> Iterator[RunningHub]:
    """Start a Hub in front of a cluster, as an account without rights; the launcher is made with ``traits``."""
    folder = Path(tempfile.mkdtemp(prefix="bhhub"))
    stub = Path(tempfile.mkdtemp(prefix="bhstub"))  # where every account can read it; the Hub's own files are not
    stub.chmod(0o755)
    image_in(stub / "image")
    command = ["/usr/bin/python3", shutil.copy(STUB[1], stub)]
    running = RunningHub(
        folder, users=[*PEOPLE, "stranger"], extra=EXTRA + extra + traits, host=address(), account=HUB, command=command
    )
    text = compute.format(
        hub_url=running.url.rstrip("/"), address=address(), conf=cluster.conf, launcher="@LAUNCHER@", stub=stub,
        other=(other or cluster).conf,
    )  # fmt: skip
    (folder / "compute.yaml").write_text(text)
    try:
        with installed(folder / "compute.yaml", running.mark, traits), running:
            yield running
    finally:
        shutil.rmtree(folder)
        shutil.rmtree(stub)


def image_in(folder: Path) -> None:
    """A container image, as small as can be: what is in it comes from the node."""
    for name in ("dev", "proc", "sys", "tmp", "home", "mnt", "etc", "usr", "run", "var", "root", "opt"):
        (folder / name).mkdir(parents=True)
    for name in ("passwd", "group", "hosts", "resolv.conf", "nsswitch.conf"):
        (folder / "etc" / name).touch()
    for name in ("bin", "sbin", "lib", "lib64"):
        (folder / name).symlink_to(f"usr/{name}")
    (folder / "etc/in-the-image").touch()
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o644)


def start_of(hub: RunningHub, user: str, name: str = "") -> dict:
    """What the Hub wrote down of a start."""
    return ((hub.server(user, name) or {}).get("state") or {}).get("start") or {}


def job_of(hub: RunningHub, user: str, name: str = "") -> str:
    """The id of a server's job."""
    return str((start_of(hub, user, name).get("child") or {}).get("id", ""))


def state_of(cluster: Cluster, job: str) -> str:
    """A job's state, as Slurm says it."""
    return cluster.jobs().get(job, "gone")


def over(cluster: Cluster, job: str) -> bool:
    """Whether a job has ended."""
    return state_of(cluster, job) not in ("PENDING", "RUNNING", "COMPLETING", "CONFIGURING")


def left(hub: RunningHub, user: str = "bhanna") -> list[Path]:
    """What this Hub's starts left in a user's home."""
    return list(Path(f"/home/{user}/.beamhub").glob(f"bh-{hub.mark}-*"))


@contextlib.contextmanager
def away(cluster: Cluster, part: str, idle: int = 3) -> Iterator[None]:
    """A part of Slurm is not there for a while; afterwards so many nodes are idle again."""
    cluster.stop(part)
    try:
        yield
    finally:
        cluster.start(part)
        cluster.wait_idle(idle)


@contextlib.contextmanager
def stopped(cluster: Cluster, part: str = "slurmctld") -> Iterator[None]:
    """A part of Slurm hangs for a while."""
    cluster.stop(part, signal.SIGSTOP)
    try:
        yield
    finally:
        cluster.stop(part, signal.SIGCONT)


def ended(hub: RunningHub, user: str, name: str = "") -> str:
    """What a person reads of how a server ended."""
    return str(hub.server(user, name)["state"]["kept"].get("ended", ""))


def refused(hub: RunningHub, user: str, **options) -> str:
    """What a person reads whose start did not work."""
    answer = hub.ask_server(user, options={"profile": "small", **options})
    if answer.status_code == 400:
        return str(answer.json()["message"])
    return " ".join(str(event["message"]) for event in hub.progress(user))


def wait_told(hub: RunningHub, user: str, words: str, within_s: float = 40.0) -> str:
    """Wait until a person who waits for a start reads something, and return the whole of it."""
    headers = {"Authorization": f"token {hub.token(user)}", "Accept": "text/event-stream"}
    url, said = f"{hub.url}hub/api/users/{user}/server/progress", []
    until = time.monotonic() + within_s
    with contextlib.suppress(httpx.ReadTimeout), httpx.stream("GET", url, headers=headers, timeout=within_s) as answer:
        for line in answer.iter_lines():
            said += [json.loads(line[5:])["message"]] if line.startswith("data:") else []
            if said and words in said[-1]:
                return str(said[-1])
            if time.monotonic() > until:
                break
    raise TimeoutError(f"{words!r} was not said, but {said}")


@contextlib.contextmanager
def no_room(cluster: Cluster) -> Iterator[list[str]]:
    """Jobs of somebody else fill all nodes."""
    blocking = [cluster.submit("#!/bin/sh\nsleep 600\n", "-p", "short", "--exclusive", "-N1") for _ in range(NODES)]
    try:
        wait_for(lambda: all(state_of(cluster, one) == "RUNNING" for one in blocking))
        yield blocking
    finally:
        cluster.run("scancel", *blocking)
