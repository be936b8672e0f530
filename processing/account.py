"""Whether users' functions may run in the service's own account."""

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

HUB_FILES = ("jupyterhub_cookie_secret", "jupyterhub.sqlite")  # the Hub's defaults, in its working directory


class OwnAccountRefused(Exception):
    """Functions would have the rights of the service; the message says which, and what to do."""


def refuse_own_account(single_user: bool, hub_files: Iterable[Path] = ()) -> None:
    """Make sure that a function which runs in this account cannot become the Hub.

    Args:
        single_user: the operator's word that there is one user only, as in the demo; nothing is checked then.
        hub_files: where the Hub's database and cookie secret lie, if elsewhere than in the working directory.

    Raises:
        OwnAccountRefused: the account is root, can read a file of the Hub, or may use sudo without a password.
    """
    if single_user:
        return
    reason = _right(hub_files)
    if reason:
        raise OwnAccountRefused(
            f"functions would run in the service's own account, which {reason}. Run the service in the beamline's "
            "account, or give an executor with an account of its own; where there is one user only, write "
            "single_user: true into processing.yaml."
        )


def _right(hub_files: Iterable[Path]) -> str:
    if os.geteuid() == 0:
        return "is root"
    for path in (*hub_files, *map(Path, HUB_FILES)):
        if os.access(path, os.R_OK, effective_ids=True):
            return f"can read the Hub's file {path}"
    if shutil.which("sudo") and _may_sudo():
        return "may use sudo without a password"
    return ""


def _may_sudo() -> bool:
    return subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0
