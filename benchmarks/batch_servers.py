"""Many servers of one user, asked for, waited for and stopped; and Slurm's own part of that."""

import re
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.batch_hubs import USER

WITHIN_S = 300.0


def start(hub: Any, names: list[str], look_s: float) -> float:
    """Seconds until all are ready."""
    begin = time.perf_counter()
    for name in names:
        answer = hub.ask_server(USER, name, {})
        if answer.status_code not in (201, 202):
            raise RuntimeError(f"{answer.status_code} {answer.text}")
    _wait(hub, lambda found: all(found.get(name, {}).get("ready") for name in names), look_s)
    return time.perf_counter() - begin


def stop(hub: Any, names: list[str], look_s: float) -> float:
    """Seconds until none is there any more."""
    begin = time.perf_counter()
    for name in names:
        path = f"users/{USER}/servers/{name}" if name else f"users/{USER}/server"
        hub.api("DELETE", path).raise_for_status()
    _wait(hub, lambda found: not any(name in found for name in names), look_s)
    return time.perf_counter() - begin


def _wait(hub: Any, done: Any, look_s: float) -> None:
    until = time.monotonic() + WITHIN_S
    while not done(hub.api("GET", f"users/{USER}").raise_for_status().json()["servers"]):
        if time.monotonic() > until:
            raise TimeoutError(f"servers did not come or go in {WITHIN_S:g} s:\n{hub.log()[-4000:]}")
        time.sleep(look_s)


def scheduled(cluster: Any) -> dict[int, tuple[float, float]]:
    """Of each job so far, when the controller took it and when its node began with it, by their own logs."""
    began: dict[int, float] = {}
    for path in (cluster.folder / "log").glob("slurmd.*.log"):
        began |= _times(path, r"Launching batch job (\d+) ")
    taken = _times(cluster.folder / "log/slurmctld.log", r"_slurm_rpc_submit_batch_job: JobId=(\d+) ")
    return {job: (taken[job], began[job]) for job in taken.keys() & began.keys()}


def _times(path: Path, what: str) -> dict[int, float]:
    found = re.findall(rf"^\[(\S+)\] {what}", path.read_text(errors="replace"), re.MULTILINE)
    return {int(job): datetime.fromisoformat(when).timestamp() for when, job in found}


def cancelled(cluster: Any, count: int) -> float:
    """Seconds from ``scancel`` of bare jobs that run until none of them is there."""
    jobs = [cluster.submit("#!/bin/sh\nexec sleep 600\n", "-p", "short", "--mem=400", user=USER) for _ in range(count)]
    which = ",".join(jobs)
    while cluster.run("squeue", "-h", "-t", "PD", "-j", which, check=False).stdout.strip():
        time.sleep(0.02)
    time.sleep(0.1)  # from the controller's word to the job's first line
    begin = time.perf_counter()
    cluster.run("scancel", *jobs, user=USER)
    while cluster.run("squeue", "-h", "-j", which, check=False).stdout.strip():
        time.sleep(0.02)
    return time.perf_counter() - begin


def questions(cluster: Any, user: str) -> int:
    """How many requests of a user the controller counts."""
    by_user = cluster.run("sdiag").stdout.partition("statistics by user")[2]
    found = re.search(rf"^\s*{user}\s*\(\s*\d+\)\s*count:(\d+)", by_user, re.MULTILINE)
    return int(found[1]) if found else 0


def kinds(cluster: Any) -> dict[str, int]:
    """How often the controller was asked each thing, by anybody."""
    text = cluster.run("sdiag").stdout.partition("statistics by message type")[2].partition("statistics by user")[0]
    return {name: int(count) for name, count in re.findall(r"(REQUEST_\w+)\s*\(\s*\d+\)\s*count:(\d+)", text)}
