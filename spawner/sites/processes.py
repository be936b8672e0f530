"""Processes of this computer: which one is meant (not only its number), whether it lives, and which belong to a job."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from beamhub.spawner import moments

MARK = "BEAMHUB_JOB"  # in the environment of a job and of all that it starts
LOADING_S = 0.05  # after which a process that was given another program shows its environment
KERNEL_THREAD = 0x00200000  # PF_KTHREAD among the flags in proc(5)'s stat


@dataclass(frozen=True)
class Process:
    """A process by its number, its start (clock ticks since boot) and the boot; a number alone is used again."""

    pid: int
    started: int
    boot: str

    @property
    def alive(self) -> bool:
        """Whether it still runs; one that ended and waits for its parent does not."""
        found = _stat(self.pid)
        return self.boot == boot() and found is not None and found[1] == self.started and found[0] not in "ZX"

    @property
    def since(self) -> float:
        """When it was started, seconds since 1970."""
        return moments.of(self.started / os.sysconf("SC_CLK_TCK"))

    def signal(self, number: int) -> None:
        """Send a signal to this process and no other."""
        with contextlib.suppress(OSError):
            handle = os.pidfd_open(self.pid)
            try:
                if self.alive:  # the handle was opened first: it cannot point to a later process of the same number
                    signal.pidfd_send_signal(handle, number)
            finally:
                os.close(handle)


@cache
def boot() -> str:
    """The id of this computer's run since it was switched on."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def identify(pid: int) -> Process | None:
    """The process that has this number now."""
    found = _stat(pid)
    return Process(pid, found[1], boot()) if found else None


def of_jobs(prefix: str) -> dict[str, list[Process]]:
    """Processes of all jobs whose name begins so, the oldest of each first; blocks for up to a tenth of a second.

    Sees those that this account may look into: its own, or all when it is root.
    """
    found: dict[str, list[Process]] = {}
    for pid, job in _marked(prefix):
        if process := identify(pid):
            found.setdefault(job, []).append(process)
    return {job: sorted(list_, key=lambda one: one.started) for job, list_ in found.items()}


def owner(process: Process) -> int | None:
    """The user id that a process runs under."""
    try:
        return Path(f"/proc/{process.pid}").stat().st_uid
    except OSError:
        return None


def _marked(prefix: str) -> Iterator[tuple[int, str]]:
    begin = f"{MARK}={prefix}".encode()
    loading = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            environment = path.read_bytes()
            yield from _jobs_in(environment, path, begin)
            if not environment and _may_load(path.parent):
                loading.append(path)
    if loading:
        time.sleep(LOADING_S)
    for path in loading:
        with contextlib.suppress(OSError):
            yield from _jobs_in(path.read_bytes(), path, begin)


def _jobs_in(environment: bytes, path: Path, begin: bytes) -> Iterator[tuple[int, str]]:
    for entry in environment.split(b"\0"):
        if entry.startswith(begin):
            yield int(path.parent.name), entry.decode(errors="replace").partition("=")[2]


def _may_load(folder: Path) -> bool:
    """Whether a process without an environment is about to get one: until it has its program it shows none."""
    fields = (folder / "stat").read_text().rpartition(")")[2].split()
    return fields[0] not in "ZX" and not int(fields[6]) & KERNEL_THREAD


def _stat(pid: int) -> tuple[str, int] | None:
    """State letter and start of a process, see proc(5)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return fields[0], int(fields[19])
