"""One server as a job of a batch system."""

import ipaddress
import json
import logging
from typing import Any, ClassVar

from traitlets.config import Config

from beamhub.spawner import moments
from beamhub.spawner.errors import CannotLaunch
from beamhub.spawner.plan import SpawnPlan
from beamhub.spawner.sites import configured
from beamhub.spawner.sites.batch import BatchSite
from beamhub.spawner.sites.batch_config import BatchConfig
from beamhub.spawner.sites.judgement import Known
from beamhub.spawner.sites.launcher_settings import digest
from beamhub.spawner.sites.queue import Stage
from beamhub.spawner.sites.site import Launch, SiteMixin, Truth

log = logging.getLogger("beamhub.spawner")
LATELY = 15.0  # seconds in which the job is believed before the queue was looked at
EPILOGUE = 60.0  # seconds that a job has, after its server ended, until it is cancelled


class BatchServer(SiteMixin):
    """One server that is a job; the parent's own ways of submitting, asking and cancelling are not used."""

    site: ClassVar[BatchSite]

    @classmethod
    def site_config(cls, hub: Config) -> BatchConfig:
        """What compute.yaml says of the site, and where that says nothing batchspawner's settings."""
        found: BatchConfig = cls.site.config
        return configured.with_traits(found, cls, hub)

    def walltime_s(self, plan: SpawnPlan) -> float | None:
        """How long the job may run; None without a limit of its own."""
        return plan.walltime_s

    async def submit(self, launch: Launch) -> None:
        """Hand the job in; what is not known to have been refused is looked for by its name."""
        request = {
            "verb": "submit",
            "digest": digest(self.site_config(self.config)),
            "job": {**self.asks(launch), "name": self.job},
            "files": {"start.json": self._start(launch), "token": launch.token, "secret": launch.secret},
        }
        plan = launch.plan
        one = Known(self.user.name, since=moments.now(), cores=plan.cores, gpus=plan.gpus)
        self.site.known[self.job] = one
        try:
            one.id = str((await self.site.errand(one.user, request))["id"])
        except CannotLaunch as error:
            if error.args[1:] == ("unknown",):
                log.error("Whether %s was handed in is not known, it is looked for: %s", self.job, error.args[0])
                self.site.look_soon()
                return
            self.site.known.pop(self.job, None)
            self._say_what_is_inside(error)
            raise CannotLaunch(str(error.args[0])) from error
        one.since = moments.now()
        self.site.look_soon()

    def _say_what_is_inside(self, error: CannotLaunch) -> None:
        """An old launcher: what of the Hub's own configuration a new one needs."""
        found = configured.shell_of(self.site.config, type(self), self.config)
        if error.args[1:] == ("stale",) and found:
            needs = "Site %s: %s must be inside the launcher; make it anew: beamhub launcher --config %s"
            log.error(needs, self.site.name, " and ".join(found), "jupyterhub_config.py")

    def asks(self, launch: Launch) -> dict[str, Any]:
        """What the job asks for, as ``jobscript.Job``.

        Raises:
            CannotLaunch: its software is in a form that this site does not run.
        """
        plan, config, walltime = launch.plan, self.site.config, self.walltime_s(launch.plan)
        if plan.image and not plan.programs and not config.runtime:
            where = config.title or self.site.name
            raise CannotLaunch(f"this software is a container image, and {where} runs none. Choose other software.")
        found: dict[str, Any] = {
            "cores": plan.cores,
            "memory_mb": max(1, plan.memory_bytes >> 20),
            "gpus": plan.gpus,
            "minutes": max(1, -int(-walltime // 60)) if walltime else None,
            "partitions": list(config.partitions),
            "account": config.account,
            "programs": plan.programs,
            "modules": list(plan.modules),
            "image": plan.image if config.runtime and not plan.programs else "",
        }
        return {key: value for key, value in found.items() if value not in (None, "", [])}

    def _start(self, launch: Launch) -> str:
        of_the_hub = set(self.env_keep) - set(self.environment)
        kept = {key: value for key, value in launch.environment.items() if key not in of_the_hub}
        return json.dumps(
            {
                "job": self.job,
                "announce": launch.announce_url,
                "command": launch.command,
                "environment": {**kept, "BEAMHUB_JOB": self.job},
                "programs": launch.plan.programs,
                "ports": self.site.config.ports,
                "bind": "0.0.0.0",  # noqa: S104 - a node's own addresses are known there only
                "addresses": [],
                "ends_at": None,
                "walltime_s": self.walltime_s(launch.plan),
                "stay": True,
            }
        )

    def truth(self) -> Truth:
        """What the last look at the queue says."""
        one = self.site.known.get(self.job)
        if one is None or (not one.dead and (self.site.down or one.job is None)):
            return Truth.UNKNOWN
        return Truth.DEAD if one.dead else Truth.ALIVE

    def exit_code(self) -> int:
        """The code of the ended job."""
        one = self.site.known.get(self.job)
        return one.code if one else 1

    def end_in_words(self, lines: str) -> str:
        """How the job ended, as the batch system says."""
        one = self.site.known.get(self.job)
        said = one.said if one else ""
        return self.site.why_by_log(lines, said) or said

    def time_was_over(self) -> bool:
        """Whether the batch system ended it, since its time was over."""
        one = self.site.known.get(self.job)
        return one is not None and one.over

    def away(self) -> bool:
        """Whether the batch system does not answer: a job keeps its place meanwhile."""
        return bool(self.site.down)

    def waiting(self) -> str:
        """Why it waits in the queue, and how long it may be."""
        one = self.site.known.get(self.job)
        job = one.job if one else None
        if self.site.down and one is not None:
            kept = "your place is kept" if one.id else "your start goes on when it does"
            return f"{self.site.config.title or self.site.name} does not answer at the moment, {kept}"
        if job is None:
            return ""
        if job.stage is not Stage.WAITING:
            return f"Your server has its place on {job.node or 'a node'}, its first program is being started"
        before = self.site.queue.before(job)
        said = f"In the queue: {job.why or self.site.why_waiting(job.reason)}"
        if before:
            said += f"; {before} job{'s' if before > 1 else ''} before yours"
        if job.start and (minutes := round((job.start - moments.of(moments.now())) / 60)) > 0:
            said += f"; about {minutes} min, the batch system thinks"
        return said

    def ends_at(self) -> float | None:
        """When the batch system is going to end it, seconds since 1970."""
        one = self.site.known.get(self.job)
        return one.job.end if one and one.job and one.job.stage is Stage.RUNNING else None

    def told(self, listening: bool, ended: int | None) -> None:
        """The server listens, or ended. What a signal ended the batch system knows better: it may have sent it."""
        one = self.site.known.get(self.job)
        if one is None:
            return
        one.listening, one.told = one.listening or listening, moments.now()
        if ended is not None and (ended >= 0 or self.site.may_hide()) and not one.dead:
            one.dead, one.code = True, ended
            self.site.make_sure(self.job, one, EPILOGUE)
        self.site.cancels.heard(self.job)
        self.site.look_soon()

    def began(self) -> bool:
        """Whether the job runs."""
        one = self.site.known.get(self.job)
        return one is not None and one.ran

    async def listens(self, address: str, port: int) -> bool | None:
        """What the job said, as long as it is there; its port is anybody's afterwards."""
        truth = self.truth()
        one = self.site.known.get(self.job)
        blind = self.site.down or self.site.may_hide()  # then the queue cannot say more than the job did
        lately = one is not None and one.told > moments.now() - LATELY
        if truth is Truth.DEAD or (truth is Truth.UNKNOWN and not blind and not lately):
            return None
        return await super().listens(address, port)

    def user_env(self, env: dict[str, str]) -> dict[str, str]:
        """The launcher knows home and shell; the Hub's computer need not know the account."""
        return env

    async def end(self, *, now: bool = False) -> None:
        """Cancel the job; an epilogue may still write where its files are."""
        await self.site.end(self.job, clean=not self.site_config(self.config).epilogue)

    async def clear(self) -> None:
        """Remove the start's folder, where a cancel did not."""
        one = self.site.known.get(self.job)
        self.site.forget(self.job)
        if one is not None and one.cleaned:
            return
        try:
            await self.site.errand(one.user if one else self.user.name, {"verb": "clean", "name": self.job})
        except CannotLaunch as error:
            self.log.error("What %s left cannot be removed: %s", self.job, error)

    async def last_lines(self, count: int = 15) -> str:
        """The end of the server's log, read as its user."""
        try:
            reply = await self.site.errand(self.user.name, {"verb": "log", "name": self.job, "count": count})
        except CannotLaunch as error:
            self.log.warning("The log of %s cannot be read: %s", self.job, error)
            return ""
        return str(reply.get("lines", ""))

    def may_be_at(self, address: str, port: int) -> bool:
        """Inside the site's networks and ports."""
        found = ipaddress.ip_address(address)
        first, last = self.site.config.ports or (1024, 65535)
        if found.is_loopback or found.is_link_local or found.is_unspecified or found.is_multicast:
            return False
        return first <= port <= last and any(
            found.version == network.version and found in network for network in self.site.config.networks
        )

    def get_state(self) -> dict[str, Any]:
        """The job by its id, and whose it is."""
        one = self.site.known.get(self.job)
        return {"id": one.id, "user": one.user, "ran": one.ran, "listening": one.listening} if one else {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Know the job again; without its id it is looked for by its name."""
        user = str(state.get("user") or self.user.name)
        self.site.known[self.job] = Known(
            user,
            str(state.get("id") or ""),
            since=moments.now(),
            ran=bool(state.get("ran")),
            listening=bool(state.get("listening")),
        )
        self.site.look_soon()
