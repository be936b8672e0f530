"""ColumnReader: asks a process of its own for columns, and puts another in its place when a file crashed or hung it.

HDF5 runs in C under one lock: in a thread of the service a file that hangs would stop everything that reads HDF5, and
one that crashes the library would end the service, again at each start.
"""

import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path

from beamhub.processing.columns import Cell

LARGEST_ANSWER = 2**20  # bytes


class ColumnReader:
    """Reads one file at a time; blocks, so it is called beside the event loop."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._left: list[subprocess.Popen[bytes]] = []

    def read(self, root: Path, path: str, wanted: dict[str, str], within_s: float) -> tuple[dict[str, Cell], str]:
        """The columns of a file, None where there is none, and why; see ``read_columns``."""
        question = json.dumps({"root": str(root), "path": path, "wanted": wanted}) + "\n"
        try:
            columns, why = json.loads(self._ask(question.encode(), within_s))
        except (OSError, ValueError):
            self._give_up()
            return dict.fromkeys(wanted), f"the file could not be read within {within_s:.3g} s, or ended its reader"
        return columns, why

    def close(self) -> None:
        """End the process."""
        self._give_up()

    def _ask(self, question: bytes, within_s: float) -> bytes:
        child = self._child = self._child if self._child and self._child.poll() is None else _start()
        until, answer = time.monotonic() + within_s, b""
        if child.stdin is None or child.stdout is None:
            raise OSError("the reader has no pipes")
        child.stdin.write(question)
        child.stdin.flush()
        while not answer.endswith(b"\n"):
            ready, _, _ = select.select([child.stdout], [], [], max(0.0, until - time.monotonic()))
            part = os.read(child.stdout.fileno(), 65536) if ready else b""
            answer += part
            if not part or len(answer) > LARGEST_ANSWER:
                raise OSError("the reader gave no answer")
        return answer

    def _give_up(self) -> None:
        """Kill the process; one that hangs in the kernel is waited for later."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    pipe.close()
            self._left.append(child)
        self._left = [child for child in self._left if _still_there(child)]


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "beamhub.processing.columns"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"PATH": os.defpath, "LANG": "C.UTF-8", "PYTHONPATH": os.environ.get("PYTHONPATH", "")},
    )


def _still_there(child: subprocess.Popen[bytes]) -> bool:
    try:
        child.wait(0.5)
    except subprocess.TimeoutExpired:
        return True
    return False
