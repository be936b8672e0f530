"""Many servers of one user, asked for, waited for and stopped; and the same of bare jobs, which is Slurm's own part."""

import re
import tempfile
import time
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


def bare_jobs(cluster: Any, count: int) -> tuple[float, float]:
    """Seconds from the first ``sbatch`` to the last job's first line, and from ``scancel`` until none is there."""
    with tempfile.TemporaryDirectory(prefix="bhbegan") as text:
        folder = Path(text)
        folder.chmod(0o777)
        begin = time.perf_counter()
        script = f"#!/bin/sh\ntouch {folder}/$SLURM_JOB_ID\nexec sleep 600\n"
        jobs = [cluster.submit(script, "-p", "short", "--mem=400", user=USER) for _ in range(count)]
        while len(list(folder.iterdir())) < count:
            time.sleep(0.005)
        began = time.perf_counter() - begin
        begin = time.perf_counter()
        cluster.run("scancel", *jobs, user=USER)
        which = ",".join(jobs)
        while cluster.run("squeue", "-h", "-j", which, check=False).stdout.strip():
            time.sleep(0.02)
        return began, time.perf_counter() - begin


def questions(cluster: Any, user: str) -> int:
    """How many requests of a user the controller counts."""
    by_user = cluster.run("sdiag").stdout.partition("statistics by user")[2]
    found = re.search(rf"^\s*{user}\s*\(\s*\d+\)\s*count:(\d+)", by_user, re.MULTILINE)
    return int(found[1]) if found else 0


def kinds(cluster: Any) -> dict[str, int]:
    """How often the controller was asked each thing, by anybody."""
    text = cluster.run("sdiag").stdout.partition("statistics by message type")[2].partition("statistics by user")[0]
    return {name: int(count) for name, count in re.findall(r"(REQUEST_\w+)\s*\(\s*\d+\)\s*count:(\d+)", text)}
