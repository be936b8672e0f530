"""Servers as processes of the Hub's own computer. Nothing outside this file knows that they are processes."""

import asyncio
import contextlib
import ipaddress
import json
import logging
import os
import pwd
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from jupyterhub.app import JupyterHub
from jupyterhub.spawner import LocalProcessSpawner

from beamhub.spawner import bootstrap, moments
from beamhub.spawner.catalogue import SiteConfig
from beamhub.spawner.errors import CannotLaunch
from beamhub.spawner.sites import courier, listeners, processes
from beamhub.spawner.sites.accounts import Account, shared_account, unix_account, why_shared
from beamhub.spawner.sites.processes import Process
from beamhub.spawner.sites.site import Estimate, Launch, Site, SiteMixin, Truth
from beamhub.spawner.sites.traits import refused_traits

log = logging.getLogger("beamhub.spawner")
ERRAND = 20.0  # seconds for the courier; it takes 30 ms
GRACE = 10.0  # seconds from SIGTERM to SIGKILL; a server with kernels took 2 s
GIVEN_UP = 5.0  # seconds after SIGKILL, for memory to be given back; one that waits for a disk takes longer


class LocalConfig(SiteConfig):
    """A site on the Hub's own computer."""

    kind: Literal["local"]
    accounts: Literal["unix", "none"] = "unix"
    home: Path = Path("home")
    insecure_shared_account: bool = False
    token_dir: str = "{home}/.beamhub"  # noqa: S105 - a folder


@dataclass
class Watched:
    """A job's process, and its handle as long as this Hub started it; ``ends_at`` is a moment of ``moments.now``."""

    process: Process | None = None
    uid: int | None = None
    popen: subprocess.Popen[bytes] | None = None
    ends_at: float | None = None
    over: bool = False  # it was ended, since its time was over
    truth: Truth = Truth.UNKNOWN
    code: int = 1
    since: float = field(default_factory=time.monotonic)

    def look(self) -> Truth:
        """The truth now: one small file is read.

        Of a process that this Hub started only its exit code tells that it ended: the system shows it as ended a moment
        before there is one, as long as one of its threads is left.
        """
        if self.truth is not Truth.DEAD and self.process is not None:
            code = self.popen.poll() if self.popen else None
            alive = self.process.alive if self.popen is None else code is None
            self.truth = Truth.ALIVE if alive else Truth.DEAD
            self.code = self.code if code is None else code
        return self.truth


