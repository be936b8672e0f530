"""Servers as jobs of Grid Engine."""

import asyncio
import contextlib
from collections.abc import Collection
from typing import Any, ClassVar, Literal

import batchspawner
from jupyterhub.app import JupyterHub
from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from beamhub.spawner.sites import gridengine_jobs, gridengine_text, jobscript
from beamhub.spawner.sites.batch import BatchSite, Gone
from beamhub.spawner.sites.batch_config import BatchConfig
from beamhub.spawner.sites.batch_server import BatchServer
from beamhub.spawner.sites.commands import SiteDown
from beamhub.spawner.sites.gridengine_text import NotRead
from beamhub.spawner.sites.queue import Job, Node, Queue, Stage
from beamhub.spawner.sites.site import Launch, SiteMixin
from beamhub.spawner.sites.traits import refused_traits

ASKED = 50  # jobs whose reasons to wait are asked for at once
OWN = ("pe", "project", "memory_resource", "gpu_resource")


class GridengineConfig(BatchConfig):
    """A cluster that Grid Engine runs; ``partitions`` are its queues.

    ``sge_root``, ``sge_cell`` and the ports say which, where it is not the one of the computer's own settings.
    """

    kind: Literal["gridengine"]
    which: ClassVar[tuple[str, ...]] = ("sge_root", "sge_cell", "qmaster_port", "execd_port")
    pe: str = "smp"
    project: str = ""
    memory_resource: str = ""
    gpu_resource: str = "gpu"
    sge_root: str = ""
    sge_cell: str = ""
    qmaster_port: int | None = Field(default=None, ge=1, le=65535)
    execd_port: int | None = Field(default=None, ge=1, le=65535)

    def needs(self) -> dict[str, str]:
        """Which cluster is asked."""
        given = {
            "SGE_ROOT": self.sge_root, "SGE_CELL": self.sge_cell, "SGE_QMASTER_PORT": self.qmaster_port,
            "SGE_EXECD_PORT": self.execd_port,
        }  # fmt: skip
        return {name: str(value) for name, value in given.items() if value}

    @field_validator("pe", "gpu_resource")
    @classmethod
    def _named(cls, value: str) -> str:
        if not jobscript.WORD.fullmatch(value):
            raise PydanticCustomError("word", "{value} is no name that Grid Engine can have", {"value": repr(value)})
        return value

    @field_validator("project", "memory_resource", "sge_cell")
    @classmethod
    def _named_or_none(cls, value: str) -> str:
        return cls._named(value) if value else value

    @field_validator("prologue", "epilogue")
    @classmethod
    def _no_directives(cls, value: str) -> str:
        if lines := [line for line in value.splitlines() if line.startswith(gridengine_jobs.DIRECTIVE)]:
            raise PydanticCustomError(
                "directive", "{line} would be read by qsub, wherever it stands; write options as directives",
                {"line": repr(lines[0])},
            )  # fmt: skip
        return value

    @field_validator("sge_root")
    @classmethod
    def _root(cls, value: str) -> str:
        if value and not jobscript.PATH.fullmatch(value):
            raise PydanticCustomError(
                "folder", "{value} is no folder; write it like /opt/sge", {"value": repr(value)}
            )  # fmt: skip
        return value


