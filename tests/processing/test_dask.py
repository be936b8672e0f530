import asyncio
import gc
import json
import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import h5py
import httpx
import psutil
import pytest
import pytest_asyncio
from dask.utils import key_split
from distributed import Scheduler
from distributed.comm import core as comm_core
from distributed.security import Security
from services.living import gone
from services.ports import free_port
from services.workbench import Workbench, wait_for

from beamhub.catalog.records import Plot
from beamhub.processing.dispatcher import Dispatcher, Places
from beamhub.processing.event import FileEvent
from beamhub.processing.executors import dask as dask_executor
from beamhub.processing.executors.dask import DaskExecutor
from beamhub.processing.storage import Storage
from beamhub.processing.store import Store
from beamhub.processing.wire import task_text
from beamhub.processing.work import Arrival, Outcome, PlannedRun, Task

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Workbench(tmp_path_factory.mktemp("bench"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def executor():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTERHUB_API_TOKEN", "secret-of-the-service")
        made = DaskExecutor(workers=2)
        await made.start()
    yield made
    await made.close()


async def test_scheduler_and_workers_speak_tls_only(executor):
    info = executor._cluster.scheduler.identity()
    assert info["address"].startswith("tls://127.0.0.1:")
    assert all(address.startswith("tls://") for address in info["workers"])


@pytest.mark.parametrize("page", ["status", "info/main/workers.html", "metrics", "json/counts.json"])
async def test_there_is_no_dashboard(executor, page):
    port = executor._cluster.scheduler.identity()["services"]["dashboard"]
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"http://127.0.0.1:{port}/{page}")).status_code == 404


async def test_an_outcome_has_plot_preview_sparkline_and_provenance(executor, bench):
    task = bench.task("measure", bins=64)
    end = await executor.submit(task)
    plot = Plot.model_validate_json((task.folder / end.plot).read_text())
    assert [(curve.role, len(curve.x)) for curve in plot.curves] == [("data", 64), ("reference", 64)]
    assert (task.folder / end.preview).read_bytes().startswith(b"\x89PNG")
    assert len(end.sparkline) == 48
    with h5py.File(task.folder / end.output) as file:
        noted = json.loads(file["entry/beamhub/provenance/data"][()])
    assert (noted["function"], noted["function_digest"], noted["parameters"]["bins"]) == (
        "measure",
        task.digest,
        64,
    )


@pytest.mark.promise("load")
async def test_of_runs_that_ended_dask_keeps_nothing(executor, bench):
    await run_alone(executor, bench, 12)
    before = objects_of("distributed")
    await run_alone(executor, bench, 12)
    assert not {name: more for name, more in (objects_of("distributed") - before).items() if more >= 12}
    assert key_split.cache_info().currsize < 12


async def run_alone(executor, bench, number):
    for _ in range(number):
        await executor.submit(bench.task("measure", bins=64))
        while executor._cluster.scheduler.tasks:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)


def objects_of(package: str) -> Counter[str]:
    """How many objects there are of each of a package's classes."""
    gc.collect()
    return Counter(
        name
        for one in gc.get_objects()
        if (name := f"{type(one).__module__}.{type(one).__qualname__}").startswith(package)
    )


@pytest.mark.parametrize(
    "function",
    ["fails", "loops", "ends_its_process", "crashes", "eats_memory", "writes_no_output", "returns_a_number"],
)
async def test_only_the_run_that_fails_fails_and_its_neighbour_comes_to_its_end(executor, bench, function):
    raw = bench.raw("scan1/neighbour.nxs")
    neighbour = asyncio.create_task(executor.submit(bench.task("sleeps", raw=raw, seconds=0.2)))
    end = await executor.submit(bench.task(function))
    assert end.kind == ("resource" if function in ("loops", "ends_its_process", "crashes", "eats_memory") else "code")
    assert isinstance(await neighbour, Outcome)


@pytest.mark.promise("user code")
async def test_a_secret_of_the_service_reaches_neither_worker_nor_function(executor, bench):
    end = await executor.submit(bench.task("tells_its_environment"))
    assert "HOME=" in end.log_tail
    assert "JUPYTERHUB" not in end.log_tail
    environments = await executor._client.run(lambda: dict(os.environ))
    assert not any("JUPYTERHUB_API_TOKEN" in environment for environment in environments.values())


async def test_two_versions_run_side_by_side(executor, bench):
    older = bench.library.find("measure").record.digest
    module = bench.folder / "functions/wild.py"
    module.write_text(module.read_text().replace('title="I(Q)"', 'title="I(Q), new"'))
    assert bench.library.refresh()
    newer = bench.library.find("measure").record.digest
    tasks = [bench.task("measure", digest=digest) for digest in (older, newer, older, newer)]
    ends = await asyncio.gather(*map(executor.submit, tasks))
    titles = [json.loads((task.folder / end.plot).read_text())["title"] for task, end in zip(tasks, ends, strict=True)]
    assert titles == ["I(Q)", "I(Q), new", "I(Q)", "I(Q), new"]


