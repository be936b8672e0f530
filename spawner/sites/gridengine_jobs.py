"""A job of Grid Engine's as the launcher hands it in and cancels it; pure, standard library alone."""

from __future__ import annotations  # the launcher is run by whatever Python a system has

import re
from dataclasses import dataclass

from beamhub.spawner.sites import jobscript

DIRECTIVE = "#$"
FOLDER = re.compile(r"[^:,]*")  # a colon ends a computer's name in -o, a comma a path
# What failed on the way to the master may have reached it, unless there was no way from the beginning.
UNSURE = re.compile(
    r"^(?!error: commlib error: got select error \(Connection refused\)).*"
    r"(commlib|qmaster|gdi|timeout|timed out|answer list)", re.IGNORECASE,
)  # fmt: skip
GONE = re.compile(r"job \S+ of user\(s\) \S+ does not exist|already in deletion")


@dataclass(frozen=True)
class Job(jobscript.Job):
    """With what only Grid Engine knows.

    ``pe`` is the parallel environment that gives several cores of one node; ``memory_resource`` and ``gpu_resource``
    are the names of the resources that memory and GPUs are asked for by.
    """

    pe: str = "smp"
    project: str = ""
    memory_resource: str = ""
    gpu_resource: str = "gpu"

    def check(self) -> None:
        """Raises NoJob."""
        super().check()
        for name in ("pe", "gpu_resource"):
            jobscript.check(name, jobscript.WORD, getattr(self, name))
        for name in ("project", "memory_resource"):
            jobscript.check(name, jobscript.WORD, getattr(self, name), needed=False)


def directives(job: Job, folder: str) -> list[str]:
    """What ``qsub`` is asked for, one option each; ``folder`` is this start's.

    Raises:
        NoJob: the folder has letters that ``-o`` takes for something else.
    """
    jobscript.check("the folder", FOLDER, folder)
    found = [f"-N {job.name}", f"-o {folder}/job.log", "-j y", "-S /bin/sh", "-r n", "-w e"]
    if job.cores > 1:
        found.append(f"-pe {job.pe} {job.cores}")
    asked = {"q": ",".join(job.partitions), "P": job.project, "A": job.account}
    found += [f"-{name} {value}" for name, value in asked.items() if value]
    resources = {
        "h_rt": job.minutes * 60 if job.minutes else 0,
        job.memory_resource: f"{-(-job.memory_mb // job.cores)}M",  # it is asked for by each of the slots
        job.gpu_resource: job.gpus,
    }
    return [*found, *(f"-l {name}={value}" for name, value in resources.items() if name and value)]


def submit_command(home: str) -> list[str]:
    """``qsub``; a job begins in the user's home, and has nothing of the environment of who submits it."""
    return ["qsub", "-terse"]


def job_id(printed: str) -> str:
    r"""The id that ``qsub -terse`` printed, after whatever it warned of.

    >>> job_id('warning: "-w" option has already been set\n77\n'), job_id("77: no\n")
    ('77', '')
    """
    found = re.fullmatch(r"(?:.*\n)?(\d+)\n?", printed, re.DOTALL)
    return found[1] if found else ""


def cancel_command(name: str, user: str, number: str) -> list[str]:
    """``qdel`` for jobs of this name and user: it looks for them itself, so that an id that is another's ends none."""
    return ["qdel", "-u", user, name]
