"""Servers as jobs of a batch system. What is common to all of them is here; each system is one file more."""

import asyncio
import contextlib
import ipaddress
import logging
import os
from abc import abstractmethod
from collections.abc import Collection
from dataclasses import replace
from typing import Any, ClassVar
from urllib.parse import urlsplit

from jupyterhub.app import JupyterHub

from beamhub.spawner import moments
from beamhub.spawner.errors import CannotLaunch
from beamhub.spawner.sites import cancels, commands, configured, errands, jobscript
from beamhub.spawner.sites.cancels import Cancels
from beamhub.spawner.sites.commands import SiteDown
from beamhub.spawner.sites.judgement import ABSENT, Known, Verdict, judge
from beamhub.spawner.sites.queue import Job, Node, Queue, Stage, fits
from beamhub.spawner.sites.site import Estimate, Site
from beamhub.spawner.sites.waits import Waits

log = logging.getLogger("beamhub.spawner")
QUERY = 30.0  # seconds for a question; a controller that is stopped answers after twice its MessageTimeout, 10 s
SOONEST = 2.0  # seconds between two looks at the queue, whatever happens
CAPACITY = 60.0  # seconds between two looks at the nodes
STOP = 20.0  # seconds that a stop waits for the job's end; it is cancelled again and again after that, too
CONFIRMED = 20  # jobs that are asked for by their ids after one look
LATE = 300.0  # seconds after its time was over in which a job that vanished with most others may still be there
CHECK = 600.0  # seconds between two looks at what is shown to this account
AGAIN = 600.0  # seconds until a job that belongs to nobody and could not be ended is tried again
ERRANDS = 16  # at a time


class Gone(Exception):
    """The batch system answers, and knows no job of this id (any more)."""


