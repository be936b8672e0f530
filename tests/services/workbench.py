"""A workbench for functions: a folder with functions, a library, a raw file, and tasks for them."""

import itertools
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py

from beamhub.processing.library import Library
from beamhub.processing.work import Task

FUNCTIONS = Path(__file__).parent.parent / "functions"


def wait_for(condition: Callable[[], object], within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("what was waited for did not happen")
        time.sleep(0.02)


@dataclass
class Workbench:
    """Everything lies below ``folder``; runs are numbered from 1."""

    folder: Path
    library: Library = field(init=False)
    numbers: itertools.count = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        functions = self.folder / "functions"
        functions.mkdir(parents=True)
        shutil.copy(FUNCTIONS / "wild.py", functions)
        (functions / "wild.py").chmod(0o644)
        self.library = Library([functions], self.folder / "copies")
        self.library.refresh()

    def raw(self, name: str = "scan1/exposure.nxs") -> Path:
        path = self.folder / "raw/proposal" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            with h5py.File(path, "w") as file:
                file["counts"] = [1, 2, 3]
        return path

    def task(self, function: str, raw: Path | None = None, digest: str = "", **parameters: Any) -> Task:
        version, run = self.library.find(function, digest), next(self.numbers)
        return Task(
            run=run,
            attempt=1,
            function=function,
            digest=version.record.digest,
            module_copy=version.module_copy,
            parameters=parameters,
            raw=raw or self.raw(),
            folder=self.folder / f"results/proposal/{run}/1.part",
            timeout_s=version.record.timeout_s,
            memory_bytes=version.record.memory_bytes,
            within=self.folder / "raw/proposal",
            provenance={"proposal": "proposal", "path": "scan1/exposure.nxs"},
        )
