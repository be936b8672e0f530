"""Servers as jobs of Slurm."""

import asyncio
import contextlib
import os
import pwd
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal

import batchspawner
from jupyterhub.app import JupyterHub
from pydantic import field_validator
from pydantic_core import PydanticCustomError
from traitlets.config import Config

from beamhub.spawner import moments
from beamhub.spawner.plan import SpawnPlan
from beamhub.spawner.sites import (
    commands,
    configured,
    jobscript,
    slurm_jobs,
    slurm_limits,
    slurm_maintenance,
    slurm_text,
)
from beamhub.spawner.sites.batch import BatchSite, Gone
from beamhub.spawner.sites.batch_config import BatchConfig
from beamhub.spawner.sites.batch_server import BatchServer
from beamhub.spawner.sites.commands import SiteDown
from beamhub.spawner.sites.queue import Job, Node, Queue, Stage
from beamhub.spawner.sites.site import Launch, SiteMixin
from beamhub.spawner.sites.traits import refused_traits

NAMES = "%u|%j"
LIMITS = 600.0  # seconds for which the size of a limit is known
MAINTENANCE = 120.0  # seconds for which the times of maintenance are known, while somebody waits for it
OVER = ("TIMEOUT", "DEADLINE")
DATABASE = 10.0  # seconds for the accounting database; the look at the queue waits for it


class SlurmConfig(BatchConfig):
    """A cluster that Slurm runs; ``slurm_conf`` says which, where there are several."""

    kind: Literal["slurm"]
    which: ClassVar[tuple[str, ...]] = ("slurm_conf",)
    qos: str = ""
    reservation: str = ""
    constraint: str = ""
    gres: str = "gpu"
    slurm_conf: str = ""

    def needs(self) -> dict[str, str]:
        """Which cluster is asked."""
        return {"SLURM_CONF": self.slurm_conf} if self.slurm_conf else {}

    @field_validator("qos", "reservation", "gres")
    @classmethod
    def _named(cls, value: str) -> str:
        if value and not jobscript.WORD.fullmatch(value):
            raise PydanticCustomError("word", "{value} is no name that Slurm can have", {"value": repr(value)})
        return value

    @field_validator("constraint")
    @classmethod
    def _features(cls, value: str) -> str:
        if not slurm_jobs.CONSTRAINT.fullmatch(value):
            raise PydanticCustomError("constraint", "{value} is no constraint of Slurm's", {"value": repr(value)})
        return value


