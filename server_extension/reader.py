"""Reader: has a child process look into HDF5 files, and ends it where a file system hangs."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import asdict
from pathlib import Path

from beamhub.server_extension.content import Question

TIMEOUT_S = 30.0
SECRETS = ("JUPYTERHUB_API_TOKEN", "JPY_API_TOKEN")  # which a library that opens files has no use for


class CannotRead(Exception):
    """What was asked of a file cannot be answered."""


class Hangs(Exception):
    """The file did not come within 30 s."""


class Reader:
    """Answers one question after the other; the child is started with the first one and ends with this process."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._child: Process | None = None

    async def read(self, file: Path, question: Question) -> tuple[bytes, dict[str, str]]:
        """The content and the headers that say what it is.

        Raises:
            CannotRead: there is no such thing in the file, or it is no HDF5 file.
            Hangs: the file system does not answer, or what is in the file ended the child.
        """
        async with self._lock:
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    return await self._ask(file, question)
            except (TimeoutError, EOFError, OSError, ValueError) as error:
                self.close()
                raise Hangs(f"{file.name} could not be read within {TIMEOUT_S:.0f} s: try again") from error
            except asyncio.CancelledError:
                self.close()  # the next one must not get the answer that comes too late
                raise

    def close(self) -> None:
        """End the child."""
        child, self._child = self._child, None
        if child is not None and child.returncode is None:
            child.kill()

    async def _ask(self, file: Path, question: Question) -> tuple[bytes, dict[str, str]]:
        if self._child is None or self._child.returncode is not None:
            self._child = await _start()
        asked, answered = self._child.stdin, self._child.stdout
        if asked is None or answered is None:
            raise EOFError
        asked.write(json.dumps({"file": str(file), "question": asdict(question)}).encode() + b"\n")
        await asked.drain()
        head = json.loads(await answered.readuntil(b"\n"))
        content = await answered.readexactly(head["size"])
        if head["wrong"]:
            raise CannotRead(head["wrong"])
        return content, head["headers"]


async def _start() -> Process:
    clean = {name: value for name, value in os.environ.items() if name not in SECRETS}
    command = [sys.executable, "-P", "-m", "beamhub.server_extension.content"]
    return await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, env=clean)
