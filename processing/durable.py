"""Bringing files and folders to disk, so that a power cut does not take them."""

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Bring a file's content, or a folder's list of names, to disk; their own names are in the folder above.

    Raises:
        OSError: it is not there, or the disk refuses.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(folder: Path) -> None:
    """Bring a folder to disk with all files and folders in it; whoever wrote them has closed them.

    Raises:
        OSError: it is not there, or the disk refuses.
    """
    for path in [*(p for p in folder.rglob("*") if not p.is_symlink() and (p.is_file() or p.is_dir())), folder]:
        sync(path)