class SlurmSite(BatchSite):
    """One cluster."""

    Config = SlurmConfig
    asks_with: ClassVar[dict[str, str]] = {"SLURM_TIME_FORMAT": "%s"}  # seconds, whatever the zone

    def __init__(self, name: str, config: Any, catalogue: Any, settings: Any) -> None:
        super().__init__(name, config, catalogue, settings)
        self._limits: dict[tuple[str, ...], tuple[str, float]] = {}  # in words, and until when they are believed
        self._maintenance: tuple[list[slurm_maintenance.Maintenance], float] = ([], 0.0)  # and until when

    async def _slurm(self, program: str, *arguments: str) -> str:
        """What a command of Slurm's prints; an error of any kind, also one that is only said, is none of it.

        Raises:
            SiteDown: it failed.
        """
        code, out, err = await self.ask(program, *arguments)
        if code or "error" in err.lower():
            raise SiteDown(" ".join((err or out).split())[:500] or f"{program} ended with {code}")
        return out

    async def ask_queue(self, own: Collection[str]) -> Queue:
        """``squeue``, without any job's name."""
        conf = self.config.slurm_conf
        if conf and (await commands.run(["/usr/bin/test", "-e", conf], {}, 5.0))[0]:
            raise SiteDown(f"there is no {conf}")  # each command would look for it for a minute
        out = await self._slurm("squeue", "-h", "-r", "-t", "all", "-o", slurm_text.QUEUE)
        try:
            queue = await asyncio.to_thread(slurm_text.queue, out, own)
        except slurm_text.CutOff as error:
            raise SiteDown(f"squeue's answer was cut off: {error}") from error
        return replace(queue, jobs=await self._with_maintenance(await self._with_limits(queue.jobs)))

    async def _said(self, *question: str) -> str:
        """What ``scontrol`` shows to whom can do without it: "" where it does not answer."""
        with contextlib.suppress(SiteDown):
            return await self._slurm("scontrol", *question)
        return ""

    async def _with_limits(self, jobs: Mapping[str, Job]) -> dict[str, Job]:
        """Those that wait for a limit, with its size in words.

        There is one question for all whose limits are not known yet, and one for the accounts above where it may be
        a limit of those.
        """
        now = moments.now()
        keys = {
            one.id: (one.reason, one.account, one.qos, one.user) for one in jobs.values() if slurm_limits.waits(one)
        }
        self._limits = {key: known for key, known in self._limits.items() if key in keys.values() and known[1] > now}
        if new := [jobs[number] for number, key in keys.items() if key not in self._limits]:
            text = await self._said(*slurm_limits.question(new))
            known = await asyncio.to_thread(slurm_limits.associations, text)
            if any(slurm_limits.asks_above(known, one) for one in new):
                above = await self._said(*slurm_limits.QUESTION_ABOVE)
                known = {**await asyncio.to_thread(slurm_limits.associations, above), **known}
            for one in new:
                self._limits[keys[one.id]] = slurm_limits.limit(text, known, one), now + LIMITS
        return {
            number: replace(one, why=self._limits[keys[number]][0]) if number in keys else one
            for number, one in jobs.items()
        }

    async def _with_maintenance(self, jobs: Mapping[str, Job]) -> dict[str, Job]:
        """Those that wait for maintenance, with its times in words; one question for all, none where nobody does."""
        waiting = {number: one for number, one in jobs.items() if slurm_maintenance.waits(one)}
        known, until = self._maintenance
        if not waiting:
            self._maintenance = ([], 0.0)
        elif until < moments.now():
            text = await self._said(*slurm_maintenance.QUESTION)
            known = await asyncio.to_thread(slurm_maintenance.maintenances, text)
            self._maintenance = known, moments.now() + MAINTENANCE
        now = moments.of(moments.now())
        names = {
            where: frozenset(node.name for node in self.nodes if node.partition in where)
            for where in {one.partitions for one in waiting.values()}
        }
        said = {
            number: replace(one, why=slurm_maintenance.why(known, one, names[one.partitions], now))
            for number, one in waiting.items()
        }
        return {**jobs, **said}

    async def ask_nodes(self) -> list[Node]:
        """``sinfo``, a line for each node and partition."""
        return slurm_text.nodes(await self._slurm("sinfo", "-h", "-N", "-O", slurm_text.NODES))

    async def ask_end(self, number: str, user: str) -> tuple[Stage, str, int, bool]:
        """``scontrol show job``, which knows a job some minutes after its end, too."""
        code, out, err = await self.ask("scontrol", "-o", "show", "job", number)
        if code and "Invalid job id" in err and await self._answers():
            raise Gone(number)
        if code or "error" in err.lower():
            raise SiteDown(" ".join(err.split())[:500])
        found = slurm_text.record(out)
        if found.get("JobId") != number or "JobState" not in found:
            raise SiteDown(f"scontrol's answer was not understood: {out[:200]!r}")
        if not found.get("UserId", "").startswith(f"{user}("):
            raise SiteDown(f"job {number} is not {user}'s any more: {found.get('UserId')}")
        state, ended = found["JobState"], found.get("ExitCode", "")
        said = slurm_text.why_ended(state, found.get("Reason", ""), ended)
        return slurm_text.stage(state), said, slurm_text.exit_code(ended), state in OVER

    def end_of(self, job: Job) -> tuple[str, int, bool]:
        """By its state alone."""
        known = job.state not in ("FAILED", "COMPLETED")
        said = slurm_text.why_ended(job.state, job.reason, "") if known else "It ended; how is not known."
        return said, 1, job.state in OVER

    async def _answers(self) -> bool:
        """Whether the controller is up, said by itself."""
        code, out, _ = await self.ask("scontrol", "ping")
        return code == 0 and " is UP" in out

    async def ask_id(self, job: str, user: str) -> str:
        """``squeue`` for one name and its user."""
        out = await self._slurm("squeue", "-h", "-t", "all", f"--name={job}", f"--user={user}", "-o", "%i")
        numbers = [line for line in out.split() if line.isdigit()]
        return max(numbers, key=int, default="")

    async def ask_names(self) -> list[tuple[str, str]]:
        """``squeue`` for those that are no more than waiting or running."""
        out = await self._slurm("squeue", "-h", "-o", NAMES)
        parts = (line.partition("|") for line in out.splitlines())
        return [(job, user) for user, _, job in parts]

    async def why_hidden(self) -> str:
        """Whether PrivateData keeps the jobs of others from this account."""
        if not slurm_text.hides_jobs(await self._slurm("scontrol", "show", "config")):
            return ""
        if os.geteuid() == 0:
            return ""
        user = pwd.getpwuid(os.geteuid()).pw_name
        question = ["-n", "-P", "show", "user", user, "format=AdminLevel"]
        code, out, err = await self.ask("sacctmgr", *question, within=DATABASE)
        if code and not slurm_text.keeps_no_accounts(err):
            raise SiteDown(f"whether it shows all jobs is not known: {' '.join(err.split())[:500]}")
        return slurm_text.why_hidden(user, None if code else out.strip())

    def problems(self, hub: JupyterHub) -> list[str]:
        """Also settings of batchspawner's that would have no effect."""
        kind = self.child_class()
        return [*refused_traits(hub.config, kind, REFUSED), *_no_runtime(kind, hub.config), *super().problems(hub)]

    def why_refused(self, text: str) -> str:
        """What ``sbatch`` said, for people."""
        return slurm_text.why_refused(text)

    def why_by_log(self, lines: str, said: str) -> str:
        """What Slurm's daemon on the node wrote, for people."""
        return slurm_text.why_by_log(lines, said)

    def why_waiting(self, reason: str) -> str:
        """Slurm's reason, for people."""
        return slurm_text.why_waiting(reason)

    def child_class(self) -> type[SiteMixin]:
        """Servers of this cluster."""
        return type(f"Site_{self.name}", (SlurmServer,), {"site": self})


