"""Whether users' functions may run in the service's own account."""

import os
import shutil
import socket
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

HUB_FILES = ("jupyterhub_cookie_secret", "jupyterhub.sqlite")  # the Hub's defaults, in its working directory
LISTEN = "0A"  # TCP_LISTEN in /proc/net/tcp


class OwnAccountRefused(Exception):
    """Functions would have the rights of the service; the message says which, and what to do."""


def refuse_own_account(single_user: bool, hub_api: str = "") -> None:
    """Make sure that a function which runs in this account cannot become the Hub.

    Args:
        single_user: the operator's word that there is one user only, as in the demo; nothing is checked then.
        hub_api: the address of the Hub's API; where it is on this computer, the Hub's account must be another one.

    Raises:
        OwnAccountRefused: the account is root or the Hub's own, can read a file of the Hub in the working directory,
            or may use sudo without a password.
    """
    if single_user:
        return
    reason = _right(hub_api)
    if reason:
        raise OwnAccountRefused(
            f"functions would run in the service's own account, which {reason}. Run the service in the beamline's "
            "account, or give an executor with an account of its own; where there is one user only, write "
            "single_user: true into processing.yaml."
        )


def listeners(url: str) -> set[int]:
    """The accounts, by uid, of what listens at an address; none where that is on another computer."""
    where = urlsplit(url)
    port = where.port or (443 if where.scheme == "https" else 80)
    if not _is_here(where.hostname or ""):
        return set()
    tables = [table for name in ("tcp", "tcp6") if (table := Path(f"/proc/net/{name}")).exists()]  # IPv6 may be off
    lines = [line for table in tables for line in table.read_text().splitlines()[1:]]
    sockets = [line.split() for line in lines]
    return {int(part[7]) for part in sockets if part[3] == LISTEN and int(part[1].rpartition(":")[2], 16) == port}


def _is_here(host: str) -> bool:
    """Whether a host's address is one of this computer."""
    try:
        family, _, _, _, where = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind(where)
    except OSError:
        return False
    return True


def _right(hub_api: str) -> str:
    if os.geteuid() == 0:
        return "is root"
    if hub_api and os.geteuid() in listeners(hub_api):
        return "is the Hub's own"
    for path in map(Path, HUB_FILES):
        if os.access(path, os.R_OK, effective_ids=True):
            return f"can read the Hub's file {path}"
    if shutil.which("sudo") and _may_sudo():
        return "may use sudo without a password"
    return ""


def _may_sudo() -> bool:
    return subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0
