import asyncio
import contextlib
import dataclasses
import threading
from datetime import UTC, datetime, timedelta

import pytest
from services.workbench import Workbench

from beamhub.processing import dispatcher as module
from beamhub.processing.dispatcher import Dispatcher, Places
from beamhub.processing.event import FileEvent
from beamhub.processing.storage import Storage
from beamhub.processing.store import Store
from beamhub.processing.testing import FakeExecutor, fails, never_ends, writes_an_output
from beamhub.processing.work import Arrival, Claim, Failure, PlannedRun


class MemoryStore:
    """The store's promises in a dictionary: what is queued is claimed once, and only its attempt may end it."""

    def __init__(self):
        self.claims, self.states, self.ends, self.folders, self.named = {}, {}, {}, {}, set()
        self.listeners, self.trouble = [], 0

    def add(self, function="measure", path="proposal/scan1/exposure.nxs", **more):
        run = len(self.claims) + 1
        storage = more.pop("storage", "beamline")
        self.claims[run] = Claim(run, 0, "proposal", storage, path, function, "", {}, "rule", **more)
        self.states[run] = "queued"
        self.committed()
        return run

    async def call(self, method, *args):
        await asyncio.sleep(0)
        if self.trouble:
            self.trouble -= 1
            raise OSError("database is locked")
        return method(*args)

    def on_commit(self, callback):
        self.listeners.append(callback)
        return lambda: self.listeners.remove(callback)

    def committed(self):
        for listener in self.listeners:
            listener(1)

    def recover(self):
        self.lost([run for run, state in self.states.items() if state == "running"])

    def named_outputs(self):
        return self.named

    def attempts(self, runs):
        return {run: self.claims[run].attempt for run in runs if run in self.claims}

    def claim(self, limit):
        queued = [run for run, state in self.states.items() if state == "queued"][:limit]
        for run in queued:
            self.states[run] = "running"
            self.claims[run] = dataclasses.replace(self.claims[run], attempt=self.claims[run].attempt + 1)
        return [self.claims[run] for run in queued]

    def publish(self, run, attempt, outcome, folder):
        return self._end(run, attempt, "done", outcome, folder)

    def fail(self, run, attempt, failure, retry):
        return self._end(run, attempt, "failed", (failure, retry), "")

    def lost(self, runs):
        self.states |= dict.fromkeys(runs, "queued")

    def cancelled_running(self, runs):
        return {run for run in runs if self.states[run] == "cancelled"}

    def _end(self, run, attempt, state, end, folder):
        if self.states[run] != "running" or self.claims[run].attempt != attempt:
            return False
        self.states[run], self.ends[run], self.folders[run] = state, end, folder
        self.committed()
        return True


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    made = Workbench(tmp_path_factory.mktemp("bench"))
    made.raw()
    return made


@pytest.fixture
def store():
    return MemoryStore()


@pytest.fixture
def places(bench, tmp_path):
    return Places({"beamline": Storage(bench.folder / "raw", settle_s=3.0)}, tmp_path / "results", tmp_path)


@contextlib.asynccontextmanager
async def dispatching(store, bench, places, executor):
    made = Dispatcher(store, {"here": executor}, lambda claim: "here", bench.library, places)
    running = asyncio.create_task(made.run())
    try:
        yield made
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def until(condition, within_s=3.0):
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110  # what is waited for is in the double of the store
            await asyncio.sleep(0.01)


async def test_a_queued_run_is_executed_and_its_folder_is_named(store, bench, places):
    run = store.add()
    async with dispatching(store, bench, places, FakeExecutor()):
        await until(lambda: store.states[run] == "done")
    assert store.folders[run] == f"proposal/{run}/1"
    assert (places.results / store.folders[run] / store.ends[run].output).is_file()


async def test_a_run_that_comes_later_is_taken_at_once(store, bench, places, monkeypatch):
    monkeypatch.setattr(module, "IDLE_S", 60.0)
    async with dispatching(store, bench, places, FakeExecutor()):
        await asyncio.sleep(0.1)
        run = store.add()
        await until(lambda: store.states[run] == "done")


async def test_no_more_runs_are_claimed_than_the_executor_has_slots(store, bench, places):
    runs = [store.add("loops") for _ in range(5)]
    async with dispatching(store, bench, places, FakeExecutor({"loops": never_ends}, slots=2)):
        await until(lambda: list(store.states.values()).count("running") == 2)
        await asyncio.sleep(0.2)
        assert [store.states[run] for run in runs] == ["running", "running", "queued", "queued", "queued"]


