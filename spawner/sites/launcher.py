"""The one program that a Hub without rights runs as somebody else: it submits, cancels, shows a log and cleans up.

No arguments; JSON on standard input, JSON on standard output. It runs as the account whose job it is about, and trusts
nobody: what it is told are values, which it checks; the script is made here, and what the operator wrote is read from
the settings beside it, in the same file (``beamhub launcher`` makes that file). Standard library alone.

    {"verb": "submit", "site": "maxwell", "job": {...}, "files": {"start.json": ..., "token": ..., "secret": ...},
     "digest": "..."}                                                        of what the Hub thinks the settings are
    {"verb": "cancel", "site": "maxwell", "name": "bh-...", "id": "123",     id "": the job of that name
     "clean": true}                                                          then do as clean does
    {"verb": "log", "site": "maxwell", "name": "bh-...", "count": 15}
    {"verb": "clean", "site": "maxwell", "name": "bh-..."}
"""

from __future__ import annotations  # the launcher is run by whatever Python a system has

import contextlib
import json
import os
import pwd
import re
import signal
import subprocess
import sys
from typing import Any

from beamhub.spawner.sites import courier, jobscript
from beamhub.spawner.sites.systems import SYSTEMS

FILES = {"start.json", "token", "secret"}
FIRST_PERSON = 1000  # accounts with smaller numbers are not those of people
PATIENCE = 45.0  # seconds for a command of the batch system
LARGEST = 4 << 20  # bytes of a request
WITHIN = 55  # seconds for everything; a home on a server that is away would hold it for ever


class Denied(Exception):
    """Nothing was done; ``kind`` says why: request, account, folder, refused, stale, or unknown: perhaps it was."""

    def __init__(self, kind: str, message: str, path: str = "") -> None:
        super().__init__(message)
        self.kind, self.path = kind, path


