"""A disk whose power can be cut: what was not brought to it is gone, as the kernel forgets it at once."""

import fcntl
import os
import struct
import subprocess
from pathlib import Path

from services.workbench import wait_for

SHUT_DOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN
NOTHING_FLUSHED = struct.pack("I", 2)  # EXT4_GOING_FLAGS_NOLOGFLUSH


def cut(*mounted: Path) -> None:
    """Cut the power of these disks: from now on nothing gets to them."""
    for at in mounted:
        handle = os.open(at, os.O_RDONLY)
        try:
            fcntl.ioctl(handle, SHUT_DOWN, NOTHING_FLUSHED)
        finally:
            os.close(handle)


class Disk:
    """An ext4 file system in a file, mounted; by itself it commits its journal so seldom that no test sees it."""

    def __init__(self, image: Path, at: Path) -> None:
        self._image, self.at = image, at
        with image.open("wb") as file:
            file.truncate(256 * 2**20)
        subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
        at.mkdir(exist_ok=True)
        self.mount()

    def mount(self) -> None:
        """Mount it; after a cut its journal is played back first."""
        subprocess.run(["mount", "-o", "loop,commit=900", self._image, self.at], check=True)

    def unmount(self) -> None:
        """Let go of it, once the last program that has a file open there is gone."""
        wait_for(lambda: subprocess.run(["umount", self.at], capture_output=True).returncode == 0, 20)


def bring_to_disk(path: Path) -> None:
    """Fsync a file or folder, and the folders above it that are on the same disk."""
    device = path.stat().st_dev
    for one in (path, *path.parents):
        if one.stat().st_dev != device:
            return
        handle = os.open(one, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
