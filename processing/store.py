"""The store: files, runs and results in SQLite or PostgreSQL, with every change numbered in commit order."""

import asyncio
import logging
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, select
from sqlalchemy.engine import make_url

from beamhub.catalog.records import Batch, Change, CountByState, File, Heading, Page, Proposal, Run
from beamhub.processing import batches, lifecycle, queries, waits
from beamhub.processing.clock import SetBack
from beamhub.processing.engine import connected, read_only
from beamhub.processing.event import Position
from beamhub.processing.explanation import Standing
from beamhub.processing.means import Means
from beamhub.processing.migrate import migrate
from beamhub.processing.parts import parts
from beamhub.processing.query import RunQuery
from beamhub.processing.schema import identity
from beamhub.processing.standing import named, standing, work_until
from beamhub.processing.transaction import Transaction
from beamhub.processing.work import Arrival, Claim, Failure, Outcome, PlannedRun, Retry

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")
READERS = 4
WRITES = {
    "intake", "claim", "publish", "fail", "lost", "recover", "request", "cancel", "cancel_batch", "release", "pause",
}  # fmt: skip
READING = {"postgresql": {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}}  # said with its BEGIN


class Store:
    """What the service knows, in a database. Methods block; the service calls them by :meth:`call`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._means = Means()
        self._reading: dict[str, Any] = READING.get(engine.dialect.name, {"writes": False})
        self._writing = threading.Lock()
        self._readers = ThreadPoolExecutor(READERS, "store")
        self._writer = ThreadPoolExecutor(1, "store-writer")  # so that writes that wait do not keep readers waiting
        self._listeners: list[Callable[[int], object]] = []
        self._clock = SetBack()

    @classmethod
    def open(cls, url: str) -> "Store":
        """Open a store, made or brought to this version's schema where needed.

        Raises:
            OtherVersion: its schema is none that this version knows.
        """
        engine = connected(url, READERS + 1)
        try:
            with engine.begin() as connection:
                migrate(connection)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine)

    @classmethod
    def look(cls, url: str) -> "Store":
        """A store that is there, as it is, only to be read; reading raises where it is none of this version.

        Raises:
            FileNotFoundError: there is none.
        """
        place = make_url(url)
        if place.get_backend_name() != "sqlite":
            return cls(connected(url, READERS + 1))
        path = Path(place.database or "").absolute()
        if not path.exists():
            raise FileNotFoundError(f"there is no store {path}")
        return cls(read_only(path))

    def close(self) -> None:
        """Let go of the database; calls under way come to their end."""
        self._readers.shutdown()
        self._writer.shutdown()
        self._engine.dispose()

    async def call(self, method: Callable[..., Answer], *args: Any) -> Answer:
        """Run one of the store's methods beside the event loop."""
        pool = self._writer if getattr(method, "__name__", "") in WRITES else self._readers
        return await asyncio.get_running_loop().run_in_executor(pool, lambda: method(*args))

    def on_commit(self, callback: Callable[[int], object]) -> Callable[[], None]:
        """Have ``callback`` called, in any thread, with the feed's head after each commit that changed something.

        Returns:
            What ends that.
        """
        listeners = self._listeners
        listeners.append(callback)
        return lambda: listeners.remove(callback) if callback in listeners else None

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        """A writing transaction; one at a time in this process."""
        writable = self._engine.execution_options(writes=True)
        with self._writing, writable.begin() as connection:
            transaction = Transaction(connection)
            if back := self._clock.by():
                log.warning("the clock was set back by %g s; what waits does so no longer for that", back / 1e6)
                waits.set_back(transaction, back)
            yield transaction
            head = transaction.finish()
        self._clock.allowed_for(back)
        if head is not None:
            self._tell(head)

    def _tell(self, head: int) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(head)
            except Exception:  # the write is committed; who fails to hear of it must not make it look failed
                log.debug("a listener could not be told of change %d", head, exc_info=True)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent view."""
        with self._engine.connect().execution_options(**self._reading) as connection, connection.begin():
            yield connection

    # What the sources and the dispatcher do

    def intake(self, arrivals: Sequence[Arrival], position: Position | None = None) -> list[int]:
        """Take events in with their runs, and move the source on, in one transaction; the ids of new files.

        An event that is known already changes nothing, but that a file that was removed is there again.
        """
        with self.writing() as transaction:
            return lifecycle.take_in(transaction, arrivals, position)

    def known(self, versions: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
        """Those of these file versions, (instance, file id), that were taken in and not removed since."""
        stored = {(instance, lifecycle.identity_of(file_id)): (instance, file_id) for instance, file_id in versions}
        with self.reading() as connection:
            return {stored[version] for version in queries.known(connection, stored)}

    def position(self, source: str) -> str | None:
        """How far a source was read."""
        with self.reading() as connection:
            return queries.position(connection, source)

    def claim(self, limit: int) -> list[Claim]:
        """Hand out up to ``limit`` queued runs that are due, in turn over the proposals; each to one caller only."""
        with self.writing() as transaction:
            return lifecycle.claim(transaction, limit)

    def publish(self, number: int, attempt: int, outcome: Outcome, folder: str) -> bool:
        """Make an attempt's outcome the run's result; False if that attempt is not in force any more."""
        with self.writing() as transaction:
            return lifecycle.publish(transaction, number, attempt, outcome, folder)

    def fail(self, number: int, attempt: int, failure: Failure, retry: Retry) -> bool:
        """Record an attempt's failure and what follows; False if that attempt is not in force any more."""
        with self.writing() as transaction:
            return lifecycle.fail(transaction, number, attempt, failure, retry)

    def lost(self, runs: Collection[int]) -> None:
        """These runs were given up while running, in good order: back into the queue."""
        with self.writing() as transaction:
            lifecycle.give_up(transaction, runs)

    def recover(self) -> None:
        """At the service's start, nothing can be running: back into the queue, as ``retries`` decides."""
        with self.writing() as transaction:
            lifecycle.recover(transaction, datetime.now(UTC))

    def cancelled_running(self, runs: Collection[int]) -> set[int]:
        """Those of these running runs that somebody cancelled."""
        with self.reading() as connection:
            return queries.cancelling(connection, runs)

    def identity(self) -> str:
        """The store's own name, made with it, the same as long as it lives."""
        with self.reading() as connection:
            return str(connection.execute(select(identity.c.name)).scalar_one())

    def named_outputs(self) -> set[str]:
        """The folders that rows name; all others below the results may be swept."""
        with self.reading() as connection:
            return queries.named_outputs(connection)

    def attempts(self, runs: Collection[int]) -> dict[int, int]:
        """How many attempts of each run were handed out; runs that there are not are left out."""
        asked = sorted(runs)
        with self.reading() as connection:
            found = [queries.attempts(connection, part) for part in parts(asked, batches.PART)]
        return {run: number for part in found for run, number in part.items()}

    # What people ask for

    def request(
        self,
        key: str,
        body: str,
        user: str,
        runs: Sequence[int],
        change: Callable[[Run], PlannedRun],
    ) -> list[int]:
        """Queue runs again, on the same files; ``change`` says with which function and parameters.

        The same ``key`` with the same ``body`` gives the same runs, however often it is asked.

        Raises:
            lifecycle.OtherRequest: the key was used for something else.
        """
        with self.writing() as transaction:
            return lifecycle.request(transaction, key, body, user, runs, change)

    def batch(self, key: str, proposals: Collection[str]) -> Batch | None:
        """How far the runs of a request are; None where nothing was asked with that key."""
        with self.reading() as connection:
            return batches.batch(connection, key, proposals)

    def cancel_batch(self, key: str, proposals: Collection[str]) -> None:
        """Cancel what still waits of a request."""
        with self.writing() as transaction:
            for row in batches.waiting(transaction.connection, key, proposals):
                lifecycle.cancel_queued(transaction, row)

    def before(self, numbers: Sequence[int]) -> list[Run]:
        """Runs that are to be done again, as a listing has them; those that there are not are left out."""
        with self.reading() as connection:
            return [run for run, _ in batches.before(connection, numbers)]

    def cancel(self, number: int) -> None:
        """Cancel a queued or running run.

        Raises:
            lifecycle.NotPossible: it has ended.
        """
        with self.writing() as transaction:
            lifecycle.cancel(transaction, number)

    def release(self, number: int) -> None:
        """Put a quarantined run back into the queue.

        Raises:
            lifecycle.NotPossible: it is not in quarantine.
        """
        with self.writing() as transaction:
            lifecycle.release(transaction, number)

    def pause(self, rule: str, paused: bool) -> None:
        """Hold a rule's queued runs back, or let them go on; files are taken in all the same."""
        with self.writing() as transaction:
            lifecycle.pause(transaction, rule, paused)

    def paused(self) -> set[str]:
        """The rules that are held back."""
        with self.reading() as connection:
            return queries.paused(connection)

    def head(self) -> int:
        """The number of the last change."""
        with self.reading() as connection:
            return queries.head(connection)

    def runs(self, query: RunQuery) -> Page[Run]:
        """One page of runs."""
        with self.reading() as connection:
            return queries.runs(connection, query, self._means)

    def listing(self, query: RunQuery, told: Mapping[str, Mapping[str, str]] | None = None) -> str:
        """The same as JSON; ``told`` is what is to be said of each function's runs besides."""
        with self.reading() as connection:
            return queries.listing(connection, query, told, self._means)

    def run_ids(self, query: RunQuery, limit: int) -> list[int]:
        """The ids of what a filter matches, newest first."""
        with self.reading() as connection:
            return queries.run_ids(connection, query, limit)

    def count(self, query: RunQuery) -> CountByState:
        """How many runs match, the numbers by state, and what those that wait can expect."""
        with self.reading() as connection:
            return queries.count(connection, query)

    def run(self, number: int) -> Run | None:
        """One run with all that is known of it."""
        with self.reading() as connection:
            return queries.run_in_full(connection, number)

    def standing(self, number: int) -> Standing:
        """What waits before a run, and what holds it back."""
        with self.reading() as connection:
            return standing(connection, number, self._means)

    def work_until(self, function: str, new: int, names: Collection[str]) -> float | None:
        """The seconds that a worker alone needs for what waits and so many new runs; None where it is not known."""
        with self.reading() as connection:
            return work_until(connection, function, new, names, self._means)

    def files(self, proposals: Sequence[str], limit: int, before: int | None = None) -> Page[File]:
        """The newest files; ``before`` is the id to go on below."""
        with self.reading() as connection:
            return queries.files(connection, proposals, limit, before)

    def file(self, number: int) -> File | None:
        """One file version with its runs."""
        with self.reading() as connection:
            return queries.file_in_full(connection, number)

    def find_files(self, path: str) -> list[File]:
        """All versions of the files at a path, newest first."""
        with self.reading() as connection:
            return queries.files_at(connection, path)

    def find_named(self, name: str, proposals: Sequence[str]) -> list[File]:
        """The newest file of a name in some proposals, if there is one."""
        with self.reading() as connection:
            number = named(connection, name, proposals)
            found = queries.file_in_full(connection, number) if number is not None else None
            return [found] if found else []

    def proposals(self) -> list[Proposal]:
        """Every proposal with its numbers."""
        with self.reading() as connection:
            return queries.proposals(connection)

    def headings(self, proposals: Sequence[str]) -> list[Heading]:
        """What the runs of some proposals have: columns of the file, parameters, scalars."""
        with self.reading() as connection:
            return queries.headings(connection, proposals)

    def changes(self, proposals: Collection[str] | None, after: int, limit: int = 1000) -> list[Change]:
        """What changed after a number, in commit order; all of a transaction's changes or none of them."""
        with self.reading() as connection:
            return queries.changes(connection, proposals, after, limit)

    def places(self, after: int = 0) -> list[tuple[str, str, str, int]]:
        """For each proposal and storage with files of ids above ``after``: the path of one, and the newest id."""
        with self.reading() as connection:
            return queries.places(connection, after)