class Launcher:
    """Answers one request.

    Args:
        settings: ``hub``, the Hub's name in job names; ``bootstrap``, the text of the first program of each job; and
            ``sites`` by name, each with ``token_dir``, ``system`` and what the operator wrote.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.account = pwd.getpwuid(os.getuid())
        if self.account.pw_uid < settings.get("first_uid", FIRST_PERSON):
            raise Denied("account", f"the account {self.account.pw_name} is none of a person")

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """What was done.

        Raises:
            Denied: nothing was, or it is not known whether.
        """
        verb, name = request.get("verb"), request.get("job", {}).get("name") or request.get("name")
        if not isinstance(verb, str) or verb not in VERBS:
            raise Denied("request", f"there is no verb {str(verb)[:40]!r}")
        name = name if isinstance(name, str) else ""
        if not jobscript.NAME.fullmatch(name) or name.split("-")[1] != self.settings["hub"]:
            raise Denied("request", f"{str(name)[:80]!r} is no job of this Hub")
        site = self.settings["sites"].get(str(request.get("site")))
        if site is None:
            raise Denied("request", f"the launcher knows no site {str(request.get('site'))[:40]!r}; make it anew")
        return VERBS[verb](self, site, name, request)

    def folder(self, site: dict[str, Any], name: str) -> str:
        """Where a start's files are."""
        return os.path.join(site["token_dir"].format(home=self.account.pw_dir, user=self.account.pw_name), name)

    def submit(self, site: dict[str, Any], name: str, request: dict[str, Any]) -> dict[str, Any]:
        """Write the files, then ask the batch system; the job's id."""
        if request.get("digest") != site["digest"]:
            what = "of another compute.yaml, jupyterhub_config.py or BeamHub"
            raise Denied("stale", f"the launcher is {what}: make it anew (beamhub launcher)")
        files, folder = request.get("files"), self.folder(site, name)
        if (
            not isinstance(files, dict)
            or set(files) != FILES
            or not all(isinstance(one, str) for one in files.values())
        ):
            raise Denied("request", f"files must be {', '.join(sorted(FILES))}")
        written: dict[str, Any] = {key: site.get(key, "") for key in ("module_init", "prologue", "epilogue", "runtime")}
        lists: dict[str, Any] = {key: tuple(site.get(key, ())) for key in ("directives", "runtime_options")}
        try:
            system = SYSTEMS[site["system"]]
            job = jobscript.read(request["job"], system.Job)
            script = jobscript.render(system, job, jobscript.Site(**lists, **written), folder)
        except jobscript.NoJob as error:
            raise Denied("request", str(error)) from error
        try:
            courier.deliver(folder, {**files, "bootstrap.py": self.settings["bootstrap"]})
        except OSError as error:
            raise Denied("folder", str(error.strerror), str(error.filename or folder)) from error
        try:
            return {"id": self._hand_in(site, script)}
        except Denied as error:
            if error.kind == "refused":
                with contextlib.suppress(OSError):
                    courier.remove(folder)
            raise

    def _hand_in(self, site: dict[str, Any], script: str) -> str:
        system = SYSTEMS[site["system"]]
        command = system.submit_command(self.account.pw_dir)
        done = self._command(site, command, script)
        number = system.job_id(done.stdout)
        if done.returncode == 0 and number:
            return number
        said = " ".join(done.stderr.split()) or f"{command[0]} ended with {done.returncode}"
        raise Denied("unknown" if system.UNSURE.search(said) or done.returncode <= 0 else "refused", said[:2000])

    def cancel(self, site: dict[str, Any], name: str, request: dict[str, Any]) -> dict[str, Any]:
        """Cancel a job; that it is gone is for the caller to see, since the batch system says nothing of it.

        With ``clean`` what it left is removed too; ``cleaned`` says that nothing of it is there any more.
        """
        number = str(request.get("id") or "")
        if number and not re.fullmatch(r"\d{1,18}", number):
            raise Denied("request", f"{number[:40]!r} is no job's id")
        system = SYSTEMS[site["system"]]
        command = system.cancel_command(name, self.account.pw_name, number)  # of this name only, whatever the id is
        done = self._command(site, command)
        said = " ".join((done.stderr or done.stdout).split())
        if done.returncode and not system.GONE.search(said):
            raise Denied("refused", said[:2000] or f"{command[0]} ended with {done.returncode}")
        if request.get("clean") is not True:
            return {}
        with contextlib.suppress(Denied):  # the job is cancelled, whatever becomes of its files
            self.clean(site, name, request)
            return {"cleaned": True}
        return {}

    def log(self, site: dict[str, Any], name: str, request: dict[str, Any]) -> dict[str, Any]:
        """The end of the server's log, and what the batch system wrote into the job's own."""
        count, folder = request.get("count", 15), self.folder(site, name)
        if type(count) is not int or not 1 <= count <= 1000:
            raise Denied("request", "count must be from 1 to 1000")
        try:
            both = [courier.last_lines(folder, count, name) for name in ("server.log", "job.log")]
        except OSError as error:
            raise Denied("folder", str(error.strerror), folder) from error
        return {"lines": "\n".join(one for one in both if one)}

    def clean(self, site: dict[str, Any], name: str, request: dict[str, Any]) -> dict[str, Any]:
        """Remove what a job left; the server's log stays as that of the last one."""
        try:
            courier.remove(self.folder(site, name))
        except OSError as error:
            raise Denied("folder", str(error.strerror), str(error.filename)) from error
        return {}

    def _command(self, site: dict[str, Any], command: list[str], text: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command of the batch system, in an environment made of nothing.

        Raises:
            Denied: it is not there, or does not come to an end.
        """
        environment = {
            "PATH": f"{site.get('commands', '/usr/bin')}:/usr/bin:/bin", "LANG": "C.UTF-8",
            "HOME": self.account.pw_dir, "USER": self.account.pw_name, "LOGNAME": self.account.pw_name,
            "SHELL": self.account.pw_shell or "/bin/sh", **site.get("environment", {}),
        }  # fmt: skip
        program = os.path.join(site.get("commands", "/usr/bin"), command[0])
        try:
            return subprocess.run(
                [program, *command[1:]], input=text, capture_output=True, encoding="utf-8", errors="replace",
                env=environment, cwd="/", timeout=PATIENCE, check=False, umask=0o022,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise Denied("unknown", f"{command[0]} did not come to an end in {PATIENCE:g} s") from error
        except OSError as error:
            raise Denied("refused", f"{program} cannot be started: {error.strerror}") from error


VERBS = {"submit": Launcher.submit, "cancel": Launcher.cancel, "log": Launcher.log, "clean": Launcher.clean}


def main(settings: dict[str, Any]) -> None:
    """One request."""
    os.umask(0o077)
    signal.alarm(WITHIN)
    try:
        text = sys.stdin.read(LARGEST + 1)
        request = json.loads(text) if len(text) <= LARGEST else None
        if len(sys.argv) > 1 or not isinstance(request, dict) or not isinstance(request.get("job", {}), dict):
            raise Denied("request", "no arguments, and one JSON object on standard input")
        reply = Launcher(settings).answer(request)
    except ValueError as error:
        reply = {"denied": "request", "message": f"the request is no JSON: {error}"}
    except Denied as error:
        reply = {"denied": error.kind, "message": str(error), "path": error.path}
    json.dump(reply, sys.stdout)
