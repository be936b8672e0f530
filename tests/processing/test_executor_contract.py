"""The contract of executors, on the one in this process and on Dask."""

import asyncio
import time

import pytest
import pytest_asyncio
from services.workbench import Workbench

from beamhub.processing.executors.dask import DaskExecutor
from beamhub.processing.testing import FakeExecutor, fails, never_ends
from beamhub.processing.work import Failure, Outcome

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Workbench(tmp_path_factory.mktemp("bench"))


def fake() -> FakeExecutor:
    error = Failure("code", "ZeroDivisionError", "division by zero")
    return FakeExecutor({"fails": fails(error), "sleeps": never_ends})


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["fake", "dask"])
async def executor(request):
    made = fake() if request.param == "fake" else DaskExecutor(workers=2)
    await made.start()
    yield made
    await made.close()


async def test_a_task_that_ends_well_gives_an_outcome_whose_output_lies_in_its_folder(executor, bench):
    task = bench.task("measure")
    end = await executor.submit(task)
    assert isinstance(end, Outcome), end
    assert (task.folder / end.output).is_file()


async def test_what_a_function_raises_is_a_failure_and_no_exception(executor, bench):
    end = await executor.submit(bench.task("fails"))
    assert (end.kind, end.type) == ("code", "ZeroDivisionError")


async def test_as_many_tasks_as_slots_can_be_submitted_at_one_time(executor, bench):
    ends = await asyncio.gather(*(executor.submit(bench.task("measure")) for _ in range(executor.slots)))
    assert all(isinstance(end, Outcome) for end in ends)


@pytest.mark.promise("user code")
async def test_a_cancelled_run_ends_within_two_seconds_and_leaves_its_place_to_others(executor, bench):
    tasks = [bench.task("sleeps", seconds=25.0) for _ in range(executor.slots)]
    running = [asyncio.create_task(executor.submit(task)) for task in tasks]
    await asyncio.sleep(1.5)
    for task, its_run in zip(reversed(tasks), reversed(running), strict=True):  # those that wait before the others
        began = time.monotonic()
        await executor.cancel(task.run)
        assert (await its_run).type == "Cancelled"
        assert time.monotonic() - began < 2
    assert isinstance(await executor.submit(bench.task("measure")), Outcome)


async def test_cancelling_a_run_that_is_not_there_is_nothing(executor):
    await executor.cancel(999_999)
