"""Which processes are there, where any of them may end while it is looked at."""

import contextlib
from collections.abc import Iterable

import psutil
from services.workbench import wait_for


def lives(process: psutil.Process) -> bool:
    """Whether a process runs: it is neither away nor ended and waiting for its parent."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def gone(process: psutil.Process, within_s: float = 2.0) -> bool:
    """Whether a process ends in time."""
    try:
        wait_for(lambda: not lives(process), within_s)
    except TimeoutError:
        return False
    return True


def family(pid: int) -> list[psutil.Process]:
    """A process and all below it."""
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def with_words(looked_at: Iterable[psutil.Process], *words: str) -> list[psutil.Process]:
    """Those whose command line holds these words."""
    return [process for process in looked_at if all(word in command_line(process) for word in words)]


def called(looked_at: Iterable[psutil.Process], name: str) -> list[psutil.Process]:
    """Those whose program's name holds this one."""
    found = []
    for process in looked_at:
        with contextlib.suppress(psutil.NoSuchProcess):
            if name in process.name():
                found.append(process)
    return found


def command_line(process: psutil.Process) -> str:
    """Its words with one space between them; nothing where it has ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""
