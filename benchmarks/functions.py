"""Functions a second, beside bare dask.distributed: the 1 Mpx pyFAI function, writing its file on both sides."""

import asyncio
import logging
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from distributed import Client, LocalCluster

from beamhub.processing.executors.dask import DaskExecutor
from beamhub.processing.library import Library
from beamhub.processing.work import Outcome, Task

ROOT = Path(__file__).parent.parent
FRAMES, ROUNDS, WORKERS = 40, 5, 2
BAR = 0.8


def measure() -> dict[str, object]:
    """Rounds of both in turn on the same frames; runs a second of each, and the ratio of the medians."""
    logging.getLogger("distributed").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        _frames(folder)
        shutil.copytree(ROOT / "examples/demo/functions", folder / "functions")
        return asyncio.run(_measure(folder))


async def _measure(folder: Path) -> dict[str, object]:
    library = Library([folder / "functions"], folder / "copies")
    await asyncio.to_thread(library.refresh)
    executor = DaskExecutor(WORKERS)
    await executor.start()
    rates: dict[str, list[float]] = {"beamhub": [], "bare dask": []}
    async with (
        LocalCluster(n_workers=WORKERS, threads_per_worker=1, dashboard_address=None, asynchronous=True) as cluster,
        Client(cluster, asynchronous=True) as client,
    ):
        for turn in range(ROUNDS + 1):
            for name, run in (("beamhub", _ours(executor, library)), ("bare dask", _bare(client))):
                begin = time.perf_counter()
                await run(folder, turn)
                rates[name].append(FRAMES / (time.perf_counter() - begin))
    await executor.close()
    medians = {name: sorted(found[1:])[len(found[1:]) // 2] for name, found in rates.items()}
    ratio = medians["beamhub"] / medians["bare dask"]
    figures: dict[str, object] = {
        name: {"per second": round(medians[name], 2), "rounds": [round(rate, 2) for rate in found[1:]]}
        for name, found in rates.items()
    }
    return {**figures, "ratio of medians": round(ratio, 3), "bar": BAR, "reached": ratio >= BAR}


def _ours(executor: DaskExecutor, library: Library) -> Any:
    version = library.find("powder_diffraction")

    async def run(folder: Path, turn: int) -> None:
        tasks = [
            Task(
                run=turn * FRAMES + number, attempt=1, function="powder_diffraction", digest=version.record.digest,
                module_copy=version.module_copy, parameters={}, raw=folder / f"raw/{number}.nxs",
                folder=folder / f"out/ours-{turn}-{number}.part", timeout_s=60, memory_bytes=4 * 2**30,
            )
            for number in range(FRAMES)
        ]  # fmt: skip
        for end in await asyncio.gather(*(executor.submit(task) for task in tasks)):
            if not isinstance(end, Outcome):
                raise RuntimeError(f"a run failed: {end}")

    return run


def _bare(client: Client) -> Any:
    async def run(folder: Path, turn: int) -> None:
        futures = [
            client.submit(_call, str(folder), number, turn, key=f"bare-{turn}-{number}", pure=False)
            for number in range(FRAMES)
        ]
        await client.gather(futures)

    return run


def _call(folder: str, number: int, turn: int) -> None:
    """What a Dask user would write: import the function on the worker, and call it."""
    if (functions := f"{folder}/functions") not in sys.path:
        sys.path.insert(0, functions)
    import powder

    powder.powder_diffraction(Path(f"{folder}/raw/{number}.nxs"), Path(f"{folder}/out/bare-{turn}-{number}.nxs"))


def _frames(folder: Path) -> None:
    sys.path.insert(0, str(ROOT / "examples/demo/beamline"))
    import frames

    (folder / "raw").mkdir()
    (folder / "out").mkdir()
    frames.write_geometry(folder / "raw")
    for number, frame in enumerate(frames.frames(FRAMES)):
        frames.write_frame(frame, number + 1, FRAMES, folder / f"raw/{number}.nxs")
