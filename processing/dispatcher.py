"""The dispatcher: takes queued runs from the store to an executor, and their ends back to the store."""

import asyncio
import itertools
import logging
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

from beamhub.processing import publication
from beamhub.processing.executors.executor import Executor
from beamhub.processing.failures import kind_of
from beamhub.processing.library import Library, UnknownFunction
from beamhub.processing.retries import History, retry_after
from beamhub.processing.storage import OutsideStorage, Storage, resolve_raw
from beamhub.processing.wire import End
from beamhub.processing.work import Claim, Failure, Outcome, Retry, Task

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")
IDLE_S = 1.0  # longest time between two looks at the store: retries become due without a commit
CANCELLED_S = 0.25  # time between two questions for cancelled runs, of the 2 s that a cancel may take
FOUND_WITHIN_S = 5.0  # a raw file, by its storage; a run that waits for it keeps a place from others
LOOKING = 2  # threads for each storage
STORE_WAITS_S = (0.1, 0.5, 2.0, 10.0)  # while the store does not answer; the last one again and again


class StorageHangs(Exception):
    """A storage does not answer."""


class Runs(Protocol):
    """What the dispatcher needs of the store."""

    async def call(self, method: Callable[..., Answer], *args: Any) -> Answer: ...
    def recover(self) -> Any: ...
    def named_outputs(self) -> Collection[str]: ...
    def attempts(self, runs: Collection[int]) -> Mapping[int, int]: ...
    def claim(self, limit: int) -> list[Claim]: ...
    def publish(self, run: int, attempt: int, outcome: Outcome, folder: str) -> bool: ...
    def fail(self, run: int, attempt: int, failure: Failure, retry: Retry) -> bool: ...
    def lost(self, runs: Collection[int]) -> Any: ...
    def cancelled_running(self, runs: Collection[int]) -> Collection[int]: ...
    def on_commit(self, callback: Callable[[int], object]) -> Callable[[], None]: ...


@dataclass(frozen=True)
class Places:
    """Where things lie: the storages by name, the folder of all results, the folder that rules' paths start from."""

    storages: Mapping[str, Storage]
    results: Path
    base: Path


