"""ReadingChild: asks a process of its own about files, and puts another in its place when a file crashed or hung it.

HDF5 runs in C under one lock: in a thread of the service a file that hangs would stop everything that reads HDF5, and
one that crashes the library would end the service, again at each start. A question is a line of JSON; an answer is one
that says how many bytes of content follow it.
"""

import json
import os
import resource
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

LARGEST_ANSWER = 2**25  # bytes
Answer = tuple[dict[str, Any], bytes]


class NoAnswer(Exception):
    """What was asked about did not come in time, or ended the process."""


class ReadingChild:
    """Answers one question after the other, by ``python -m module``; blocks, so it is called beside the event loop."""

    def __init__(self, module: str) -> None:
        self._module = module
        self._child: subprocess.Popen[bytes] | None = None
        self._left: list[subprocess.Popen[bytes]] = []

    def ask(self, question: dict[str, Any], within_s: float) -> Answer:
        """What the module says to a question.

        Raises:
            NoAnswer: it said nothing within the time, or ended.
        """
        try:
            return self._ask(json.dumps(question).encode() + b"\n", time.monotonic() + within_s)
        except (OSError, ValueError) as error:
            self.close()
            raise NoAnswer(f"could not be read within {within_s:.3g} s, or ended its reader") from error

    def close(self) -> None:
        """End the process; one that hangs in the kernel is waited for later."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    pipe.close()
            self._left.append(child)
        self._left = [child for child in self._left if _still_there(child)]

    def _ask(self, question: bytes, until: float) -> Answer:
        child = self._child = self._child if self._child and self._child.poll() is None else _start(self._module)
        if child.stdin is None or child.stdout is None:
            raise OSError("the reader has no pipes")
        child.stdin.write(question)
        child.stdin.flush()
        head, content = b"", bytearray()
        while not head:
            content += _part(child.stdout.fileno(), until)
            if b"\n" in content:
                head, _, rest = bytes(content).partition(b"\n")
                content = bytearray(rest)
        told = json.loads(head)
        size = int(told.pop("size"))
        if size > LARGEST_ANSWER:
            raise OSError("the answer is too large")
        while len(content) < size:
            content += _part(child.stdout.fileno(), until)
        return told, bytes(content)


def answer_all(answer: Callable[[dict[str, Any]], Answer], memory_bytes: int) -> None:
    """Answer until nobody asks any more; called in the child.

    Args:
        answer: what is said to a question.
        memory_bytes: by how much this process may grow for that, against files that claim to be huge.
    """
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print is no answer
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + memory_bytes, taken + memory_bytes))
    for line in sys.stdin.buffer:
        told, content = answer(json.loads(line))
        answers.write(json.dumps(told | {"size": len(content)}).encode() + b"\n" + content)
        answers.flush()


def _start(module: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module],
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"PATH": os.defpath, "LANG": "C.UTF-8", "PYTHONPATH": os.environ.get("PYTHONPATH", "")},
    )


def _part(pipe: int, until: float) -> bytes:
    ready, _, _ = select.select([pipe], [], [], max(0.0, until - time.monotonic()))
    part = os.read(pipe, 65536) if ready else b""
    if not part:
        raise OSError("the reader gave no answer")
    return part


def _still_there(child: subprocess.Popen[bytes]) -> bool:
    try:
        child.wait(0.5)
    except subprocess.TimeoutExpired:
        return True
    return False
