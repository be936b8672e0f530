"""On what a folder lies: whether its file system can tell of all that is written there."""

import re
from pathlib import Path

# of others (NFS, SMB, GPFS, Lustre, FUSE, …) the kernel tells what this computer writes, and nothing of other computers
TELLING = frozenset(
    {
        "bcachefs", "btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "jfs", "ntfs3", "overlay", "ramfs", "tmpfs",
        "vfat", "xfs", "zfs",
    }
)  # fmt: skip
MOUNTS = Path("/proc/self/mountinfo")


def file_system_of(folder: Path) -> str:
    """The kind of file system that a folder lies on, such as ``ext4``, ``nfs4`` or ``fuse.sshfs``.

    Raises:
        OSError: the folder is not there.
    """
    return kind_at(folder.resolve(strict=True), MOUNTS.read_text())


def kind_at(folder: Path, mounts: str) -> str:
    r"""The kind of the innermost mount that a folder lies in; of two at one place the later one hides the other.

    >>> mounts = ["1 0 8:1 / / rw - ext4 /dev/sda rw", r"2 1 0:9 / /a\040b rw - nfs4 server:/ rw"]
    >>> kind_at(Path("/a b/raw"), chr(10).join(mounts))
    'nfs4'
    """
    found, at = "", Path()
    for line in mounts.splitlines():
        place, _, kind = line.partition(" - ")
        mounted = Path(re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), place.split(" ")[4]))
        if folder.is_relative_to(mounted) and len(mounted.parts) >= len(at.parts):
            found, at = kind.split(" ")[0], mounted
    return found