async def test_a_task_says_where_everything_lies(store, bench, places):
    executor = FakeExecutor()
    run = store.add()
    async with dispatching(store, bench, places, executor):
        await until(lambda: store.states[run] == "done")
    task = executor.submitted[0]
    assert task.raw == bench.folder / "raw/proposal/scan1/exposure.nxs"
    assert task.within == bench.folder / "raw/proposal"
    assert task.folder == places.results / f"proposal/{run}/1.part"
    assert task.digest == bench.library.find("measure").record.digest


@pytest.mark.promise("power, disks, clocks")
async def test_runs_of_a_storage_that_hangs_keep_no_other_storages_runs_from_theirs(store, bench, places, monkeypatch):
    answers = threading.Event()

    def resolve(root, path, real=module.resolve_raw):
        return answers.wait(20) if path.startswith("far") else real(root, path)

    monkeypatch.setattr(module, "resolve_raw", resolve)
    monkeypatch.setattr(module, "FOUND_WITHIN_S", 0.1)
    far = Places({**places.storages, "far": places.storages["beamline"]}, places.results, places.base)
    hanging = [store.add(path=f"far/{number}.nxs", storage="far") for number in range(30)]
    near = store.add()
    try:
        async with dispatching(store, bench, far, FakeExecutor(slots=2)):
            await until(lambda: store.states[near] == "done", within_s=10)
            await until(lambda: {store.states[run] for run in hanging} == {"failed"}, within_s=10)
    finally:
        answers.set()
    failure, _ = store.ends[hanging[0]]
    assert (failure.kind, failure.message) == ("transient", "the storage far did not answer within 0.1 s.")


@pytest.mark.parametrize(
    ("path", "function", "kind"),
    [
        ("proposal/gone.nxs", "measure", "data"),
        ("../secret.nxs", "measure", "data"),
        ("proposal/scan1/exposure.nxs", "unknown", "code"),
    ],
)
async def test_what_cannot_be_started_fails_with_a_sentence(store, bench, places, path, function, kind):
    run = store.add(function, path)
    async with dispatching(store, bench, places, FakeExecutor()):
        await until(lambda: store.states[run] == "failed")
    failure, _ = store.ends[run]
    assert failure.kind == kind
    assert failure.message.endswith(".")


@pytest.mark.parametrize(
    ("kind", "more", "after_s", "quarantined"),
    [
        ("transient", {}, 1, False),
        ("data", {}, 3, False),
        ("data", {"data_failures": 1}, None, False),
        ("resource", {}, None, False),
        ("resource", {"resource_failures": 1}, None, True),
        ("code", {}, None, False),
    ],
)
async def test_a_failure_is_handed_in_with_what_happens_next(store, bench, places, kind, more, after_s, quarantined):
    run, before = store.add("fails", **more), datetime.now(UTC)
    async with dispatching(store, bench, places, FakeExecutor({"fails": fails(Failure(kind, "Error", "it failed"))})):
        await until(lambda: store.states[run] == "failed")
    _, retry = store.ends[run]
    assert retry.quarantined == quarantined
    assert (retry.at is None) == (after_s is None)
    if after_s:
        assert before <= retry.at - timedelta(seconds=after_s) <= datetime.now(UTC)


async def test_an_executor_that_breaks_its_contract_leaves_no_run_running(store, bench, places):
    async def breaks(task):
        raise LookupError("no worker")

    run = store.add()
    async with dispatching(store, bench, places, FakeExecutor({"measure": breaks})):
        await until(lambda: store.states[run] == "failed")
    assert store.ends[run][0].kind == "transient"


async def test_a_cancelled_run_gives_its_slot_back_within_two_seconds(store, bench, places):
    first, second = store.add("loops"), store.add()
    async with dispatching(store, bench, places, FakeExecutor({"loops": never_ends}, slots=1)):
        await until(lambda: store.states[first] == "running")
        store.states[first] = "cancelled"
        await until(lambda: store.states[second] == "done", within_s=2.0)
    assert store.states[first] == "cancelled"


async def test_an_attempt_that_no_longer_counts_is_discarded_with_its_files(store, bench, places):
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def slow(task):
        entered.set()
        await go_on.wait()
        return await writes_an_output(task)

    run = store.add()
    async with dispatching(store, bench, places, FakeExecutor({"measure": slow})) as made:
        await entered.wait()
        store.claims[run] = dataclasses.replace(store.claims[run], attempt=9)
        go_on.set()
        await until(lambda: not made._running)
    assert store.ends == {}
    assert not any((places.results / f"proposal/{run}").iterdir())


