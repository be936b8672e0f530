"""Commands of a batch system, run without a shell and within a time."""

import asyncio
import contextlib
import os
import signal
from typing import Any


class SiteDown(Exception):
    """The batch system did not answer, or not in a way that can be believed."""


class NoProgram(SiteDown):
    """A program is not there, or may not be started."""


async def run(
    command: list[str], environment: dict[str, str], within: float, text: bytes = b"", **account: Any
) -> tuple[int, str, str]:
    """Run a command, never by a shell; one that takes too long is killed with all that it started."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=-1, stdout=-1, stderr=-1, env=environment, cwd="/", start_new_session=True, **account
        )
    except OSError as error:
        raise NoProgram(f"{command[0]} cannot be started: {error.strerror}") from error
    try:
        out, err = await asyncio.wait_for(process.communicate(text), within)
    except (TimeoutError, asyncio.CancelledError) as error:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(TimeoutError):  # one of another account cannot be killed; it ends by itself
            await asyncio.wait_for(process.wait(), 1)
        if isinstance(error, asyncio.CancelledError):
            raise
        raise SiteDown(f"{os.path.basename(command[0])} did not come to an end in {within:g} s") from error
    return process.returncode or 0, out.decode("utf-8", "replace"), err.decode("utf-8", "replace")
