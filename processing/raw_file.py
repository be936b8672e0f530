"""Raw data is read, never changed: where a function slips (``raw.unlink()``), Python refuses, in the user's own line.

A rail and no wall: what programs and libraries do past Python is seen afterwards, by the file's identity.
"""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WRITING = os.O_WRONLY | os.O_RDWR | os.O_TRUNC
AT = {"os.remove": 1, "os.rmdir": 1, "os.rename": 2, "shutil.rmtree": 1, "shutil.move": 0}  # where dir_fd stands
_kept: Path | None = None
_hooked = False


class RawFileKept(PermissionError):
    """A function would have removed, moved or overwritten its raw file."""

    def __str__(self) -> str:
        return f"{Path(self.filename).name} is raw data, which a function only reads; write to the path out instead."


@contextmanager
def kept(raw: Path) -> Iterator[None]:
    """Refuse to remove, move or open for writing this file, and the folders that it lies in; one file at a time."""
    global _kept, _hooked
    if not _hooked:
        sys.addaudithook(_look)
        _hooked = True
    _kept = raw
    try:
        yield
    finally:
        _kept = None


def _look(event: str, arguments: tuple[Any, ...]) -> None:
    raw = _kept
    if raw is None or not (event in AT or event in ("open", "os.truncate")):
        return
    if event == "open":
        refused = bool((arguments[2] or 0) & WRITING) and _path(arguments[0]) == raw
    elif event == "os.truncate":
        refused = _path(arguments[0]) == raw
    else:
        refused = any(raw == path or path in raw.parents for path in _paths(event, arguments))
    if refused:
        raise RawFileKept(errno.EPERM, "raw data is only read", str(raw))


def _paths(event: str, arguments: tuple[Any, ...]) -> Iterator[Path]:
    """What an event would take away: a path, or two where one is moved over the other."""
    named = 2 if event in ("os.rename", "shutil.move") else 1
    for number in range(named):
        at = AT[event] + number if AT[event] else None
        found = _path(arguments[number], arguments[at] if at is not None and at < len(arguments) else None)
        if found is not None:
            yield found


def _path(named: Any, folder: int | None = None) -> Path | None:
    """The file that is meant, with links on the way to it followed; an open file is meant by its number."""
    if isinstance(named, int):
        return _opened(named)
    base = _opened(folder) if folder is not None and folder >= 0 else None
    try:
        whole = Path(base or "", os.fsdecode(named))
        return Path(os.path.realpath(whole.parent)) / whole.name
    except (TypeError, ValueError, OSError):  # no path at all: what was called will say so itself
        return None


def _opened(number: int) -> Path | None:
    try:
        return Path(os.readlink(f"/proc/self/fd/{number}"))
    except OSError:
        return None
