"""The demo as a newcomer starts it, on free ports and in a folder of its own."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
from services.ports import free_ports

ROOT = Path(__file__).parents[2]
READY = re.compile(r"BeamHub is ready: (\S+) user=(\S+) password=(\S+)")


class RunningDemo:
    """``beamhub demo``, from its first line to the one that says it is ready."""

    def __init__(self, folder: Path, port: int | None = None, **environment: str) -> None:
        self.folder = folder
        self.port = port or free_ports()
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "demo.log"
        command = [
            str(Path(sys.executable).with_name("beamhub")),
            "demo",
            "--port",
            str(self.port),
            "--folder",
            str(folder),
        ]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, env=os.environ | environment
            )

    def wait_ready(self, within: float = 90) -> "RunningDemo":
        """Wait for the line; its parts are ``url``, ``user`` and ``password``."""
        until = time.monotonic() + within
        while time.monotonic() < until:
            if found := READY.search(self.text()):
                self.url, self.user, self.password = found.groups()
                return self
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise AssertionError(f"the demo was not ready:\n{self.text()}")

    def text(self) -> str:
        return self.log.read_text()

    def interrupt(self) -> int:
        """Ctrl-C; the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)

    def processes(self) -> list[psutil.Process]:
        """Every process that belongs to this demo."""
        mark, found = f"BEAMHUB_DEMO={self.folder.resolve()}".encode(), []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (path / "environ").read_bytes().split(b"\0") and (path / "cmdline").read_bytes():
                    found.append(psutil.Process(int(path.name)))
            except (OSError, psutil.NoSuchProcess):
                continue
        return found

    def stop(self) -> None:
        if self.process.poll() is None:
            self.interrupt()
