"""Having the launcher do something as one of the Hub's users; by sudo, where the Hub is not root."""

import json
import logging
import os
import re
from typing import Any

from beamhub.spawner.errors import CannotLaunch
from beamhub.spawner.sites import commands
from beamhub.spawner.sites.accounts import unix_account
from beamhub.spawner.sites.commands import NoProgram, SiteDown

log = logging.getLogger("beamhub.spawner")
ACCOUNT = re.compile(r"[a-z_][a-z0-9_.-]{0,63}", re.IGNORECASE)
WITHIN = 60.0  # seconds for the launcher; it takes 60 ms, and gives a command of the batch system 45 s
SUDO = "/usr/bin/sudo"


async def run(site: str, launcher: str, user: str, request: dict[str, Any]) -> dict[str, Any]:
    """What the launcher answers, which may be a denial.

    Raises:
        CannotLaunch: there was no answer; ``args[1]`` is a word for why.
    """
    if not ACCOUNT.fullmatch(user):
        raise CannotLaunch(f"'{user[:40]}' is no name of an account that computes. Ask the operator.", "account")
    account = {}
    command = [SUDO, "-n", "-u", user, "--", launcher]
    if os.geteuid() == 0:
        account, command = unix_account(user).popen, [launcher]
    text = json.dumps({"site": site, **request}).encode()
    try:
        code, out, err = await commands.run(command, {"PATH": "/usr/bin:/bin"}, WITHIN, text, **account)
    except SiteDown as error:
        log.error("Site %s, %s as %s: %s", site, request["verb"], user, error)
        kind = "sudo" if isinstance(error, NoProgram) else "unknown"
        raise CannotLaunch(f"{error}. Ask the operator.", kind) from error
    try:
        return dict(json.loads(out))
    except (ValueError, TypeError):
        said = " ".join(err.split())[:400] or f"it ended with {code}"
        log.error("The launcher %s cannot be run as %s: %s", launcher, user, said)
        if "sudo:" not in said and "Sorry" not in said and "sorry" not in said:
            raise CannotLaunch("the launcher did not come to an end. Ask the operator.", "unknown") from None
        why = "there is no such account" if "unknown user" in said else "the Hub may not start programs as you"
        raise CannotLaunch(f"{why} ('{user}'). Ask the operator, who reads more in the log.", "sudo") from None
