"""On what a folder lies: whether its file systems can tell of all that is written there."""

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


def untold(folder: Path) -> dict[Path, str]:
    """The folder itself and what is mounted below it, where the file system cannot tell of all; each with its kind.

    Kinds are such as ``nfs4`` or ``fuse.sshfs``.

    Raises:
        OSError: the folder is not there.
    """
    mounts = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")  # names of mounts are any bytes
    return untold_among(folder.resolve(strict=True), mounts)


def untold_among(folder: Path, mounts: str) -> dict[Path, str]:
    r"""The same of given mounts; a folder is of the innermost one, and of two at one place the later hides the other.

    >>> lines = [
    ...     "1 0 8:1 / / rw - ext4 /dev/sda rw",
    ...     r"2 1 0:9 / /a\040b rw - nfs4 server:/ rw",
    ...     "3 1 0:8 / /c rw - xfs /dev/sdb rw",
    ... ]
    >>> mounts = chr(10).join(lines)
    >>> {str(place): kind for place, kind in untold_among(Path("/a b/raw"), mounts).items()}
    {'/a b/raw': 'nfs4'}
    >>> {str(place): kind for place, kind in untold_among(Path("/"), mounts).items()}
    {'/a b': 'nfs4'}
    >>> untold_among(Path("/c"), mounts)
    {}
    """
    kinds, at = {folder: ""}, Path()
    for line in mounts.rstrip("\n").split("\n"):
        place, _, kind = line.partition(" - ")
        mounted = Path(re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), place.split(" ")[4]))
        if folder.is_relative_to(mounted) and len(mounted.parts) >= len(at.parts):
            kinds[folder], at = kind.split(" ")[0], mounted
        elif mounted.is_relative_to(folder):
            kinds[mounted] = kind.split(" ")[0]
    return {place: kind for place, kind in kinds.items() if kind not in TELLING}
