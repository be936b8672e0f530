"""Functions on Dask: a cluster of this machine, or any scheduler that has an address. Always with TLS."""

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from typing import Any

import dask
from dask.utils import key_split
from distributed import Client, Future, LocalCluster, scheduler, worker
from distributed.client import FutureCancelledError
from distributed.comm.core import FatalCommClosedError, connect
from distributed.scheduler import KilledWorker
from distributed.security import Security

from beamhub.processing.executors import dask_worker
from beamhub.processing.executors.certificates import made_for_one_life
from beamhub.processing.wire import End, read_end, task_text
from beamhub.processing.work import Failure, Task

log = logging.getLogger(__name__)
# Nothing is tried again by Dask, nothing spilled, its HTTP servers have no page, and of what it notes for developers,
# which would grow for hours, little is kept.
OURS = {
    "distributed.admin.low-level-log-length": 10,
    "distributed.admin.system-monitor.disk": False,
    "distributed.admin.system-monitor.log-length": 60,
    "distributed.diagnostics.computations.max-history": 1,
    "distributed.scheduler.allowed-failures": 0,
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
    "distributed.worker.profile.enabled": False,
}
CLOSE_TIMEOUT_S = 4.0  # of client and of cluster, within the service's own 10 s for its end
CANCEL_TIMEOUT_S = 1.0
CONNECT_S = 5.0  # for one try to reach a scheduler
JOIN_S = 60.0  # for joining one that was reached, which may be busy
AWAY_S = 10 * 365 * 86400.0  # how long one that was joined before may be away until the client would give it up
LOOK_S = 0.1  # between two looks whether it is there again


class _PatientClient(Client):
    """A client that never gives up a scheduler that is away, and finds it soon when it is there again.

    Dask doubles its waits between two tries without a bound, so that a scheduler that was away for a night might be
    found again a night later. Here it is knocked for in short tries, and joined only when it opened: a client that
    was given up while it joined would be taken for the next one by the scheduler.
    """

    async def _ensure_connected(self, timeout: float | None = None) -> None:
        said = False
        while True:
            try:
                if self.scheduler_comm is None and self.scheduler is not None:
                    await self._knock(self.scheduler.address)
                await super()._ensure_connected(timeout=JOIN_S)  # type: ignore[no-untyped-call]
            except FatalCommClosedError:  # its certificate is none of ours
                raise
            except OSError as error:
                if self.status != "connecting":
                    raise
                if not said:
                    log.warning("Dask's scheduler is not reached, it is tried again and again: %s", error)
                said = True
                await asyncio.sleep(LOOK_S)
            else:
                return

    async def _knock(self, address: Any) -> None:
        async with asyncio.timeout(2 * CONNECT_S):  # Dask's own does not cover the handshake
            comm = await connect(address, timeout=CONNECT_S, **self.connection_args)  # type: ignore[no-untyped-call]
        await comm.close()


