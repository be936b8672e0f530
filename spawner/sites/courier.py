"""Carries a start's files to the account that runs it, reads its log, and removes them; standard library alone.

It runs as that account: in the Hub's own process where they are the same, else as a program whose text is given to
the account's Python and whose input is JSON. Nothing is ever written through a link.
"""

from __future__ import annotations  # the launcher is run by whatever Python a system has

import errno
import json
import os
import shutil
import stat
import sys
from collections.abc import Callable

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW


def deliver(folder: str, files: dict[str, str]) -> None:
    """Write files, 0600, into a new folder, 0700. Raises OSError; then nothing is left of it."""
    above = os.path.dirname(folder)
    os.makedirs(above, mode=0o700, exist_ok=True)
    found = os.lstat(above)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (0, os.geteuid()) or found.st_mode & 0o022:
        raise OSError(errno.EPERM, "it can be changed by other accounts, or is a link", above)
    os.mkdir(folder, 0o700)
    try:
        inside = os.open(folder, FOLDER)
        try:
            for name, text in files.items():
                with open(os.open(name, NEW, 0o600, dir_fd=inside), "w", encoding="utf-8") as file:
                    file.write(text)
        finally:
            os.close(inside)
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def last_lines(folder: str, count: int, name: str = "server.log") -> str:
    """The end of a log in a folder; "" when there is none."""
    try:
        number = os.open(os.path.join(folder, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return ""
    with open(number, "rb") as file:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            return ""
        file.seek(max(0, os.fstat(number).st_size - 20_000))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-count:])


def remove(folder: str) -> None:
    """Remove a start's folder, its token first; the log stays beside it as that of the last server."""
    if os.path.islink(folder) or not os.path.isdir(folder):
        return
    for name in ("token", "secret"):
        if os.path.lexists(os.path.join(folder, name)):
            os.unlink(os.path.join(folder, name))
    log = os.path.join(folder, "server.log")
    if os.path.isfile(log) and not os.path.islink(log):
        os.replace(log, os.path.join(os.path.dirname(folder), "last-server.log"))
    shutil.rmtree(folder)


VERBS: dict[str, Callable[..., object]] = {"deliver": deliver, "last_lines": last_lines, "remove": remove}


def main() -> None:
    """One errand: JSON ``[verb, arguments]`` in, JSON ``{"result"}`` or ``{"error", "path"}`` out."""
    verb, arguments = json.load(sys.stdin)
    try:
        reply: dict[str, object] = {"result": VERBS[verb](*arguments)}
    except OSError as error:
        reply = {"error": error.strerror, "number": error.errno, "path": str(error.filename or arguments[0])}
    json.dump(reply, sys.stdout)


if __name__ == "__main__":
    main()
