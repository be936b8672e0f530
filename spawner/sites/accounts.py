"""Accounts of this computer that servers run as: a person's own, or the Hub's with a private folder for each."""

import contextlib
import ipaddress
import os
import pwd
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from jupyterhub.app import JupyterHub

from beamhub.spawner.errors import CannotLaunch


@dataclass(frozen=True)
class Account:
    """Who a server runs as and where it is at home; ``uid`` None is the Hub's own account."""

    name: str
    home: Path
    shell: str
    uid: int | None = None
    gid: int | None = None
    groups: tuple[int, ...] = ()

    @property
    def popen(self) -> dict[str, Any]:
        """What makes a program run as this account."""
        if self.uid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": list(self.groups)}


def unix_account(name: str) -> Account:
    """The account of this name on this computer.

    Raises:
        CannotLaunch: there is none, or the Hub may not use it.
    """
    try:
        found = pwd.getpwnam(name)
    except KeyError as error:
        raise CannotLaunch(
            f"there is no account '{name}' on this computer. Ask those who run this service for one."
        ) from error
    if os.geteuid() != 0 and found.pw_uid != os.geteuid():
        raise CannotLaunch(f"the Hub may not start programs as '{name}': it has to run as root for accounts: unix.")
    if os.geteuid() != 0:
        return Account(name, Path(found.pw_dir), found.pw_shell)
    groups = tuple(os.getgrouplist(name, found.pw_gid))
    return Account(name, Path(found.pw_dir), found.pw_shell, found.pw_uid, found.pw_gid, groups)


def shared_account(name: str, homes: Path) -> Account:
    """The Hub's own account with a private folder for this user.

    Raises:
        CannotLaunch: the folder cannot be made, or belongs to somebody else.
    """
    inside = "%2E" + name[1:] if name.startswith(".") else name  # "." and ".." are no homes
    home = homes / quote(inside, safe="%@+=,- ")
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if home.is_symlink() or home.stat().st_uid != os.geteuid():
            raise CannotLaunch(f"the folder {home} is a link or belongs to another account. Ask the operator.")
        home.chmod(0o700)
    except OSError as error:
        raise CannotLaunch(f"the folder {home} cannot be made: {error.strerror}. Ask the operator.") from error
    return Account(name, home, "/bin/bash")


def why_shared(hub: JupyterHub) -> list[str]:
    """Why the Hub's own account would be shared by people who do not know of each other."""
    found, who = [], hub.authenticator
    if getattr(who, "allow_all", False) or len(set(who.allowed_users) | set(who.admin_users)) > 1:
        found.append("accounts: none gives everybody the Hub's own account, and more than one user may log in.")
    host = urlsplit(hub.bind_url).hostname or ""
    if host != "localhost" and not (_is_ip(host) and ipaddress.ip_address(host).is_loopback):
        found.append(f"accounts: none gives everybody the Hub's own account, and the Hub listens at {host or '*'}.")
    return found


def _is_ip(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return bool(ipaddress.ip_address(host))
    return False
