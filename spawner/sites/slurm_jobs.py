"""A job of Slurm's as the launcher hands it in and cancels it; pure, standard library alone."""

from __future__ import annotations  # the launcher is run by whatever Python a system has

import re
from dataclasses import dataclass

from beamhub.spawner.sites import jobscript

DIRECTIVE = "#SBATCH"
CONSTRAINT = re.compile(r"[A-Za-z0-9_.,:&|!*()\[\]-]{0,200}")
UNSURE = re.compile(r"timed out|zero bytes|communication|unexpected message", re.IGNORECASE)
GONE = re.compile(r"invalid job id|already completing or completed", re.IGNORECASE)


@dataclass(frozen=True)
class Job(jobscript.Job):
    """With what only Slurm knows."""

    gres: str = "gpu"
    qos: str = ""
    reservation: str = ""
    constraint: str = ""

    def check(self) -> None:
        """Raises NoJob."""
        super().check()
        for name in ("qos", "reservation", "gres"):
            jobscript.check(name, jobscript.WORD, getattr(self, name), needed=False)
        jobscript.check("constraint", CONSTRAINT, self.constraint)


def directives(job: Job, folder: str) -> list[str]:
    """What ``sbatch`` is asked for, one option each; ``folder`` is this start's."""
    found = [
        f"--job-name={job.name}",
        f"--output={folder.replace('%', '%%')}/job.log",
        "--open-mode=append",
        "--no-requeue",
        "--nodes=1",
        "--ntasks=1",
        f"--cpus-per-task={job.cores}",
        f"--mem={job.memory_mb}M",
    ]
    asked = {
        "partition": ",".join(job.partitions), "account": job.account, "qos": job.qos, "reservation": job.reservation,
        "constraint": job.constraint, "time": job.minutes, "gres": f"{job.gres}:{job.gpus}" if job.gpus else "",
    }  # fmt: skip
    return [*found, *(f"--{name}={value}" for name, value in asked.items() if value)]


def submit_command(home: str) -> list[str]:
    """``sbatch``, which begins the job in the user's home."""
    return ["sbatch", "--parsable", "--export=ALL", f"--chdir={home}"]


def job_id(printed: str) -> str:
    r"""The id that ``sbatch --parsable`` printed, with or without the cluster's name.

    >>> job_id("77;maxwell\n"), job_id("error\n")
    ('77', '')
    """
    found = re.fullmatch(r"(\d+)(?:;[^\n]*)?\n?", printed)
    return found[1] if found else ""


def cancel_command(name: str, user: str, number: str) -> list[str]:
    """``scancel`` for jobs of this name and user only, whatever the id is."""
    return ["scancel", f"--name={name}", f"--user={user}", *([number] if number else [])]
