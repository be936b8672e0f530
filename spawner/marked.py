"""The processes of a demo, and their end; standard library alone."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from ctypes import CDLL, c_int, c_ulong
from pathlib import Path

PR_SET_PDEATHSIG = 1  # prctl(2)
STOP_WITHIN = 10.0  # seconds until what still runs is killed


def marked(folder: Path) -> set[int]:
    """Ids of this account's processes that belong to the demo in ``folder``, without this one.

    They carry a mark in their environment. Some let nobody look into theirs (``PR_SET_DUMPABLE``): these are known by
    a path in the folder on their command line, or by their parent, group or session.
    """
    mark, found, closed = f"BEAMHUB_DEMO={folder}".encode(), set(), set()
    for path in Path("/proc").glob("[0-9]*/environ"):
        number = int(path.parent.name)
        try:
            if mark in path.read_bytes().split(b"\0"):
                found.add(number)
        except PermissionError:
            closed.add(number)
        except OSError:  # gone meanwhile
            continue
    own = {number for number in closed if _is_own(number)}
    found |= {number for number in own if _names(number, folder)}
    while more := {number for number in own - found if found.intersection(_relatives(number))}:
        found |= more
    return found - {os.getpid()}


def end_all(folder: Path, grace: float = STOP_WITHIN) -> int:
    """End every process of the demo in ``folder``, first politely; how many there were."""
    found = marked(folder)
    until = time.monotonic() + grace
    for number in found:
        _signal(number, signal.SIGTERM)
    while marked(folder) and time.monotonic() < until:
        time.sleep(0.1)
    while left := marked(folder):
        for number in left:
            _signal(number, signal.SIGKILL)
        time.sleep(0.05)
    return len(found)


def end_with_parent(what: signal.Signals = signal.SIGTERM) -> None:
    """In a new child: get this signal when the thread that started it ends, at the latest with the parent."""
    CDLL(None).prctl(c_int(PR_SET_PDEATHSIG), c_ulong(what))


def _is_own(number: int) -> bool:
    """Whether a process is this account's and lives; only such a one can be ended."""
    with contextlib.suppress(OSError):
        lines = dict(line.split(":", 1) for line in Path(f"/proc/{number}/status").read_text().splitlines())
        return int(lines["Uid"].split()[0]) == os.getuid() and lines["State"].split()[0] not in "ZX"
    return False


def _names(number: int, folder: Path) -> bool:
    """Whether a process was started with a path in the folder."""
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0")
        return any(word.startswith(f"{folder}/".encode()) for word in words)
    return False


def _relatives(number: int) -> Iterator[int]:
    """The parent of a process, and the leaders of its group and session, see proc_pid_stat(5)."""
    with contextlib.suppress(OSError):
        yield from map(int, Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[1:4])


def _signal(number: int, what: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(number, what)