class LocalSite(Site):
    """This computer."""

    Config = LocalConfig
    interval: ClassVar[float] = 2.0  # seconds; a snapshot reads /proc and asks nobody

    def __init__(self, name: str, config: Any, catalogue: Any, settings: Any) -> None:
        super().__init__(name, config, catalogue, settings)
        self.watched: dict[str, Watched] = {}
        self._ends: set[asyncio.Task[None]] = set()

    @property
    def prefix(self) -> str:
        """How the names of this Hub's jobs begin."""
        return f"bh-{self.settings.hub}-"

    async def snapshot(self) -> None:
        """Look at every process that is known; those whose number is not known are looked for by their mark."""
        if any(one.process is None and one.truth is Truth.UNKNOWN for one in self.watched.values()):
            await self._find()
        for job, one in list(self.watched.items()):
            before = one.truth
            if one.look() is not before:
                self.tell(job)
            if one.truth is Truth.ALIVE and one.ends_at and moments.now() > one.ends_at:
                self._end_in_background(job)

    async def _find(self) -> None:
        """Find processes by the mark in their environment; what a whole look does not show was never started."""
        asked = {job for job, one in self.watched.items() if one.process is None}
        found = await asyncio.to_thread(processes.of_jobs, self.prefix)
        for job in asked:
            one = self.watched.get(job)
            if one is not None and one.process is None:
                uid = os.geteuid() if one.uid is None else one.uid
                own = [process for process in found.get(job, []) if processes.owner(process) == uid]
                if own:
                    one.process = own[0]
                    self.watch(job, one)
                elif one.popen is None and one.truth is Truth.UNKNOWN:
                    one.truth = Truth.DEAD
                    self.tell(job)

    def _end_in_background(self, job: str) -> None:
        log.info("%s: its time is over", job)
        self.watched[job].ends_at, self.watched[job].over = None, True
        task = asyncio.ensure_future(self.end(job))
        self._ends.add(task)
        task.add_done_callback(self._ends.discard)

    def watch(self, job: str, one: Watched) -> None:
        """Know a job, and hear at once when its process ends."""
        self.watched[job] = one
        if one.process is None:
            return
        with contextlib.suppress(OSError):  # it ended already: the next look sees it
            handle = os.pidfd_open(one.process.pid)
            asyncio.get_running_loop().add_reader(handle, self._ended, job, handle)

    def _ended(self, job: str, handle: int) -> None:
        asyncio.get_running_loop().remove_reader(handle)
        os.close(handle)
        one = self.watched.get(job)
        if one is not None and one.look() is Truth.DEAD:
            self.tell(job)

    def forget(self, job: str) -> None:
        """Know no more of a job."""
        self.watched.pop(job, None)
        self.on_change.pop(job, None)

    async def end(self, job: str, *, now: bool = False) -> None:
        """End a job and all that carries its mark: first politely, then not."""
        one = self.watched.get(job)
        if one is not None and one.process is not None and not now:
            one.process.signal(signal.SIGTERM)
            until = time.monotonic() + GRACE
            while one.look() is Truth.ALIVE and time.monotonic() < until:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        await self.remove(job)
        if one is not None and one.look() is Truth.ALIVE and one.popen is not None:
            one.popen.kill()  # only threads are left of it, which no mark leads to
            one.look()

    async def jobs(self) -> set[str]:
        """Jobs that any process carries the mark of."""
        return set(await asyncio.to_thread(processes.of_jobs, self.prefix))

    async def about(self, job: str) -> dict[str, float | None]:
        """The accounts, where each user has one, and the begin of each one's oldest process."""
        found: dict[str, float | None] = {}
        for process in (await asyncio.to_thread(processes.of_jobs, job)).get(job, []):
            if (user := self._whose(process)) is not None:
                found.setdefault(user, process.since)
        return found

    def _whose(self, process: Process) -> str | None:
        """The account, "" where all share it; None of a process that ended."""
        uid = processes.owner(process)
        return None if uid is None else _name_of(uid) if self.config.accounts == "unix" else ""

    async def remove(self, job: str, owner: str | None = None) -> bool:
        """Kill every process that carries a job's mark, until there is none."""
        until = time.monotonic() + GIVEN_UP
        while True:
            left = (await asyncio.to_thread(processes.of_jobs, job)).get(job, [])
            left = [process for process in left if process.alive and owner in (None, self._whose(process))]
            if not left:
                return True
            if time.monotonic() > until:
                log.error("processes of %s do not end: %s", job, [process.pid for process in left])
                return False
            for process in left:
                process.signal(signal.SIGKILL)
            await asyncio.sleep(0.05)

    def estimate(self, plan: Any) -> Estimate:
        """A process starts at once."""
        return Estimate("now", source="this computer")

    def child_class(self) -> type[SiteMixin]:
        """Servers of this site."""
        return type(f"Site_{self.name}", (LocalServer,), {"site": self})

    def problems(self, hub: JupyterHub) -> list[str]:
        """Accounts that the Hub cannot use, or that more people would share than they know."""
        return [*refused_traits(hub.config, self.child_class(), REFUSED), *self._account_problems(hub)]

    def _account_problems(self, hub: JupyterHub) -> list[str]:
        at = f"site {self.name} in compute.yaml"
        if self.config.accounts == "unix":
            needs = f"{at}: accounts: unix starts servers as their users, for which the Hub has to run as root."
            return [] if os.geteuid() == 0 else [needs]
        if self.config.insecure_shared_account:
            return []
        return [f"{at}: {why} To accept that, write insecure_shared_account: true." for why in why_shared(hub)]

    @staticmethod
    async def listens(state: dict[str, Any], address: str, port: int) -> bool | None:
        """Whether the account that the server runs as listens there, and nobody else."""
        found = await asyncio.to_thread(listeners.accounts, address, port)
        uid = state.get("uid")
        return found == {os.geteuid() if uid is None else uid} if found else None

    def account(self, user: str) -> Account:
        """Who a user's server runs as.

        Raises:
            CannotLaunch: there is no such account, or no folder for it.
        """
        if self.config.accounts == "unix":
            return unix_account(user)
        return shared_account(user, self.settings.folder / self.config.home)


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # the account is gone, its process is not
        return str(uid)


