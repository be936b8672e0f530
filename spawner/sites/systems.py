"""What each batch system has of its own in the launcher. Standard library alone; a further system is a line here."""

from __future__ import annotations  # the launcher is run by whatever Python a system has

import re
from typing import Any, Protocol

from beamhub.spawner.sites import gridengine_jobs, slurm_jobs


class System(Protocol):
    """One batch system: a file of pure functions, which the launcher and ``jobscript`` ask."""

    DIRECTIVE: str  # what a line of the script begins with that holds an option
    UNSURE: re.Pattern[str]  # matches where a submit that failed may have taken effect
    GONE: re.Pattern[str]  # matches where there is no such job (any more) to be cancelled

    @property
    def Job(self) -> type[Any]:  # noqa: N802 - it is a class
        """A ``jobscript.Job`` with what only this system knows."""

    def directives(self, job: Any, folder: str) -> list[str]:
        """What is asked for, one option each; ``folder`` is this start's. Raises NoJob."""

    def submit_command(self, home: str) -> list[str]:
        """The command that takes a script on its standard input."""

    def job_id(self, printed: str) -> str:
        """The id in what that command printed, "" where there is none."""

    def cancel_command(self, name: str, user: str, number: str) -> list[str]:
        """The command that cancels a job of this name and user only; ``number`` "": whatever its id is."""


SYSTEMS: dict[str, System] = {"slurm": slurm_jobs, "gridengine": gridengine_jobs}