class Dispatcher:
    """Keeps the executors busy while there are runs.

    Args:
        store: where runs are claimed and where their ends go.
        executors: by name.
        choose: the name of a claim's executor.
        library: finds functions.
        places: finds files.
    """

    def __init__(
        self,
        store: Runs,
        executors: Mapping[str, Executor],
        choose: Callable[[Claim], str],
        library: Library,
        places: Places,
    ) -> None:
        self._store = store
        self._executors = executors
        self._choose = choose
        self._library = library
        self._places = places
        self._running: dict[int, asyncio.Task[None]] = {}
        self._free = {name: asyncio.Semaphore(executor.slots) for name, executor in executors.items()}
        self._wake = asyncio.Event()
        self._looking: dict[str, ThreadPoolExecutor] = {}
        self._asked_cancelled = 0.0

    async def run(self) -> None:
        """Dispatch until cancelled; the executors have been started. What runs then goes back into the queue."""
        await self._ask(self._store.recover)
        named = await self._ask(self._store.named_outputs)
        nameless = await asyncio.to_thread(publication.nameless, self._places.results, set(named))
        begun = await self._ask(self._store.attempts, {run for run, _ in nameless.values()})
        swept = await asyncio.to_thread(publication.sweep, nameless, begun)
        log.info("took away %d folders of attempts that did not come to their end", swept)
        loop = asyncio.get_running_loop()
        stop_listening = self._store.on_commit(lambda _: loop.call_soon_threadsafe(self._wake.set))
        try:
            while True:
                await self._turn()
        finally:
            stop_listening()
            await self._stop()

    async def _turn(self) -> None:
        self._wake.clear()
        free = sum(executor.slots for executor in self._executors.values()) - len(self._running)
        claims = await self._ask(self._store.claim, free) if free > 0 else []
        for claim in claims:
            self._running[claim.run] = asyncio.create_task(self._execute(claim), name=f"run {claim.run}")
        await self._end_cancelled()
        with_runs = CANCELLED_S if self._running else IDLE_S
        try:
            async with asyncio.timeout(with_runs):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _end_cancelled(self) -> None:
        now = asyncio.get_running_loop().time()
        if not self._running or now - self._asked_cancelled < CANCELLED_S:
            return
        self._asked_cancelled = now
        for run in await self._ask(self._store.cancelled_running, list(self._running)):
            for executor in self._executors.values():
                await executor.cancel(run)

    async def _execute(self, claim: Claim) -> None:
        try:
            folder = publication.attempt_folder(claim)
            executor = self._choose(claim)
            async with self._free[executor]:
                end = await self._end_of(claim, folder, self._executors[executor])
            await self._hand_in(claim, folder, end)
        finally:
            del self._running[claim.run]
            self._wake.set()

    async def _end_of(self, claim: Claim, folder: str, executor: Executor) -> End:
        """Run a claim; an outcome's folder is published, but no row names it yet."""
        raw = Path()
        try:
            task = await self._found(claim, folder)
            raw = task.raw
            end = await executor.submit(task)
            if isinstance(end, Outcome):
                await asyncio.to_thread(publication.publish, self._places.results, folder)
        except UnknownFunction as exc:
            return Failure("code", "UnknownFunction", str(exc), exc.mistakes)
        except OutsideStorage as exc:
            return Failure("data", "OutsideStorage", str(exc))
        except StorageHangs as exc:
            return Failure("transient", "StorageHangs", str(exc))
        except FileNotFoundError as exc:
            return Failure("data", "FileNotFoundError", f"{exc.filename} is not there.")
        except OSError as exc:
            return Failure(kind_of(exc, raw), type(exc).__name__, str(exc))
        except Exception as exc:  # a mistake of ours or of an executor must not leave the run "running" for ever
            log.exception("run %d could not be executed", claim.run)
            return Failure("transient", type(exc).__name__, f"it could not be executed: {exc}")
        return end

    async def _hand_in(self, claim: Claim, folder: str, end: End) -> None:
        """Tell the store; files of an attempt that it does not publish are taken away."""
        if isinstance(end, Outcome):
            kept, tries = await self._asked(self._store.publish, claim.run, claim.attempt, end, folder)
        else:
            await self._ask(self._store.fail, claim.run, claim.attempt, end, self._retry(claim, end))
            kept, tries = False, 1
        if not kept and tries == 1:  # else an earlier try may have been committed; the next start sweeps
            await asyncio.to_thread(publication.discard, self._places.results, folder)

    def _retry(self, claim: Claim, failure: Failure) -> Retry:
        history = History(claim.transient_failures, claim.data_failures, claim.resource_failures)
        storage = self._places.storages.get(claim.storage)
        settle_s = storage.settle_s if storage is not None else 0.0
        return retry_after(failure.kind, history, settle_s, datetime.now(UTC))

    async def _found(self, claim: Claim, folder: str) -> Task:
        """As :meth:`_task`, in threads of the storage's own: those of one that hangs are nobody else's.

        Raises:
            StorageHangs: it did not answer in time.
        """
        if claim.storage not in self._looking:
            self._looking[claim.storage] = ThreadPoolExecutor(LOOKING, f"storage {claim.storage}")
        threads = self._looking[claim.storage]
        try:
            async with asyncio.timeout(FOUND_WITHIN_S):
                return await asyncio.get_running_loop().run_in_executor(threads, self._task, claim, folder)
        except TimeoutError as error:
            told = f"the storage {claim.storage} did not answer within {FOUND_WITHIN_S:g} s."
            raise StorageHangs(told) from error

    def _task(self, claim: Claim, folder: str) -> Task:
        """Find the file and the function of a claim.

        Raises:
            UnknownFunction, OutsideStorage, OSError: one of them is not there, or not allowed.
        """
        storage = self._places.storages.get(claim.storage)
        if storage is None:
            raise OutsideStorage(f"there is no storage {claim.storage} any more.")
        version = self._library.find(claim.function, claim.digest)
        return Task(
            run=claim.run,
            attempt=claim.attempt,
            function=claim.function,
            digest=version.record.digest,
            module_copy=version.module_copy,
            parameters=version.with_absolute_paths(claim.parameters, self._places.base),
            raw=resolve_raw(storage.root, claim.path),
            folder=publication.unfinished(self._places.results, folder),
            timeout_s=version.record.timeout_s,
            memory_bytes=version.record.memory_bytes,
            within=storage.proposal_folder(claim.path),
            provenance={
                "proposal": claim.proposal,
                "storage": claim.storage,
                "path": claim.path,
                "rule": claim.rule,
            },
        )

    async def _ask(self, method: Callable[..., Answer], *args: Any) -> Answer:
        answer, _ = await self._asked(method, *args)
        return answer

    async def _asked(self, method: Callable[..., Answer], *args: Any) -> tuple[Answer, int]:
        """Call the store, again and again while it does not answer: no end of a run may be lost.

        Returns:
            The answer, and how often it was asked for.
        """
        waits = iter(STORE_WAITS_S)
        for tries in itertools.count(1):
            try:
                return await self._store.call(method, *args), tries
            except Exception:  # a store that is away (locked, full, restarting) must not end the dispatcher
                wait = next(waits, STORE_WAITS_S[-1])
                log.exception("the store did not take %s; trying again in %g s", method.__name__, wait)
                await asyncio.sleep(wait)
        raise RuntimeError("counting came to an end")

    async def _stop(self) -> None:
        """Give up what runs; the store hands it out again."""
        left = dict(self._running)
        for task in left.values():
            task.cancel()
        await asyncio.gather(*left.values(), return_exceptions=True)
        for threads in self._looking.values():
            threads.shutdown(wait=False, cancel_futures=True)
        if left:
            await self._store.call(self._store.lost, list(left))
