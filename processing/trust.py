"""Who may have written a file: what runs with an account's rights must not be writable by others."""

import grp
import os
import pwd
import stat
from pathlib import Path


class NotTrusted(Exception):
    """Somebody else could change this; the message names the file, the reason and the command that mends it."""


def check_trusted(path: Path) -> None:
    """Make sure that a file or folder, and the way to it, can be changed only by root and this account.

    A group may write if it is the owner's private one (same name, nobody else in it); a folder on the way
    may be writable by all if it is sticky, as ``/tmp`` is.

    Raises:
        NotTrusted: it belongs to or may be written by somebody else.
    """
    real = Path(os.path.realpath(path))
    found = real.stat()
    if found.st_uid not in (0, os.geteuid()):
        raise NotTrusted(
            f"{path} belongs to {_user(found.st_uid)}, and whoever owns it could run code as {_user(os.geteuid())}. "
            f"Give it to root or {_user(os.geteuid())}: chown {_user(os.geteuid())} {path}"
        )
    if _writable_by_others(found):
        raise NotTrusted(f"{path} can be written by other accounts. Take that away: chmod go-w {path}")
    for parent in real.parents:
        above = parent.stat()
        if _writable_by_others(above) and not above.st_mode & stat.S_ISVTX:
            raise NotTrusted(
                f"{path} lies in {parent}, which other accounts can write. Take that away: chmod go-w {parent}"
            )


def _writable_by_others(found: os.stat_result) -> bool:
    if found.st_mode & stat.S_IWOTH:
        return True
    return bool(found.st_mode & stat.S_IWGRP) and found.st_gid != 0 and not _private(found)


def _private(found: os.stat_result) -> bool:
    try:
        owner, group = pwd.getpwuid(found.st_uid).pw_name, grp.getgrgid(found.st_gid)
    except KeyError:
        return False
    return group.gr_name == owner and set(group.gr_mem) <= {owner}


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
