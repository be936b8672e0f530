"""Executor: a place where functions run."""

from typing import Protocol

from beamhub.processing.wire import End
from beamhub.processing.work import Task


class Executor(Protocol):
    """Runs tasks somewhere, and says how each ended.

    * ``submit`` never raises for what a function does: that is a :class:`~beamhub.processing.work.Failure`.
      A worker that was lost is a failure of kind "transient".
    * Nothing is tried again by the executor, and nothing is executed twice by it.
    * After ``cancel`` the run's ``submit`` ends within 2 s, and its worker is free.
    * After ``close`` no process that was started for a task is left.
    """

    @property
    def slots(self) -> int:
        """How many tasks it is useful to have submitted at one time."""
        ...

    async def start(self) -> None:
        """Get ready; returns when tasks can run."""
        ...

    async def submit(self, task: Task) -> End:
        """Run one task to its end."""
        ...

    async def cancel(self, run: int) -> None:
        """End this run if it was submitted and has not ended; else nothing happens."""
        ...

    async def close(self) -> None:
        """End what runs, and everything that was started."""
        ...