class GridengineSite(BatchSite):
    """One cluster."""

    Config = GridengineConfig
    asks_with: ClassVar[dict[str, str]] = {"TZ": "UTC"}  # the times of qstat are the asker's

    async def _qstat(self, *arguments: str) -> str:
        """What ``qstat -xml`` prints; an error of any kind, also one that is only said, is none of it.

        Raises:
            SiteDown: it failed.
        """
        code, out, err = await self.ask("qstat", "-xml", *arguments)
        if code or "error" in err.lower():
            raise SiteDown(" ".join((err or out).split())[:500] or f"qstat ended with {code}")
        return out

    async def ask_queue(self, own: Collection[str]) -> Queue:
        """``qstat`` for all, and once more for why our own wait."""
        out = await self._qstat("-r", "-u", "*")
        try:
            found = await asyncio.to_thread(gridengine_text.queue, out, own)
        except NotRead as error:
            raise SiteDown(f"qstat's answer was not understood: {error}") from error
        waiting = [number for number, job in found.jobs.items() if job.stage is Stage.WAITING]
        return gridengine_text.with_reasons(found, await self._reasons(waiting[:ASKED])) if waiting else found

    async def _reasons(self, numbers: list[str]) -> dict[str, list[str]]:
        try:
            return gridengine_text.messages(await self._qstat("-j", ",".join(numbers)))
        except (SiteDown, NotRead):
            return {}  # that they wait is known

    async def ask_nodes(self) -> list[Node]:
        """``qstat -f``, an entry for each queue and computer."""
        memory, gpu = self.config.memory_resource, self.config.gpu_resource
        out = await self._qstat("-f", "-F", ",".join(dict.fromkeys(["mem_free", "h_rt", gpu, *filter(None, [memory])])))
        try:
            return gridengine_text.nodes(out, memory, gpu)
        except NotRead as error:
            raise SiteDown(f"qstat's answer was not understood: {error}") from error

    async def ask_end(self, number: str, user: str) -> tuple[Stage, str, int, bool]:
        """``qstat -j``, which knows a job until its end, then ``qacct``, where there is one, for how that was."""
        try:
            found = gridengine_text.detail(await self._qstat("-j", number), number)
        except NotRead as error:
            raise SiteDown(f"qstat's answer was not understood: {error}") from error
        if found is None:
            return await self._accounted(number, user)
        owner, said = found
        if owner != user:
            raise SiteDown(f"job {number} is not {user}'s any more: {owner}")
        if said:
            return Stage.ENDED, f"The batch system could not begin it: {said[:200]}", 1, False
        return Stage.RUNNING, "", 0, False

    async def _accounted(self, number: str, user: str) -> tuple[Stage, str, int, bool]:
        found = {}
        with contextlib.suppress(SiteDown):  # it reads a file, which may be long, or not there: the master has answered
            code, out, _ = await self.ask("qacct", "-j", number)
            found = {} if code else gridengine_text.record(out, user)
        if not found:
            raise Gone(number)
        return (Stage.ENDED, *gridengine_text.why_ended(found))

    def end_of(self, job: Job) -> tuple[str, int, bool]:
        """Only one in error is shown as ended."""
        return "The batch system could not begin it.", 1, False

    async def ask_id(self, job: str, user: str) -> str:
        """``qstat`` for one user's jobs."""
        numbers = [number for number, name, owner in await self._names(user) if (name, owner) == (job, user)]
        return max(numbers, key=int, default="")

    async def ask_names(self) -> list[tuple[str, str]]:
        """``qstat``, which lists what is no more than waiting or running."""
        return [(name, owner) for _, name, owner in await self._names("*")]

    async def _names(self, user: str) -> list[tuple[str, str, str]]:
        try:
            found = await asyncio.to_thread(gridengine_text.names, await self._qstat("-u", user))
        except NotRead as error:
            raise SiteDown(f"qstat's answer was not understood: {error}") from error
        return [one for one in found if one[0].isdecimal()]

    async def why_hidden(self) -> str:
        """Grid Engine shows all jobs to everybody whose computer may ask."""
        return ""

    def problems(self, hub: JupyterHub) -> list[str]:
        """Also settings of batchspawner's that would have no effect."""
        return [*refused_traits(hub.config, self.child_class(), REFUSED), *super().problems(hub)]

    def why_refused(self, text: str) -> str:
        """What ``qsub`` said, for people."""
        return gridengine_text.why_refused(text)

    def why_waiting(self, reason: str) -> str:
        """The scheduler's reason, for people."""
        return gridengine_text.why_waiting(reason)

    def child_class(self) -> type[SiteMixin]:
        """Servers of this cluster."""
        return type(f"Site_{self.name}", (GridengineServer,), {"site": self})


AT_SITE = "write {} at the site in compute.yaml, and make the launcher anew."
AT_PROFILE = "write {} at the profile in compute.yaml."
NO_ENVIRONMENT = "the job has nothing of the Hub's environment. Write c.Spawner.environment."
REFUSED = {
    "batch_script": "the job's script is made of the profile. Lines of your own: prologue, epilogue and directives.",
    "exec_prefix": "the launcher is what the Hub may run as others. Make it: beamhub launcher.",
    "batch_submit_cmd": "name the folder of Grid Engine's commands (commands) at the site in compute.yaml.",
    "batch_query_cmd": "the queue is asked for once for all servers. Leave it out.",
    "batch_cancel_cmd": "name the folder of Grid Engine's commands (commands) at the site in compute.yaml.",
    "batchspawner_singleuser_cmd": "nothing has to be installed on the nodes for it. Leave it out.",
    "req_host": AT_SITE.format("sge_root and sge_cell"),
    "req_keepvars": NO_ENVIRONMENT,
    "req_keepvars_extra": NO_ENVIRONMENT,
    "req_memory": AT_PROFILE.format("memory") + " What it is asked for by: memory_resource at the site.",
    "req_ngpus": AT_PROFILE.format("gpus") + " What they are called: gpu_resource at the site.",
    "req_nprocs": AT_PROFILE.format("cores"),
    "req_options": AT_SITE.format("directives"),
    "req_partition": AT_SITE.format("partitions"),
    "req_runtime": AT_PROFILE.format("walltime"),
    "startup_poll_interval": "a server says itself that it is up. Leave it out.",
    "ip": "a server listens at its node's addresses. Leave it out.",
    "port": "write ports at the site in compute.yaml.",
}
HONOURED = ("req_account", "req_epilogue", "req_prologue", "req_queue")  # where the site in compute.yaml says nothing


class GridengineServer(BatchServer, batchspawner.GridengineSpawner):  # type: ignore[misc]
    """One server on a cluster; of GridengineSpawner only the traits are used."""

    site: ClassVar[GridengineSite]

    def get_env(self) -> dict[str, Any]:
        """Without what GridengineSpawner adds of the Hub's own environment; a job has its own."""
        env: dict[str, Any] = super(batchspawner.GridengineSpawner, self).get_env()
        return env

    def asks(self, launch: Launch) -> dict[str, Any]:
        """With what only Grid Engine knows."""
        queues = self.req_queue.split(",") if self.req_queue else []
        parents = {"account": self.req_account, "partitions": queues}
        own = {key: getattr(self.site.config, key) for key in OWN}
        given = [{key: value for key, value in one.items() if value} for one in (parents, own, super().asks(launch))]
        return {**given[0], **given[1], **given[2]}
