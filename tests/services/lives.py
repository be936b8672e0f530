"""The service started by ``services.mortal``, life by life, and a function whose results show if they are whole."""

import os
import select
import subprocess
import sys
from typing import Any

import psutil
from services.service import Running, config

FUNCTION = """
import time
from pathlib import Path
import h5py
from beamhub.processing.functions import Scalar, Summary, function

@function(title="Copy", version="1", timeout="60s", memory="1G")
def copy(raw: Path, out: Path, wait: float = 0.0) -> Summary:
    text = raw.read_text()
    with h5py.File(out, "w") as file:
        file["begin"] = text
        file.flush()
        time.sleep(wait)
        file["end"] = text
    return Summary(scalars={"size": Scalar(value=len(text), unit="B")})
"""
CONFIG = config(
    """
  every: {when: {storage: beamline, path: "*/*/*.raw"}, function: copy}
  tenth: {when: {storage: beamline, path: "*/*/*0.raw"}, function: copy, with: {wait: 0.15}}
""",
    executor="{kind: dask, workers: 1}",
)
RULES = {"0": {"every", "tenth"}}  # by the last letter of a file's name; others: every


def content(name: str) -> str:
    """What stands in the raw file of this name."""
    return f"what was measured in {name}\n" * 50


class Mortal(Running):
    """The service started by ``services.mortal``, life by life."""

    def start(self, *arguments: str) -> Any:
        """Start the program; no service yet."""
        command = [sys.executable, "-m", "services.mortal", "processing", "--config", "processing.yaml", *arguments]
        environment = self.environment | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        with (self.folder / "log").open("a") as log:
            self.program = subprocess.Popen(
                command, cwd=self.folder, env=environment, text=True, bufsize=1,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip

    def live(self, point: str) -> psutil.Process:
        """Start a life; its process."""
        self.program.stdin.write(f"{point}\n")
        return psutil.Process(int(self.program.stdout.readline()))

    def ended(self) -> int:
        """Wait for the end of this life: its exit code, negative for a signal."""
        return int(self.program.stdout.readline())

    def has_ended(self) -> bool:
        """Whether it has."""
        return bool(select.select([self.program.stdout], [], [], 0)[0])

    def below(self) -> list[psutil.Process]:
        """All processes there are."""
        return psutil.Process(self.program.pid).children(recursive=True)

    def stop(self) -> None:
        """Kill the program, and what is below it with it."""
        self.program.kill()
        self.program.wait()
        self.program.stdin.close()
        self.program.stdout.close()
