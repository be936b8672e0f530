"""A controller of Slurm's that is away for long, while servers run and others wait: what becomes of them."""

import contextlib
import time
from collections.abc import Callable, Iterator
from itertools import cycle

import httpx
from services.hub import RunningHub, wait_for
from services.slurm import Cluster, slurm
from services.slurm_hub import away, job_of, over, slurm_hub, state_of

RUNNING, WAITING, USER = 20, 5, "bhanna"
SITES = ("cluster", "low", "other")  # all of the one cluster: three ask while one command hangs
COUNTED = """
def counted(owner, name, counts=lambda one: True):
    method = getattr(owner, name)
    open(name, "a").close()
    async def called(self, *args, **more):
        if counts(self):
            with open(name, "a") as file:
                file.write(".")
        return await method(self, *args, **more)
    setattr(owner, name, called)
c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0}
counted(c.JupyterHub.spawner_class, "poll")
counted(batch.BatchSite, "snapshot", lambda site: site.known)
"""
SOON = """
batch.BatchSite.interval = 0.5
c.Spawner.poll_interval = 1
"""
AS_IT_IS = """
batch.BatchSite.interval = 15.0
"""


def counts(hub: RunningHub) -> dict[str, int]:
    """How often the Hub asked whether a server lives, and looked at the queue."""
    return {name: (hub.folder / name).stat().st_size for name in ("poll", "snapshot")}


@contextlib.contextmanager
def full(extra: str) -> Iterator[tuple[RunningHub, Cluster, dict[str, str], dict[str, str]]]:
    """Servers that run, and more that wait since there is no room: their jobs by their names."""
    running, waiting = [f"runs{number}" for number in range(RUNNING)], [f"waits{number}" for number in range(WAITING)]
    with slurm() as cluster, slurm_hub(cluster, extra=COUNTED + extra) as hub:
        for name, site in zip(running, cycle(SITES), strict=False):
            hub.ask_server(USER, name, {"profile": "small", "site": site})
        for name in running:
            hub.wait_ready(USER, name)
        rest = [
            cluster.submit("#!/bin/sh\nsleep 7000\n", "-p", "short", "-t", "119", "--exclusive", "-N1")
            for _ in range(2)
        ]
        wait_for(lambda: all(state_of(cluster, job) == "RUNNING" for job in rest))
        for name, site in zip(waiting, cycle(SITES), strict=False):
            hub.ask_server(USER, name, {"profile": "small", "cores": 16, "site": site})
        jobs = {name: wait_for(lambda name=name: job_of(hub, USER, name)) for name in [*running, *waiting]}
        yield hub, cluster, {name: jobs[name] for name in running}, {name: jobs[name] for name in waiting}
        cluster.run("scancel", *rest)
        goes_on(hub, cluster, running, waiting, jobs)


def goes_on(hub: RunningHub, cluster: Cluster, running: list[str], waiting: list[str], jobs: dict[str, str]) -> None:
    """Those that run are stopped, those that waited start, with the jobs that they had."""
    for name in running:
        assert hub.server(USER, name)["ready"], name
        assert job_of(hub, USER, name) == jobs[name]
        hub.stop_server(USER, name)
    for name in waiting:
        hub.wait_ready(USER, name)
        assert job_of(hub, USER, name) == jobs[name]
        assert hub.as_user(USER).get(f"user/{USER}/{name}/api").status_code == 200
        hub.stop_server(USER, name)
    wait_for(lambda: all(over(cluster, job) for job in jobs.values()))


def outage(extra: str, enough: Callable[[dict[str, int], float], bool]) -> dict[str, float]:
    """The controller is away until it is enough: what was asked meanwhile, and how many servers were lost."""
    with full(extra) as (hub, cluster, running, waiting):
        before, began, lost, own = counts(hub), time.monotonic(), set(), hub.as_user(USER)
        with away(cluster, "slurmctld", idle=0):
            while True:
                asked = {name: count - before[name] for name, count in counts(hub).items()}
                if enough(asked, time.monotonic() - began):
                    break
                for name in running:
                    with contextlib.suppress(httpx.HTTPError):
                        if own.get(f"user/{USER}/{name}/api").status_code == 200:
                            continue
                    lost.add(name)
                lost |= {name for name in waiting if (hub.server(USER, name) or {}).get("pending") != "spawn"}
                time.sleep(5)
    return {
        "minutes": round((time.monotonic() - began) / 60, 1),
        "servers": RUNNING + WAITING,
        "polls of each server": asked["poll"] // (RUNNING + WAITING),
        "looks at the queue": asked["snapshot"],
        "lost": len(lost),
    }
