"""Opening files beneath a storage's root, and never beside it."""

import ctypes
import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from beamhub.processing.spelling import on_disk

if TYPE_CHECKING:
    from beamhub.processing.settings import Settings

SYS_OPENAT2 = 437  # the same on all architectures since Linux 5.6
RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_BENEATH = 0x02, 0x04, 0x08  # linux/openat2.h


class OutsideStorage(Exception):
    """A path does not stay beneath its storage's root, or goes through a symbolic link."""


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def open_beneath(root: Path, path: str, flags: int = os.O_RDONLY) -> int:
    """Open a file of a storage, and return its descriptor, which the caller closes.

    Args:
        root: the storage's root; may itself be reached through links.
        path: relative to the root.
        flags: as for ``os.open``.

    Raises:
        OutsideStorage: the path is absolute, leads out of the root, or goes through a symbolic link.
        OSError: it is not there, or may not be read.
    """
    _check(path)
    folder = os.open(root, os.O_PATH | os.O_DIRECTORY)
    try:
        return _open(folder, path, flags | os.O_CLOEXEC)
    except OSError as exc:
        if exc.errno in (errno.ELOOP, errno.EXDEV):
            raise OutsideStorage(f"{path!r} leads out of {root}, or through a symbolic link.") from exc
        raise OSError(exc.errno, os.strerror(exc.errno or 0), str(root / path)) from exc
    finally:
        os.close(folder)


def resolve_beneath(root: Path, path: str) -> Path:
    """The absolute path of a file of a storage, after it was opened in the way of :func:`open_beneath`.

    Raises:
        OutsideStorage: as :func:`open_beneath`.
        OSError: it is not there.
    """
    os.close(open_beneath(root, path, os.O_PATH))
    return Path(os.path.realpath(root)) / path


def resolve_raw(root: Path, path: str) -> Path:
    """The absolute path of a raw file, given as events spell it; see :mod:`beamhub.processing.spelling`.

    Raises:
        OutsideStorage: as :func:`open_beneath`.
        OSError: it is not there.
    """
    return resolve_beneath(root, on_disk(path))


def _check(path: str) -> None:
    parts = PurePosixPath(path).parts
    if not parts or parts[0] == "/" or ".." in parts or "\0" in path:
        raise OutsideStorage(f"{path!r} is not a path beneath a storage's root.")


def _open(folder: int, path: str, flags: int) -> int:
    try:
        return _openat2(folder, path, flags)
    except OSError as exc:
        if exc.errno not in (errno.ENOSYS, errno.EPERM):  # an old kernel; a container that filters the call
            raise
    return _walk(folder, path, flags)


def _openat2(folder: int, path: str, flags: int) -> int:
    how = _OpenHow(flags, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)
    libc = ctypes.CDLL(None, use_errno=True)
    name = ctypes.c_char_p(os.fsencode(path))
    handle = libc.syscall(ctypes.c_long(SYS_OPENAT2), folder, name, ctypes.byref(how), ctypes.c_size_t(24))
    if handle < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(handle)


def _walk(folder: int, path: str, flags: int) -> int:
    """The same, one component after another."""
    *above, last = PurePosixPath(path).parts
    held = os.dup(folder)
    try:
        for name in above:
            following = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=held)
            os.close(held)
            held = following
        return _open_last(held, last, flags)
    except NotADirectoryError as exc:
        raise _link_or(exc, held, name) from exc
    finally:
        os.close(held)


def _open_last(folder: int, name: str, flags: int) -> int:
    handle = os.open(name, flags | os.O_NOFOLLOW, dir_fd=folder)
    if stat.S_ISLNK(os.fstat(handle).st_mode):  # with O_PATH a link is opened itself
        os.close(handle)
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return handle


def _is_link(folder: int, name: str) -> bool:
    return stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)


def _link_or(exc: OSError, folder: int, name: str) -> OSError:
    """O_DIRECTORY with O_NOFOLLOW says "not a directory" of a link."""
    return OSError(errno.ELOOP, os.strerror(errno.ELOOP)) if _is_link(folder, name) else exc


@dataclass(frozen=True)
class Storage:
    """Where raw files lie, and which of a path's leading folders is the proposal.

    ``layout`` names the leading folders, such as ``{beamline}/{proposal}/{scan}``; ``settle_s`` is how long a file
    takes to become complete.
    """

    root: Path
    layout: str = "{proposal}"
    settle_s: float = 2.0

    def proposal_folder(self, path: str) -> Path:
        """The folder that holds all of a file's proposal; the root where the layout has no proposal.

        For a file above its proposal's folder it is the file itself: that may refer to nothing else.
        """
        folders = PurePosixPath(self.layout).parts
        depth = next((n for n, part in enumerate(folders, 1) if "{proposal}" in part), 0)
        return Path(os.path.realpath(self.root)).joinpath(*PurePosixPath(on_disk(path)).parts[:depth])


def storages_of(settings: "Settings") -> dict[str, Storage]:
    """The storages of a configuration by name; files settle as long as the slowest source of the storage says."""
    settle: dict[str, float] = {}
    for source in settings.sources.values():
        name = getattr(source, "storage", "")
        settle[name] = max(settle.get(name, 0.0), getattr(source, "settle", 0.0))
    return {
        name: Storage(storage.root, storage.layout, settle.get(name, Storage.settle_s))
        for name, storage in settings.storages.items()
    }