@pytest.mark.promise("kills of the service")
async def test_a_lost_worker_is_a_transient_failure_and_another_one_comes(executor, bench):
    task = bench.task("sleeps", seconds=20.0)
    running = asyncio.create_task(executor.submit(task))
    await asyncio.to_thread(wait_for, lambda: list(task.raw.parent.glob("exposure.*.running")))
    found = list(task.raw.parent.glob("exposure.*.running"))
    runner = psutil.Process(int(found[0].suffixes[0][1:]))
    worker = runner.parent().parent()
    worker.kill()
    end = await running
    assert end.kind == "transient"
    assert gone(runner)
    assert isinstance(await executor.submit(bench.task("measure")), Outcome)


@pytest.mark.promise("kills of the service")
@pytest.mark.parametrize("was_there", [False, True])
async def test_however_long_a_scheduler_is_away_it_is_soon_found_again(was_there, monkeypatch, tmp_path):
    security = Security.temporary()
    port, waits = free_port(), []

    def worst_luck(low, high):
        waits.append(high)
        return high

    def scheduler():
        return Scheduler(host="127.0.0.1", port=port, protocol="tls", security=security, dashboard=False)

    monkeypatch.setattr(dask_executor, "CONNECT_S", 0.2)
    made = DaskExecutor(address=f"tls://127.0.0.1:{port}", security=security)
    starts = asyncio.create_task(made.start())
    if was_there:
        async with scheduler():
            await starts
    monkeypatch.setattr(comm_core, "random", SimpleNamespace(uniform=worst_luck))
    await asyncio.sleep(2)
    assert len(waits) > 2
    assert max(waits) <= 0.2
    async with scheduler() as again:
        await asyncio.wait_for(starts, 20)
        await asyncio.to_thread(wait_for, lambda: again.clients)
        await made.close()


async def test_a_scheduler_with_a_certificate_of_somebody_else_is_an_error_at_the_start():
    theirs = Security.temporary()
    async with Scheduler(host="127.0.0.1", port=0, protocol="tls", security=theirs, dashboard=False) as scheduler:
        made = DaskExecutor(address=scheduler.address, security=Security.temporary())
        with pytest.raises(OSError, match="certificate"):
            await asyncio.wait_for(made.start(), 20)
        await made.close()


async def test_what_arrives_is_published_from_the_store_through_dask_to_the_store(executor, bench, tmp_path):
    store = Store.open(f"sqlite:///{tmp_path / 'store.db'}")
    storages = {"beamline": Storage(bench.raw().parents[2])}
    places = Places(storages, tmp_path / "results", tmp_path)
    dispatcher = Dispatcher(store, {"here": executor}, lambda claim: "here", bench.library, places)
    dispatching = asyncio.create_task(dispatcher.run())
    runs = (PlannedRun("good", "measure", {"bins": 12}), PlannedRun("bad", "fails", {}))
    path = "proposal/scan1/exposure.nxs"
    event = FileEvent("test", "demo", "1", "beamline", path, 1, datetime.now(UTC))
    await store.call(store.intake, [Arrival(event, "proposal", runs=runs)])
    async with asyncio.timeout(20):
        while {run.state for run in store.file(1).runs} != {"done", "failed"}:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    good, bad = sorted((store.run(run.id) for run in store.file(1).runs), key=lambda run: run.state)
    assert good.scalars["bins"].value == 12
    assert set(good.has) == {"file", "preview", "plot"}
    assert {p.name for p in (tmp_path / f"results/proposal/{good.id}/1").iterdir()} >= {"plot.json", "preview.png"}
    assert bad.error.traceback[0].startswith("wild.py:")
    dispatching.cancel()
    await asyncio.gather(dispatching, return_exceptions=True)
    store.close()


SERVICE = """
import asyncio, sys
from beamhub.processing.executors import dask as dask_executor
from beamhub.processing.executors.dask import DaskExecutor
from beamhub.processing.wire import read_task

async def main():
    executor = DaskExecutor(workers=1)
    await executor.start()
    await executor.submit(read_task(sys.stdin.read()))

if __name__ == "__main__":
    asyncio.run(main())
"""


def killed_service(program: Path, task: Task) -> list[psutil.Process]:
    """Start a service that runs a task, kill it in the middle, and return what it had started."""
    program.write_text(SERVICE)
    with subprocess.Popen([sys.executable, program], stdin=subprocess.PIPE, text=True) as service:
        service.stdin.write(task_text(task))
        service.stdin.close()
        wait_for(task.raw.with_suffix(".started").exists, 60)
        below = psutil.Process(service.pid).children(recursive=True)
        service.kill()
    return below


@pytest.mark.promise("kills of the service")
async def test_kill_9_of_the_service_leaves_no_process_behind(bench, tmp_path):
    task = bench.task("ignores_signals_and_loops", raw=bench.raw("scan1/service.nxs"))
    below = await asyncio.to_thread(killed_service, tmp_path / "service.py", task)
    assert len(below) >= 4  # worker, guardian, runner, sleep
    assert all(gone(process, within_s=5) for process in below)
