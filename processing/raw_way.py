"""Whether the way to a raw file stayed the same while it was read, so that what was checked is what was opened.

A function opens its file by its path. Who may write in a storage could put another proposal's folder into this path
after the check, and the right one back before the file's identity is looked at again: the kernel tells of that.
"""

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

DELETED, MOVED = 0x400, 0x800  # of the watched file or folder itself: linux/inotify.h


@contextmanager
def watched(raw: Path) -> Iterator[Callable[[], bool]]:
    """Watch a file and the folders above it.

    Yields:
        Whether one of them was moved, removed or replaced until now, also if all is as it was again. Where the kernel
        has no watch left, or another computer moved them, only what is not as it was is seen.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    news = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        before = {path: _watch(libc, news, path) for path in (raw, *raw.parents)}
        yield lambda: _told(news) or any(_inode(path) != inode for path, inode in before.items())
    finally:
        if news >= 0:
            os.close(news)


def _watch(libc: ctypes.CDLL, news: int, path: Path) -> tuple[int, int]:
    """Watch what is at a path now, and say what it is; one that may not be watched is only looked at."""
    try:
        handle = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return 0, 0
    try:
        libc.inotify_add_watch(news, f"/proc/self/fd/{handle}".encode(), DELETED | MOVED)
        found = os.fstat(handle)
        return found.st_dev, found.st_ino
    finally:
        os.close(handle)


def _inode(path: Path) -> tuple[int, int]:
    try:
        found = path.lstat()
    except OSError:
        return 0, 0
    return found.st_dev, found.st_ino


def _told(news: int) -> bool:
    try:
        return news >= 0 and bool(os.read(news, 4096))
    except BlockingIOError:
        return False