REFUSED = {
    "shell_cmd": "name the environment's folder of programs (python:) in compute.yaml instead.",
    "popen_kwargs": "leave it out.",
    "ip": "servers of a local site listen on this computer only, leave it out.",
    "port": "write ports: at the site in compute.yaml.",
    "interrupt_timeout": "leave it out, a server has 10 s to end.",
    "term_timeout": "leave it out, a server has 10 s to end.",
    "kill_timeout": "leave it out, a server has 10 s to end.",
}


class LocalServer(SiteMixin, LocalProcessSpawner):  # type: ignore[misc]
    """One server on this computer; of LocalProcessSpawner only the traits and the environment are used."""

    site: ClassVar[LocalSite]
    programs = ""  # the environment's folder of programs; "" is the Hub's own

    def user_env(self, env: dict[str, str]) -> dict[str, str]:
        """What belongs to the account that the server runs as."""
        account = self.site.account(self.user.name)
        return {**env, "USER": account.name, "HOME": str(account.home), "SHELL": account.shell or "/bin/sh"}

    def folder(self, account: Account) -> str:
        """Where this start's files are."""
        token_dir = self.site.config.token_dir.format(home=account.home, user=account.name)
        return os.path.join(token_dir, self.job)

    def python(self) -> str:
        """The interpreter that brings the server up: the environment's, else the Hub's."""
        folder = self.programs or os.path.dirname(sys.executable)
        for name in ("python3", "python"):
            if os.access(os.path.join(folder, name), os.X_OK):
                return os.path.join(folder, name)
        raise CannotLaunch(f"there is no Python in {folder}. Ask the operator to correct this environment.")

    async def submit(self, launch: Launch) -> None:
        """Write the files as the account, then start the process as the account."""
        account = self.site.account(self.user.name)
        self.programs = launch.plan.programs
        folder, python = self.folder(account), self.python()
        await self._errand("deliver", folder, self._files(launch, python))
        one = Watched(uid=account.uid, ends_at=launch.ends_at and moments.steady(launch.ends_at))
        self.site.watched[self.job] = one
        command = [python, "-I", "-S", os.path.join(folder, "bootstrap.py"), folder]
        try:
            one.popen = await asyncio.to_thread(self._start, command, account)
        except OSError as error:
            one.truth = Truth.DEAD
            await self.clear()
            where = error.filename or command[0]
            raise CannotLaunch(
                f"the server cannot be started: {error.strerror} ({where}). Ask the operator."
            ) from error
        one.process, one.truth = processes.identify(one.popen.pid), Truth.ALIVE
        self.site.watch(self.job, one)

    def _start(self, command: list[str], account: Account) -> "subprocess.Popen[bytes]":
        """Start a program as the account; it goes home itself: the Hub may not be let into a home, not even as root."""
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(account.home), processes.MARK: self.job}
        return subprocess.Popen(
            command, cwd="/", env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True, **account.popen,
        )  # fmt: skip

    def _files(self, launch: Launch, python: str) -> dict[str, str]:
        path = os.pathsep.join([os.path.dirname(python), launch.environment.get("PATH", os.defpath)])
        start = {
            "job": self.job,
            "announce": launch.announce_url,
            "command": launch.command,
            "environment": {**launch.environment, "PATH": path, processes.MARK: self.job},
            "ports": self.site.config.ports,
            "bind": "127.0.0.1",
            "addresses": ["127.0.0.1"],
            "ends_at": launch.ends_at,
        }
        text = Path(bootstrap.__file__).read_text(encoding="utf-8")
        return {
            "start.json": json.dumps(start),
            "token": launch.token,
            "secret": launch.secret,
            "bootstrap.py": text,
        }

    async def _errand(self, verb: str, *arguments: Any) -> Any:
        """Let the courier do something as the account.

        Raises:
            CannotLaunch: it could not; says which folder or program is in the way.
        """
        account = self.site.account(self.user.name)
        try:
            if account.uid is None:
                return await asyncio.to_thread(courier.VERBS[verb], *arguments)
            return await asyncio.to_thread(self._as_account, account, verb, arguments)
        except (OSError, subprocess.SubprocessError) as error:
            where = getattr(error, "filename", None) or arguments[0]
            what = getattr(error, "strerror", None) or str(error)
            raise CannotLaunch(f"{where}: {what}. Make room or ask the operator, then start again.") from error

    def _as_account(self, account: Account, verb: str, arguments: tuple[Any, ...]) -> Any:
        text = Path(courier.__file__).read_text(encoding="utf-8")
        done = subprocess.run(
            [self.python(), "-I", "-S", "-c", text], input=json.dumps([verb, arguments]), text=True,
            capture_output=True, cwd="/", env={}, timeout=ERRAND, check=False, **account.popen,
        )  # fmt: skip
        if done.returncode:
            raise OSError(done.returncode, (done.stderr.strip().splitlines() or ["it ended with an error"])[-1])
        reply = json.loads(done.stdout)
        if "error" in reply:
            raise OSError(reply["number"], reply["error"], reply["path"])
        return reply["result"]

    def truth(self) -> Truth:
        """What the site's snapshot knows."""
        one = self.site.watched.get(self.job)
        return one.truth if one else Truth.UNKNOWN

    def exit_code(self) -> int:
        """The code of the ended process."""
        one = self.site.watched.get(self.job)
        return one.code if one else 1

    def time_was_over(self) -> bool:
        """Whether the site ended it in its time."""
        one = self.site.watched.get(self.job)
        return one is not None and one.over

    async def end(self, *, now: bool = False) -> None:
        """End the process and what it started."""
        await self.site.end(self.job, now=now)

    async def clear(self) -> None:
        """Remove the start's folder and what still runs of it."""
        await self.site.remove(self.job)
        self.site.forget(self.job)
        try:
            await self._errand("remove", self.folder(self.site.account(self.user.name)))
        except CannotLaunch as error:
            self.log.error("What %s left cannot be removed: %s", self.job, error)

    async def last_lines(self, count: int = 15) -> str:
        """The end of the server's log."""
        try:
            return str(await self._errand("last_lines", self.folder(self.site.account(self.user.name)), count))
        except CannotLaunch as error:
            self.log.warning("The log of %s cannot be read: %s", self.job, error)
            return ""

    def may_be_at(self, address: str, port: int) -> bool:
        """A server here listens on this computer only."""
        first, last = self.site.config.ports or (1, 65535)
        return ipaddress.ip_address(address).is_loopback and first <= port <= last

    def get_state(self) -> dict[str, Any]:
        """The process by its number, start and boot, and the id of its account, which may not be there to ask later."""
        one = self.site.watched.get(self.job)
        process = asdict(one.process) if one and one.process else None
        return {"programs": self.programs, "process": process, "uid": one.uid if one else None}

    def load_state(self, state: dict[str, Any]) -> None:
        """Know the process again; without its number it is looked for."""
        self.programs = state.get("programs", "")
        known = state.get("process")
        uid = state.get("uid")
        if uid is None:
            with contextlib.suppress(CannotLaunch):  # the account is gone: then no process of it is found either
                uid = self.site.account(self.user.name).uid
        ends_at = self.parent.ends_at  # type: ignore[union-attr]
        one = Watched(Process(**known) if known else None, uid, ends_at=ends_at and moments.steady(ends_at))
        one.look()
        self.site.watch(self.job, one)
