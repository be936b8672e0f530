"""What a process says when it ends in the middle of a function: where it was.

The words go into a file in memory, which the worker holds too. Seen from both sides: :func:`keep` and :func:`within`
are the runner's, which speaks, :class:`LastWords` is the worker's, which listens.
"""

import faulthandler
import linecache
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from beamhub.processing.loading import is_within

FRAME = re.compile(r'^  File "(.+)", line (\d+) in (.+)$', re.MULTILINE)
TIME_IS_OVER = "Timeout ("  # how faulthandler begins then
LONGEST = 256 * 1024  # characters; a hundred frames of each thread


class LastWords:
    """A file in memory that a process and its worker share; ``handle`` is given to the process."""

    def __init__(self) -> None:
        self.handle = os.memfd_create("last words")

    def text(self) -> str:
        """What was said."""
        return os.pread(self.handle, LONGEST, 0).decode("utf-8", "replace")

    def close(self) -> None:
        """Let go of it."""
        os.close(self.handle)


def keep(handle: int) -> None:
    """Say where this process was when a signal or ``os._exit`` ends it; for the rest of its life."""
    os.set_inheritable(handle, False)
    faulthandler.enable(handle)
    runner, leave = os.getpid(), os._exit

    def say_and_leave(status: int) -> NoReturn:
        if os.getpid() == runner:
            faulthandler.dump_traceback(handle, all_threads=False)
        leave(status)

    os._exit = say_and_leave


@contextmanager
def within(handle: int, seconds: float) -> Iterator[None]:
    """End this process when the time is over, having said where it was, whatever holds the interpreter's lock."""
    faulthandler.dump_traceback_later(seconds, exit=True, file=handle)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def own_lines(words: str, copy: Path) -> tuple[str, ...]:
    """The lines of the user's own modules, where it ended at the top; in the form of a failure's traceback."""
    frames = [found.groups() for found in FRAME.finditer(words) if is_within(found[1], copy)]
    return tuple(
        f"{Path(file).relative_to(copy)}:{line} in {name}: {linecache.getline(file, int(line)).strip()}"
        for file, line, name in frames
    )
