"""What a Hub computes for a thousand idle servers, and for a long queue of others: with scripts for Slurm's commands.

The Hub itself is not there: what it does for each server is the same on both sides. One process looks after all of
them as the Hub would; its processor time and that of the commands it starts are counted apart.
"""

import asyncio
import os
import random
import resource
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.batch_hubs import USER
from benchmarks.statistics import spread

SERVERS = int(os.environ.get("BATCH_SERVERS", "1000"))
LINES = int(os.environ.get("BATCH_LINES", "100000"))
MINUTE_S = float(os.environ.get("BATCH_IDLE_S", "60"))
AGAIN = 7
POLL_S = 30.0  # JupyterHub's own poll_interval
A_MINUTE = 6
LINE = "{0}|{2}|{1}|short|1795427123|1795513523|1|node1|physics|normal|None\n"


class Commands:
    """Scripts that answer at once; ``calls`` says how often which was asked."""

    def __init__(self, folder: Path, lines: int) -> None:
        self.folder = folder
        folder.chmod(0o755)
        (folder / "calls").touch()
        (folder / "calls").chmod(0o666)
        states = ((number, "RUNNING" if number <= SERVERS else "PENDING") for number in range(1, lines + 1))
        (folder / "queue.txt").write_text("".join(LINE.format(number, USER, state) for number, state in states))
        queue = f'case "$*" in *-j*) echo "RUNNING node1" ;; *%u*%j*) ;; *) cat {folder}/queue.txt ;; esac'
        says = 'case "$*" in ping) echo "Slurmctld(primary) at vm is UP" ;; *) echo "PrivateData = none" ;; esac'
        for name, does in {"squeue": queue, "sinfo": "true", "scontrol": says}.items():
            (folder / name).write_text(f'#!/bin/sh\necho "{name}" >> {folder}/calls\n{does}\n')
            (folder / name).chmod(0o755)

    def calls(self) -> dict[str, int]:
        found = (self.folder / "calls").read_text().split()
        return {name: found.count(name) for name in sorted(set(found))}


def idle() -> dict[str, object]:
    """Seconds of the processor a minute for servers that do nothing, and questions a minute."""
    found: dict[str, Any] = {"servers": SERVERS, "window_s": MINUTE_S}
    for name, watches in (("beamhub", _ours), ("batchspawner", _theirs)):
        with tempfile.TemporaryDirectory(prefix="bhidle") as text:
            found[name] = asyncio.run(_window(Commands(Path(text), SERVERS), watches))
    asked = sum(found["beamhub"]["commands a minute"].values())
    ours, theirs = (sum(found[name]["cpu s a minute"].values()) for name in ("beamhub", "batchspawner"))
    return {**found, "ratio of cpu": round(ours / theirs, 4), "bar": A_MINUTE, "reached": asked <= A_MINUTE}


async def _window(commands: Commands, watches: Callable[[Commands], list[Awaitable[None]]]) -> dict[str, object]:
    tasks = [asyncio.ensure_future(one) for one in watches(commands)]
    await asyncio.sleep(5)
    before, asked = _cpu(), commands.calls()
    await asyncio.sleep(MINUTE_S)
    after, minute = _cpu(), MINUTE_S / 60
    calls = {name: round((count - asked.get(name, 0)) / minute, 1) for name, count in commands.calls().items()}
    left = set(tasks)
    while left:  # batchspawner takes a cancelled question for a failed one, and goes on
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=1)
    spent = {name: round((after[name] - before[name]) / minute, 2) for name in after}
    return {"cpu s a minute": spent, "commands a minute": {name: count for name, count in calls.items() if count}}


def _cpu() -> dict[str, float]:
    used = {"hub": resource.RUSAGE_SELF, "its commands": resource.RUSAGE_CHILDREN}
    return {name: sum(resource.getrusage(who)[:2]) for name, who in used.items()}


def _ours(commands: Commands) -> list[Awaitable[None]]:
    from beamhub.spawner import reconcile
    from beamhub.spawner.sites.batch_server import BatchServer

    site, names = _site(commands, SERVERS)

    async def truth(job: str) -> None:
        BatchServer.truth(SimpleNamespace(site=site, job=job))  # type: ignore[arg-type]

    async def orphans() -> None:
        await site.jobs()

    looks = [_every(lambda job=job: truth(job), POLL_S) for job in names]  # type: ignore[misc]
    return [site.run(), _every(orphans, reconcile.EVERY), *looks]


def _theirs(commands: Commands) -> list[Awaitable[None]]:
    import batchspawner

    found = []
    for number in range(1, SERVERS + 1):
        spawner = batchspawner.SlurmSpawner(req_username=USER, req_homedir="/", req_keepvars="")
        spawner.batch_query_cmd = f"{commands.folder}/squeue -h -j {{job_id}} -o '%T %B'"
        spawner.job_id = str(number)
        found.append(_every(spawner.poll, POLL_S))
    return found


async def _every(does: Callable[[], Awaitable[Any]], pause_s: float) -> None:
    await asyncio.sleep(random.uniform(0, pause_s))  # noqa: S311 - no secret
    while True:
        await does()
        await asyncio.sleep(pause_s)


def _site(commands: Commands, servers: int) -> tuple[Any, list[str]]:
    from beamhub.spawner import moments
    from beamhub.spawner.sites.judgement import Known
    from beamhub.spawner.sites.site import HubSettings
    from beamhub.spawner.sites.slurm import SlurmConfig, SlurmSite

    config = SlurmConfig(kind="slurm", networks=["10.0.0.0/16"], commands=str(commands.folder), title="The cluster")
    site = SlurmSite("cluster", config, None, HubSettings("hub", commands.folder))
    for number in range(1, servers + 1):
        site.known[f"bh-hub-{number}-0123456789"] = Known(USER, str(number), since=moments.now() - 60, listening=True)
    return site, list(site.known)


def queue() -> dict[str, object]:
    """One look at a queue with very many jobs of others, and one look of batchspawner's at one server."""
    with tempfile.TemporaryDirectory(prefix="bhqueue") as text:
        return asyncio.run(_looks(Commands(Path(text), LINES)))


async def _looks(commands: Commands) -> dict[str, object]:
    site, _ = _site(commands, 10)
    found: dict[str, Any] = {"lines": LINES}
    import batchspawner

    spawner = batchspawner.SlurmSpawner(req_username=USER, req_homedir="/", req_keepvars="", job_id="1")
    spawner.batch_query_cmd = f"{commands.folder}/squeue -h -j {{job_id}} -o '%T %B'"
    for name, look in (("beamhub, one look at all", site.snapshot), ("batchspawner, one look at one", spawner.poll)):
        await look()
        took, spent, own = [], [], []
        for _ in range(AGAIN):
            begin, cpu, loop = time.perf_counter(), sum(_cpu().values()), time.thread_time()
            await look()
            took.append(time.perf_counter() - begin)
            spent.append(sum(_cpu().values()) - cpu)
            own.append(time.thread_time() - loop)
        found[name] = {"took": spread(took), "cpu": spread(spent), "of the Hub's loop": spread(own)}
    if site.down:
        raise RuntimeError(site.down)
    return found