class DaskExecutor:
    """Runs each task on one worker, in that worker's warm child.

    Args:
        workers: how many workers the cluster of this machine has; each runs one task at a time.
        address: of a scheduler that runs already (``tls://...``); ``workers`` then counts its slots.
        security: certificates for that scheduler, else those that Dask's own configuration names; for a cluster of
            our own they are made for its lifetime.
    """

    def __init__(self, workers: int = 2, address: str = "", security: Security | None = None) -> None:
        self._workers = workers
        self._address = address
        self._security = security or (
            Security(require_encryption=True)  # type: ignore[no-untyped-call]
            if address
            else made_for_one_life()
        )
        self._cluster: Any = None
        self._client: Any = None
        self._futures: dict[int, Future[Any]] = {}
        self._waiting: set[int] = set()
        self._cancelled: set[int] = set()

    @property
    def slots(self) -> int:
        """One task for each worker to run and one for it to go on with."""
        return 2 * self._workers

    async def start(self) -> None:
        """Start the cluster, or join the one at the address."""
        with dask.config.set(OURS):
            if not self._address:
                self._cluster = await LocalCluster(  # type: ignore[no-untyped-call]
                    n_workers=self._workers,
                    threads_per_worker=1,
                    processes=True,
                    protocol="tls://",
                    security=self._security,
                    scheduler_kwargs={
                        "dashboard": False,
                        "dashboard_address": "127.0.0.1:0",
                        "extensions": _without_spans(scheduler.DEFAULT_EXTENSIONS),
                    },
                    extensions=_without_spans(worker.DEFAULT_EXTENSIONS),
                    memory_limit=0,
                    asynchronous=True,
                )
            target = self._cluster if self._cluster is not None else self._address
            self._client = await _PatientClient(  # type: ignore[no-untyped-call]
                target, security=self._security, asynchronous=True, set_as_default=False, timeout=AWAY_S
            )
        plugin = dask_worker.ChildPlugin(local=self._cluster is not None)
        await self._client.register_plugin(plugin, name=dask_worker.PLUGIN)

    async def submit(self, task: Task) -> End:
        """Run one task; a worker or a scheduler that is lost on the way is a transient failure.

        While the scheduler is away the task waits for it: that counts as no attempt.
        """
        if not await self._scheduler_is_there(task.run):
            return Failure("code", "Cancelled", "cancelled before it ran.")
        key = f"run-{task.run}-{task.attempt}"
        future = self._client.submit(dask_worker.run, task_text(task), key=key, pure=False, retries=0)
        self._futures[task.run] = future
        try:
            return read_end(await future.result())
        except (asyncio.CancelledError, FutureCancelledError):
            if not future.cancelled():
                raise
            if task.run in self._cancelled:
                return Failure("code", "Cancelled", "cancelled before it ran.")
            return Failure("transient", "SchedulerLost", "Dask's scheduler was lost.")
        except (KilledWorker, OSError) as exc:
            return Failure("transient", type(exc).__name__, f"its worker was lost: {exc}")
        finally:
            del self._futures[task.run]
            self._cancelled.discard(task.run)
            future.release()
            key_split.cache_clear()  # it would remember the keys of the last 100,000 runs, and none comes again

    async def _scheduler_is_there(self, run: int) -> bool:
        """Wait for the scheduler; false if the run was cancelled meanwhile."""
        if self._client.status == "running":
            return True
        log.warning("run %d waits for Dask's scheduler at %s", run, self._address)
        self._waiting.add(run)
        try:
            while self._client.status != "running" and run in self._waiting:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(LOOK_S)
            return run in self._waiting
        finally:
            self._waiting.discard(run)

    async def cancel(self, run: int) -> None:
        """End a run: a child is ended where one executes it, else the task is taken back."""
        self._waiting.discard(run)
        future = self._futures.get(run)
        if future is None:
            return
        if await self._ended_in_child(run):
            return
        self._cancelled.add(run)
        with contextlib.suppress(asyncio.CancelledError):
            await future.cancel(reason="cancelled")  # type: ignore[no-untyped-call]
        await self._ended_in_child(run)  # it may have begun in between

    async def _ended_in_child(self, run: int) -> bool:
        """Ask every worker; one that does not answer is no reason to wait."""
        try:
            async with asyncio.timeout(CANCEL_TIMEOUT_S):
                answers = await self._client.run(dask_worker.cancel, run, on_error="ignore")
        except (TimeoutError, OSError):
            return False
        return any(answers.values())

    async def close(self) -> None:
        """Close the client and the cluster of our own; a cluster at an address goes on."""
        for part in (self._client, self._cluster):
            if part is not None:
                try:
                    await asyncio.wait_for(part.close(), CLOSE_TIMEOUT_S)
                except TimeoutError:  # whoever closes us goes on to end
                    log.warning("%s did not close within %g s", type(part).__name__, CLOSE_TIMEOUT_S)


def _without_spans(extensions: Mapping[str, Any]) -> dict[str, Any]:
    """Dask's extensions but the one that keeps a record of every run that was alone, 5 kB each, for ever."""
    return {name: extension for name, extension in extensions.items() if name != "spans"}