async def test_at_the_start_runs_left_running_are_queued_again_and_nameless_folders_swept(store, bench, places):
    run = store.add()
    store.states[run] = "running"
    torn, kept = places.results / f"proposal/{run}/1.part", places.results / "proposal/77/1"
    torn.mkdir(parents=True)
    kept.mkdir(parents=True)
    store.named = {"proposal/77/1"}
    async with dispatching(store, bench, places, FakeExecutor()):
        await until(lambda: store.states[run] == "done")
    assert not torn.exists()
    assert kept.is_dir()


async def test_at_the_end_what_runs_goes_back_into_the_queue(store, bench, places):
    run = store.add("loops")
    async with dispatching(store, bench, places, FakeExecutor({"loops": never_ends})):
        await until(lambda: store.states[run] == "running")
    assert store.states[run] == "queued"


async def test_a_store_that_does_not_answer_for_a_while_loses_nothing(store, bench, places, monkeypatch):
    monkeypatch.setattr(module, "STORE_WAITS_S", (0.01,))

    async def fail_while_the_store_is_away(task):
        store.trouble = 5
        return Failure("code", "Error", "it failed")

    run = store.add("fails")
    async with dispatching(store, bench, places, FakeExecutor({"fails": fail_while_the_store_is_away})):
        await until(lambda: store.states[run] == "failed")


async def test_a_publication_whose_answer_was_lost_keeps_its_files(store, bench, places, monkeypatch):
    monkeypatch.setattr(module, "STORE_WAITS_S", (0.01,))
    publish = store.publish

    def publish_and_break(*args):
        store.publish = publish
        publish(*args)
        raise OSError("connection lost after the commit")

    store.publish = publish_and_break
    run = store.add()
    async with dispatching(store, bench, places, FakeExecutor()):
        await until(lambda: store.states[run] == "done")
        await asyncio.sleep(0.2)
    assert (places.results / store.folders[run] / store.ends[run].output).is_file()


@pytest.fixture
def database(tmp_path):
    made = Store.open(f"sqlite:///{tmp_path / 'store.db'}")
    yield made
    made.close()


def arrive(database, path, function="measure", **parameters):
    event = FileEvent("test", "demo", path, "beamline", path, 1, datetime.now(UTC))
    arrival = Arrival(event, "proposal", runs=(PlannedRun("rule", function, parameters),))
    (number,) = database.intake([arrival])
    return database.file(number).runs[0].id


@pytest.mark.parametrize(
    ("function", "state"), [("measure", "done"), ("fails", "failed"), ("sleeps", "queued")], ids=str
)
async def test_on_the_real_store_a_run_comes_to_its_state(database, bench, places, function, state):
    failure = Failure("transient" if function == "sleeps" else "code", "Error", "it failed")
    run = arrive(database, "proposal/scan1/exposure.nxs", function)
    executor = FakeExecutor({"fails": fails(failure), "sleeps": fails(failure)})
    async with dispatching(database, bench, places, executor):
        await until(lambda: database.run(run).attempts == 1 and database.run(run).state == state)
    if state == "done":
        assert database.named_outputs() == {f"proposal/{run}/1"}
        assert (places.results / f"proposal/{run}/1/exposure-measure.nxs").is_file()


async def test_on_the_real_store_a_cancelled_run_ends_and_frees_its_slot(database, bench, places):
    first = arrive(database, "proposal/scan1/exposure.nxs", "loops")
    async with dispatching(database, bench, places, FakeExecutor({"loops": never_ends}, slots=1)):
        await until(lambda: database.run(first).state == "running")
        database.cancel(first)
        await until(lambda: database.run(first).state == "cancelled", within_s=2.0)


async def test_on_the_real_store_what_was_running_is_run_again_after_a_restart(database, bench, places):
    run = arrive(database, "proposal/scan1/exposure.nxs")
    database.claim(1)
    async with dispatching(database, bench, places, FakeExecutor()):
        await until(lambda: database.run(run).state == "done")
    assert database.run(run).attempts == 2


async def test_a_paused_rule_starts_nothing_and_goes_on_when_it_is_released(database, bench, places):
    database.pause("rule", True)
    run = arrive(database, "proposal/scan1/exposure.nxs")
    async with dispatching(database, bench, places, FakeExecutor()):
        await asyncio.sleep(0.3)
        assert database.run(run).state == "queued"
        database.pause("rule", False)
        await until(lambda: database.run(run).state == "done")