class BatchSite(Site):
    """A batch system's queue: one question for all servers, believed only as far as it can be."""

    interval: ClassVar[float] = 15.0  # seconds: four questions a minute, beside one about nodes and one for lost jobs
    begins_at_once: ClassVar[bool] = False
    asks_with: ClassVar[dict[str, str]] = {}  # what its commands are told by their environment

    def __init__(self, name: str, config: Any, catalogue: Any, settings: Any) -> None:
        super().__init__(name, config, catalogue, settings)
        self.known: dict[str, Known] = {}
        self.down = ""
        self.hidden: str | None = None  # why jobs are not shown, "" where they are; None while that is not known
        self.queue = Queue({})
        self.nodes: list[Node] = []
        self.waits = Waits()
        self._owners: dict[str, set[str]] = {}
        self._left: dict[str, float] = {}
        self._errands = asyncio.Semaphore(ERRANDS)
        self._looked, self._counted, self._checked = float("-inf"), float("-inf"), float("-inf")
        self._wanted = asyncio.Event()
        self._looking = asyncio.Lock()
        self.cancels = Cancels(self)
        self._asked_beside = False

    def adopt(self, config: Any, catalogue: Any) -> None:
        """Take what the changed file says, but for another cluster while servers run in this one."""
        changed = [key for key in config.which if getattr(config, key) != getattr(self.config, key)]
        if changed and any(not one.dead for one in self.known.values()):
            log.error(
                "site %s has another %s now, while servers run in its old cluster: that stays. Give the new one a site "
                "of its own, or restart the Hub when they have ended.", self.name, " and ".join(changed),
            )  # fmt: skip
            config = config.model_copy(update={key: getattr(self.config, key) for key in changed})
        if config.partitions != self.config.partitions:
            self.waits = Waits()
        super().adopt(config, catalogue)

    @staticmethod
    async def listens(state: dict[str, Any], address: str, port: int) -> bool | None:
        """The job said that its own server listens; from here nobody can see who does."""
        return True if state.get("listening") else None

    # What each batch system answers in its own way

    @abstractmethod
    async def ask_queue(self, own: Collection[str]) -> Queue:
        """All that waits, and these jobs. Raises SiteDown."""

    @abstractmethod
    async def ask_nodes(self) -> list[Node]:
        """The nodes. Raises SiteDown."""

    @abstractmethod
    async def ask_end(self, number: str, user: str) -> tuple[Stage, str, int, bool]:
        """Of a user's job: its stage, how it ended in words, its code, whether its time was over.

        Raises:
            SiteDown: there is no answer that can be believed, or the number is somebody else's.
            Gone: there is no job of that number.
        """

    @abstractmethod
    def end_of(self, job: Job) -> tuple[str, int, bool]:
        """The same of a job that the queue shows as ended, as far as that tells."""

    @abstractmethod
    async def ask_id(self, job: str, user: str) -> str:
        """The id of the newest job of this name, "" where there is none. Raises SiteDown."""

    @abstractmethod
    async def ask_names(self) -> list[tuple[str, str]]:
        """Name and user of each job that is there. A name may be a lie. Raises SiteDown."""

    @abstractmethod
    async def why_hidden(self) -> str:
        """Why this account may not see all jobs, with what to do; "" where it may. Raises SiteDown."""

    @abstractmethod
    def why_refused(self, text: str) -> str:
        """A refusal of the batch system in words for people."""

    @abstractmethod
    def why_waiting(self, reason: str) -> str:
        """Why a job waits, for people."""

    def why_by_log(self, lines: str, said: str) -> str:
        """What the batch system wrote into the job's own log, for people, where ``said`` leaves that open; else ""."""
        return ""

    # The snapshot

    async def run(self) -> None:
        """Look again and again, sooner when something happened, until cancelled."""
        while True:
            await self.look()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wanted.wait(), self.interval)
                await asyncio.sleep(max(0.0, self._looked + SOONEST - moments.now()))
            self._wanted.clear()

    def look_soon(self) -> None:
        """Something happened: look at the queue before it is time."""
        self._wanted.set()

    async def snapshot(self) -> None:
        """Ask for the queue, sometimes for the nodes, and tell whose job changed."""
        async with self._looking:
            asked = self._looked = moments.now()
            try:
                queue = await self.ask_queue({one.id for one in self.known.values() if one.id})
            except SiteDown as error:
                if self.down != str(error):
                    log.error("Site %s does not answer, its servers are left alone: %s", self.name, error)
                self.down = str(error)
                return
            if self.down:
                log.info("Site %s answers", self.name)
            self.queue, self.down = queue, ""
            await self._look_beside(asked)
            await self._judge(asked, queue)

    async def _look_beside(self, asked: float) -> None:
        """What changes seldom: whether all jobs are shown, and what the nodes have; without an answer it stays."""
        try:
            if asked - self._counted > CAPACITY:
                self.nodes = []  # old ones would promise too much
                self.nodes, self._counted = await self.ask_nodes(), asked
            if asked - self._checked > (min(CHECK, CAPACITY) if self.hidden is None else CHECK):
                self._checked = asked
                await self._look_whether_hidden()
        except SiteDown as error:
            log.warning("Site %s: %s", self.name, error)
        self._asked_beside = True

    def may_hide(self) -> bool:
        """Whether some jobs may not be shown, or nobody could say so far; before the first look that is no reason."""
        return self._asked_beside and self.hidden != ""

    async def _look_whether_hidden(self) -> bool:
        """Whether all jobs are shown to this account, asked now. Raises SiteDown."""
        hidden = await self.why_hidden()
        if hidden and hidden != self.hidden:
            log.error("Site %s: %s", self.name, hidden)
        if self.hidden and not hidden:
            log.info("Site %s shows all jobs now", self.name)
        self.hidden = hidden
        return hidden == ""

    async def _judge(self, asked: float, queue: Queue) -> None:
        found = judge(self.known, queue, asked, self.hidden == "")
        asks = CONFIRMED
        for job, verdict in sorted(found.items(), key=lambda item: self.known[item[0]].asked):
            one = self.known.get(job)
            if one is None or one.dead:
                continue
            before = one.job
            if listed := queue.jobs.get(one.id) if verdict is not Verdict.UNKNOWN else None:
                one.job = listed
                if not one.ran and listed.stage in (Stage.RUNNING, Stage.ENDING):
                    one.ran = True
                    self._began(one, listed)
            if verdict is Verdict.THERE:
                one.missing = 0
            elif verdict is Verdict.BACK:
                self._ended(one, "It was put back into the queue there, and what ran has ended.", 1, over=False)
                self.make_sure(job, one)
            elif verdict is not Verdict.UNKNOWN and asks:
                asks = asks - 1 if await self.confirm(one, verdict) else 0
            if verdict is Verdict.ENDED and not one.dead and one.job is not None:
                self._ended(one, *self.end_of(one.job))  # how is not known in full, that it ended is
            if one.dead or one.job != before:
                self.tell(job)
                await asyncio.sleep(0)  # each is written down: what else the Hub does comes in between
        for job, one in list(self.known.items()):
            if not one.id and not one.dead and asks:
                asks = asks - 1 if await self._find(job, one) else 0

    def _began(self, one: Known, job: Job) -> None:
        """A job runs: what it waited is kept, where it is known when it was handed in."""
        if one.cores and job.start:
            self.waits.add(moments.now(), one.cores, one.gpus > 0, job.start - moments.of(one.since))

    async def confirm(self, one: Known, verdict: Verdict) -> bool:
        """Ask for a job by its id. Only an end that was read makes it dead, or an absence that is to be believed.

        Returns:
            Whether there was an answer.
        """
        one.asked = moments.now()
        try:
            stage, said, code, over = await self.ask_end(one.id, one.user)
            if stage is Stage.ENDED:
                self._ended(one, said, code, over)
            one.missing = 0
        except Gone:
            one.missing += 1
            late = one.job is not None and one.job.end is not None and one.job.end + LATE < moments.of(moments.now())
            believed = verdict is Verdict.MISSING or (verdict is Verdict.VANISHED and late)
            with contextlib.suppress(SiteDown):
                if believed and one.missing >= ABSENT and await self._look_whether_hidden():
                    self._ended(one, "The batch system knows nothing of it any more.", 1, over=False)
        except SiteDown:
            return False
        return True

    async def _find(self, job: str, one: Known) -> bool:
        """A job whose id was never known: the submit may still have taken effect, also later.

        Returns:
            Whether there was an answer.
        """
        try:
            found = await self.ask_id(job, one.user)
            one.sought = None if found else one.sought or moments.now()
            if found:
                one.id = found
                self.tell(job)
            elif moments.now() - max(one.sought or 0.0, one.since) > cancels.LOST and await self._look_whether_hidden():
                self._ended(one, "It never was in the queue.", 1, over=False)
                self.tell(job)
        except SiteDown:
            return False
        return True

    def _ended(self, one: Known, said: str, code: int, over: bool) -> None:
        one.dead, one.said, one.code, one.over = True, said, code, over

    # Jobs

    def make_sure(self, job: str, one: Known, after: float = 0.0) -> None:
        """Cancel a job whose server is known to have ended, while it may still be there; after so many seconds."""
        if not self.only_looks:
            self.cancels.of(job, replace(one, dead=False), after)

    async def end(self, job: str, clean: bool) -> None:
        """Cancel a job and wait for its end for a while; it is cancelled on when it takes longer.

        With ``clean`` its files are removed with that, where they can be.
        """
        one = self.known.get(job)
        if one is None or one.dead:
            return
        done, _ = await asyncio.wait([self.cancels.of(job, one, clean=clean)], timeout=STOP)
        if not done:
            log.warning("%s at %s was cancelled and has not ended yet; it is looked after", job, self.name)
        self.look_soon()

    def forget(self, job: str) -> None:
        """Know no more of a job; one that is being cancelled is cancelled on."""
        self.known.pop(job, None)
        self.on_change.pop(job, None)

    async def jobs(self) -> set[str]:
        """Names of this Hub's jobs that are in the queue."""
        prefix = f"bh-{self.settings.hub}-"
        try:
            found = await self.ask_names()
        except SiteDown:
            return set()
        self._owners = {}
        for job, user in found:
            if job.startswith(prefix) and jobscript.NAME.fullmatch(job):
                self._owners.setdefault(job, set()).add(user)
        now = moments.now()
        self._left = {job: until for job, until in self._left.items() if job in self._owners and until > now}
        return set(self._owners) - set(self._left) - self.cancels.jobs()

    def unseen(self) -> str:
        """It does not answer, or hides jobs of others."""
        return self.down or ("whether it shows all jobs is not known" if self.hidden is None else self.hidden)

    async def about(self, job: str) -> dict[str, float | None]:
        """Who submitted it, and since when each one's runs."""
        found: dict[str, float | None] = dict.fromkeys(sorted(self._owners.get(job, ())))
        with contextlib.suppress(SiteDown):
            ids = {user: number for user in found if (number := await self.ask_id(job, user))}
            listed = (await self.ask_queue(set(ids.values()))).jobs if ids else {}
            for user, number in ids.items():
                if (one := listed.get(number)) and one.stage is not Stage.WAITING:
                    found[user] = one.start
        return found

    async def remove(self, job: str, owner: str | None = None) -> bool:
        """Cancel a job that no server knows of, by its name alone, as who submitted it."""
        self._left[job] = moments.now() + AGAIN
        done = True
        for user in self._owners.get(job, ()) if owner is None else (owner,):
            try:
                await self.errand(user, {"verb": "cancel", "name": job, "id": ""})
                await self.errand(user, {"verb": "clean", "name": job})
            except CannotLaunch as error:
                log.error("%s of %s at %s belongs to no server and stays: %s", job, user, self.name, error)
                done = False
        return done

    def estimate(self, plan: Any) -> Estimate:
        """Now where a node has room for it, else by the batch system's plan or by what others waited, where known."""
        age = max(0.0, moments.now() - self._looked)
        if self.down:
            return Estimate("down", message=self.down_in_words(), age_s=age)
        cores, memory, gpus = (plan.cores, plan.memory_bytes >> 20, plan.gpus) if plan else (1, 512, 0)
        partitions = tuple(self.config.partitions) or tuple({node.partition for node in self.nodes if node.default})
        if fits(self.nodes, partitions, cores, memory, gpus):
            return Estimate("now", source="free nodes", age_s=age)
        if plan_of_all := self.queue.expected(partitions, moments.of(moments.now())):
            low, high, count = plan_of_all
            return Estimate("about", low, high, f"the batch system's plan for {count} that wait", age_s=age)
        if waited := self.waits.expected(cores, gpus > 0, moments.now()):
            low, high, count = waited
            return Estimate("about", low, high, f"what {count} starts waited lately", age_s=age)
        return Estimate("unknown", source="no node is free for it", age_s=age)

    def down_in_words(self) -> str:
        """What people read while the batch system does not answer; the operator reads the rest in the log."""
        return "its batch system does not answer at the moment"

    def problems(self, hub: JupyterHub) -> list[str]:
        """What would keep every start from working."""
        at = f"site {self.name} in compute.yaml"
        found = []
        if not self.config.hub_url and _is_here(urlsplit(hub.hub.api_url).hostname or ""):
            found.append(f"{at}: hub_url is missing, and the Hub listens at {hub.hub.api_url}, which no node reaches.")
        if not os.access(self.config.launcher, os.X_OK):
            found.append(f"{at}: there is no launcher {self.config.launcher}; make it: beamhub launcher --help")
        for notice in configured.notices(self.config, self.child_class(), hub.config):
            log.warning("Site %s: %s", self.name, notice)
        return [*found, *configured.problems(self.config, self.child_class(), hub.config)]

    # The launcher, and questions

    async def errand(self, user: str, request: dict[str, Any]) -> dict[str, Any]:
        """Have the launcher do something as somebody.

        Raises:
            CannotLaunch: it did not; ``args[1]`` is its word for why.
        """
        async with self._errands:
            reply = await errands.run(self.name, self.config.launcher, user, request)
        if denied := reply.get("denied"):
            raise CannotLaunch(self._denial(user, request["verb"], reply), denied)
        return reply

    def _denial(self, user: str, verb: str, reply: dict[str, Any]) -> str:
        kind, message, path = reply["denied"], reply.get("message", ""), reply.get("path", "")
        log.error("Site %s, %s as %s: %s: %s %s", self.name, verb, user, kind, message, path)
        if kind == "folder":
            return f"{path}: {message}. Make room or ask the operator, then start again."
        if kind == "stale":
            return (
                f"{self.config.title or self.name} is being changed: {message}. Try again later, or ask the operator."
            )
        if kind in ("refused", "unknown"):
            return f"{self.why_refused(message)}. Choose something else, or show this to the operator: {message[:300]}"
        return f"{message}. Ask the operator."

    async def ask(self, program: str, *arguments: str, within: float | None = None) -> tuple[int, str, str]:
        """Ask the batch system with one of its commands: exit code, output, and what was said of errors.

        Raises:
            SiteDown: it is not there or does not come to an end.
        """
        environment = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", **self.config.needs(), **self.asks_with}
        command = [os.path.join(self.config.commands, program), *arguments]
        return await commands.run(command, environment, within or QUERY)


def _is_here(host: str) -> bool:
    if host in ("localhost", ""):
        return True
    with contextlib.suppress(ValueError):
        address = ipaddress.ip_address(host)
        return address.is_loopback or address.is_unspecified
    return False