AT_SITE = "write {} at the site in compute.yaml, and make the launcher anew."
AT_PROFILE = "write {} at the profile in compute.yaml."
REFUSED = {
    "batch_script": "the job's script is made of the profile. Lines of your own: prologue, epilogue and directives.",
    "exec_prefix": "the launcher is what the Hub may run as others. Make it: beamhub launcher.",
    "batch_submit_cmd": "name the folder of Slurm's commands (commands) at the site in compute.yaml.",
    "batch_query_cmd": "the queue is asked for once for all servers. Leave it out.",
    "batch_cancel_cmd": "name the folder of Slurm's commands (commands) at the site in compute.yaml.",
    "batchspawner_singleuser_cmd": "nothing has to be installed on the nodes for it. Leave it out.",
    "req_cluster": AT_SITE.format("slurm_conf, one site for each cluster,"),
    "req_gres": AT_PROFILE.format("gpus") + " What they are called: gres at the site.",
    "req_host": AT_SITE.format("slurm_conf"),
    "req_keepvars": "the job has nothing of the Hub's environment. Write c.Spawner.environment.",
    "req_keepvars_extra": "the job has nothing of the Hub's environment. Write c.Spawner.environment.",
    "req_memory": AT_PROFILE.format("memory"),
    "req_ngpus": AT_PROFILE.format("gpus"),
    "req_nprocs": AT_PROFILE.format("cores"),
    "req_options": AT_SITE.format("directives"),
    "req_queue": AT_SITE.format("partitions"),
    "req_srun": "the server runs in the job itself. Leave it out.",
    "startup_poll_interval": "a server says itself that it is up. Leave it out.",
    "state_exechost_exp": "a server says itself where it is. Leave it out.",
    "state_exechost_re": "a server says itself where it is. Leave it out.",
    "state_pending_re": "Slurm's states are known. Leave it out.",
    "state_running_re": "Slurm's states are known. Leave it out.",
    "state_unknown_re": "Slurm's states are known. Leave it out.",
    "ip": "a server listens at its node's addresses. Leave it out.",
    "port": "write ports at the site in compute.yaml.",
}
HONOURED = {  # where compute.yaml does not say this: the profile walltime, the site all others
    "req_account": "account",
    "req_epilogue": "epilogue",
    "req_partition": "partitions",
    "req_prologue": "prologue",
    "req_qos": "qos",
    "req_reservation": "reservation",
    "req_runtime": "walltime",
}
LONGEST = 366 * 86400.0  # seconds of a job
NO_RUNTIME = "it is no time limit. Write one like 60, 2:00:00 or 1-12, or walltime at the profiles in compute.yaml."


def _no_runtime(kind: type, hub: Config) -> list[str]:
    """The sentence for a time limit that is none."""
    one = configured.said(kind, "req_runtime", hub)
    if one is None or one.value == "":
        return []
    time = slurm_text.seconds(one.value) if isinstance(one.value, str) else None
    return [] if time and time <= LONGEST else [configured.refusal(one, NO_RUNTIME)]


class SlurmServer(BatchServer, batchspawner.SlurmSpawner):  # type: ignore[misc]
    """One server on a cluster; of SlurmSpawner only the traits are used."""

    site: ClassVar[SlurmSite]

    def walltime_s(self, plan: SpawnPlan) -> float | None:
        """The profile's, else that of ``req_runtime``."""
        return plan.walltime_s or slurm_text.seconds(self.req_runtime)

    def asks(self, launch: Launch) -> dict[str, Any]:
        """With what only Slurm knows."""
        config = self.site.config
        partitions = self.req_partition.split(",") if self.req_partition else []
        parents = {
            "account": self.req_account, "partitions": partitions, "qos": self.req_qos,
            "reservation": self.req_reservation,
        }  # fmt: skip
        own = {key: getattr(config, key) for key in ("qos", "reservation", "constraint", "gres")}
        given = [{key: value for key, value in one.items() if value} for one in (parents, own, super().asks(launch))]
        return {**given[0], **given[1], **given[2]}
