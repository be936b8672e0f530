"""The picture of a 1 Mpx image through the service's API: cold, drawn anew of what was read, and cached."""

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from benchmarks.statistics import spread

SHAPE = (1030, 1065)  # pixels, of an Eiger 1M
ROUNDS = 30
ROOT = Path(__file__).parent.parent
COLD_BAR_MS, CACHED_BAR_MS = 300, 50


def measure() -> dict[str, object]:
    """Milliseconds from the request to the last byte, on this machine."""
    sys.path.insert(0, str(ROOT / "tests"))
    from services.api import Bench, serving

    with tempfile.TemporaryDirectory() as folder, serving(Bench(Path(folder))) as bench:
        runs = bench.arrive(*(f"red/scan1/{number}.nxs" for number in range(ROUNDS + 1)))
        output = _output(Path(folder) / "image.nxs")
        for run in runs:
            bench.finish(run, output=output)
        list(_asked(bench, runs[:1], ""))  # starts the reader
        cold, cached = list(_asked(bench, runs[1:], "")), list(_asked(bench, runs[1:], ""))
        scales = list(_asked(bench, runs[-1:] * ROUNDS, "scale=log&high={}"))
    figures = {"cold": spread(cold), "drawn anew": spread(scales), "cached": spread(cached)}
    bars = {"cold_bar_ms": COLD_BAR_MS, "cached_bar_ms": CACHED_BAR_MS}
    reached = figures["cold"]["p95_ms"] < COLD_BAR_MS and figures["cached"]["p95_ms"] < CACHED_BAR_MS
    return {**figures, **bars, "reached": reached}


def _asked(bench: Any, runs: list[int], query: str) -> Iterator[float]:
    for number, run in enumerate(runs):
        begin = time.perf_counter()
        answer = bench.ask("alice", "GET", f"results/{run}/image?width=1024&{query.format(1000 + number)}")
        if answer.status_code != 200:
            raise RuntimeError(answer.text)
        yield time.perf_counter() - begin


def _output(path: Path) -> bytes:
    counts = np.random.default_rng(1).poisson(np.linspace(0, 50, SHAPE[1]), SHAPE).astype("u4")
    counts[500:537] = 2**32 - 1
    with h5py.File(path, "w") as file:
        group = file.create_group("entry/image")
        file["entry"].attrs["NX_class"] = "NXentry"
        group.attrs.update(NX_class="NXdata", signal="counts")
        group.create_dataset("counts", data=counts, chunks=SHAPE, compression="gzip", compression_opts=1)
    return path.read_bytes()
