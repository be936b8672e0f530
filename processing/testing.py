"""Doubles for tests: an executor in this process, without Dask and without children."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from beamhub.catalog.records import Scalar
from beamhub.processing.wire import End
from beamhub.processing.work import Failure, Outcome, Task

Behaviour: TypeAlias = Callable[[Task], Awaitable[End]]


async def writes_an_output(task: Task) -> End:
    """End well, with one small file and one scalar."""
    task.folder.mkdir(parents=True)
    name = f"{task.raw.stem}-{task.function}.nxs"
    (task.folder / name).write_bytes(b"output")
    return Outcome(scalars={"size": Scalar(value=task.raw.stat().st_size, unit="B")}, output=name, where="here")


async def never_ends(task: Task) -> End:
    """Go on until cancelled."""
    await asyncio.Event().wait()
    raise RuntimeError("an event that nobody sets was set")


def fails(failure: Failure) -> Behaviour:
    """End with this failure."""

    async def fail(task: Task) -> End:
        return failure

    return fail


class FakeExecutor:
    """Runs tasks as coroutines; passes the tests of the contract that the real executors pass.

    Args:
        behaviours: what a function of this name does; all others write an output.
        slots: how many run at one time.
    """

    def __init__(self, behaviours: Mapping[str, Behaviour] | None = None, slots: int = 2) -> None:
        self._behaviours = dict(behaviours or {})
        self._slots = slots
        self._free = asyncio.Semaphore(slots)
        self._running: dict[int, asyncio.Task[End]] = {}
        self.submitted: list[Task] = []

    @property
    def slots(self) -> int:
        return self._slots

    async def start(self) -> None:
        """There is nothing to start."""

    async def submit(self, task: Task) -> End:
        self.submitted.append(task)
        running = asyncio.ensure_future(self._behave(task))
        self._running[task.run] = running
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            if not running.cancelled():
                running.cancel()
                raise
            return Failure("code", "Cancelled", "cancelled while it was running.")
        finally:
            del self._running[task.run]

    async def cancel(self, run: int) -> None:
        if run in self._running:
            self._running[run].cancel()

    async def close(self) -> None:
        for running in self._running.values():
            running.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _behave(self, task: Task) -> End:
        async with self._free:
            return await self._behaviours.get(task.function, writes_an_output)(task)
