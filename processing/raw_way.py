"""Whether the ways to raw files stayed the same while they were read, so that what was checked is what was opened.

A function opens its file by its path. Who may write in a storage could put another proposal's folder into this path
after the check, and the right one back before the file's identity is looked at again: the kernel tells of that.
"""

import ctypes
import errno
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MODIFIED, DELETED, MOVED, OVERFLOW = 0x2, 0x400, 0x800, 0x4000  # of what is watched itself: linux/inotify.h
CREATED, MOVED_IN = 0x100, 0x80  # of what lies in a folder that is watched
NO_LINK, ALSO = 0x02000000, 0x20000000  # a symbolic link is not followed; what was watched for stays
GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)  # and not that the kernel has no watch left, or none for this account
EVENT = struct.Struct("iIII")  # which watch, what happened, and the length of a name that follows


class Ways:
    """The ways to the files that a function may read, as they were when they were checked."""

    def __init__(self, libc: ctypes.CDLL, news: int) -> None:
        self._libc, self._news = libc, news
        self._before: dict[Path, tuple[int, ...]] = {}
        self._watches: dict[int, Path] = {}
        self._gone = ""
        self._absent: set[Path] = set()
        self._closed: list[Path] = []

    def add(self, file: Path) -> None:
        """Watch a file and the folders above it from now on, the uppermost first: below it is then what was seen."""
        for path in reversed((file, *file.parents)):
            if path not in self._before:
                self._before[path] = self._watch(path)

    def changed(self) -> str:
        """The name of a file that was written to, or of what was moved, removed, replaced or put there; "" for none.

        Also if all is as it was again. Where the kernel has no watch left, or another computer did it, only what is
        not as it was is seen.
        """
        told = self._gone or self._told()
        return told or next((path.name for path, before in self._before.items() if _look(path) != before), "")

    def closed(self, within: Path) -> str:
        """The name of a folder below another that this account may not watch, since it may not list it; "" for none."""
        return next((path.name for path in self._closed if within in path.parents), "")

    def _watch(self, path: Path) -> tuple[int, ...]:
        """Watch what is at a path now, and say what it is; one that may not be watched is only looked at."""
        before = _look(path)
        mask = NO_LINK | DELETED | MOVED | (MODIFIED if before and stat.S_ISREG(before[2]) else 0)
        watch = self._ask(path, mask)
        if watch < 0 and not before:
            self._await(path)
        elif watch < 0 and ctypes.get_errno() in GONE:  # for a moment, of which _look saw nothing
            self._gone = path.name
        elif watch < 0 and ctypes.get_errno() == errno.EACCES and stat.S_ISDIR(before[2]):
            self._closed.append(path)
        return before

    def _await(self, path: Path) -> None:
        """Hear of what is put at a path where nothing is; in a folder that is not there either, nothing can be."""
        self._absent.add(path)
        self._ask(path.parent, NO_LINK | ALSO | CREATED | MOVED_IN)
        if _look(path):
            self._gone = path.name

    def _ask(self, path: Path, mask: int) -> int:
        watch = int(self._libc.inotify_add_watch(self._news, os.fsencode(path), mask))
        if watch >= 0:
            self._watches[watch] = path
        return watch

    def _told(self) -> str:
        while self._news >= 0:
            try:
                said = os.read(self._news, 65536)
            except BlockingIOError:
                return ""
            for watch, mask, name in _events(said):
                its = self._watches.get(watch)
                if mask & (MODIFIED | DELETED | MOVED | OVERFLOW):  # not that it was unmounted, for one
                    return its.name if its else "a file"
                if its and its / name in self._absent:
                    return name
        return ""


@contextmanager
def watched() -> Iterator[Ways]:
    """Nothing is watched yet; the watches end with this."""
    libc = ctypes.CDLL(None, use_errno=True)
    news = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        yield Ways(libc, news)
    finally:
        if news >= 0:
            os.close(news)


def _look(path: Path) -> tuple[int, ...]:
    """What tells a file or folder from another one at its path, and a file from itself once it was written to."""
    try:
        found = path.lstat()
    except OSError:
        return ()
    which = found.st_dev, found.st_ino, stat.S_IFMT(found.st_mode)
    return which if stat.S_ISDIR(found.st_mode) else (*which, found.st_size, found.st_mtime_ns)


def _events(said: bytes) -> Iterator[tuple[int, int, str]]:
    """Each watch, what happened, and the name of that to which it did in a folder that is watched."""
    at = 0
    while at < len(said):
        watch, mask, _, length = EVENT.unpack_from(said, at)
        at += EVENT.size + length
        yield watch, mask, os.fsdecode(said[at - length : at].rstrip(b"\0"))
