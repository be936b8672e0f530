"""A site: a place where servers run, and what each kind of it can do."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from traitlets import Unicode
from traitlets.config import LoggingConfigurable

if TYPE_CHECKING:
    from jupyterhub.app import JupyterHub
    from traitlets.config import Config

    from beamhub.spawner.catalogue import Catalogue, SiteConfig
    from beamhub.spawner.plan import SpawnPlan

log = logging.getLogger("beamhub.spawner")


class Truth(Enum):
    """What is known of a job. Only evidence makes it DEAD; UNKNOWN never ends a server."""

    ALIVE = "alive"
    DEAD = "dead"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Estimate:
    """When a plan would start: ``low_s`` to ``high_s`` seconds from now where ``kind`` is "about".

    ``message`` is for people, ``source`` says where the figure comes from, ``age_s`` how old it is.
    """

    kind: Literal["now", "about", "unknown", "down"]
    low_s: float = 0.0
    high_s: float = 0.0
    source: str = ""
    message: str = ""
    age_s: float = 0.0


@dataclass(frozen=True)
class HubSettings:
    """What a site knows of the Hub: its name in job names, and the folder of compute.yaml."""

    hub: str
    folder: Path


@dataclass(frozen=True)
class Launch:
    """What is carried to a site to start one server there; token and secret never leave their files.

    ``ends_at`` is seconds since 1970, None without a limit, and where the time begins only when the site begins it.
    """

    job: str
    plan: SpawnPlan
    command: tuple[str, ...]
    environment: dict[str, str] = field(repr=False)
    announce_url: str
    token: str = field(repr=False)
    secret: str = field(repr=False)
    ends_at: float | None


class Site(ABC):
    """One site of compute.yaml; made once, outlives changes of the file (``adopt``)."""

    Config: ClassVar[type[Any]]
    interval: ClassVar[float] = 10.0  # seconds between snapshots; 6 a minute whatever the number of servers
    begins_at_once: ClassVar[bool] = True  # and a server's time with it; else the site says when that ends
    only_looks: bool = False  # whatever a look shows, it ends nothing: this process is not the Hub

    def __init__(self, name: str, config: Any, catalogue: Catalogue, settings: HubSettings) -> None:
        self.name, self.config, self.catalogue, self.settings = name, config, catalogue, settings
        self.on_change: dict[str, Callable[[], None]] = {}

    def adopt(self, config: SiteConfig, catalogue: Catalogue) -> None:
        """Take what the changed file says; jobs that run are not touched."""
        self.config, self.catalogue = config, catalogue

    def listen(self, job: str, callback: Callable[[], None]) -> None:
        """Call back, in the Hub's loop, when the truth about a job changed."""
        self.on_change[job] = callback

    def tell(self, job: str) -> None:
        """The truth about a job changed: call whoever listens."""
        if callback := self.on_change.get(job):
            try:
                callback()
            except Exception:  # of one server; the others are to be told, too
                log.exception("What became of %s could not be written down", job)

    def problems(self, hub: JupyterHub) -> list[str]:
        """What in the Hub's configuration this site cannot work with, as sentences; they end the Hub's start."""
        return []

    async def run(self) -> None:
        """Keep the snapshot fresh until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(self.interval)

    async def look(self) -> None:
        """A snapshot; where it fails that is logged, since all servers of the site rest on whoever looks again."""
        try:
            await self.snapshot()
        except Exception:
            log.exception("Looking at the servers of %s failed; it is tried again", self.name)

    @staticmethod
    async def listens(state: dict[str, Any], address: str, port: int) -> bool | None:
        """What ``SiteMixin.listens`` says, of the server that has this state; its site need not be there.

        A kind of sites that cannot know says that it is.
        """
        return True

    @abstractmethod
    async def snapshot(self) -> None:
        """Ask once for everything; never raises for a site that does not answer."""

    @abstractmethod
    def estimate(self, plan: SpawnPlan | None) -> Estimate:
        """When this plan would start here; None asks for a small one."""

    @abstractmethod
    def child_class(self) -> type[SiteMixin]:
        """The class of this site's servers, named ``Site_<name>``."""

    @abstractmethod
    async def jobs(self) -> set[str]:
        """Names of this Hub's jobs that are there, also such that no server knows of."""

    def unseen(self) -> str:
        """Why not all of this Hub's jobs could be seen at the last look, "" where they could."""
        return ""

    async def about(self, job: str) -> dict[str, float | None]:
        """Whose a job is that ``jobs`` named, and since when it runs, seconds since 1970; None while it waits.

        Several can have one of that name; "" is an account that all share.
        """
        return {"": None}

    @abstractmethod
    async def remove(self, job: str, owner: str | None = None) -> bool:
        """End a job that no server knows of, and what it left; whether that was done.

        Args:
            job: its name.
            owner: whose it is, as ``about`` says; without, everybody's of that name.
        """


class SiteMixin(LoggingConfigurable):
    """One server at a site; only a ``HybridSpawner`` talks to it, never the Hub."""

    site: ClassVar[Site]
    job = Unicode(help="unique name of this start: bh-<hub>-<spawner id>-<nonce>")
    if TYPE_CHECKING:  # of the Spawner class that a site's class also has as its parent
        cmd: list[str]
        env_keep: list[str]
        environment: dict[str, Any]
        user: Any

        def get_args(self) -> list[str]: ...
        def get_env(self) -> dict[str, Any]: ...

    @property
    def server(self) -> Any:
        """The Hub's one record of this server, which is the parent's."""
        return self.parent.server  # type: ignore[union-attr]

    @server.setter
    def server(self, value: Any) -> None:
        self.parent.server = value  # type: ignore[union-attr]

    @classmethod
    def site_config(cls, hub: Config) -> SiteConfig:
        """What compute.yaml says of the site; a kind may take from the Hub's configuration what it does not say."""
        found: SiteConfig = cls.site.config
        return found

    async def submit(self, launch: Launch) -> None:
        """Ask the site to run it.

        Raises:
            CannotLaunch: nothing was submitted; says what is in the way.
        """
        raise NotImplementedError

    def truth(self) -> Truth:
        """What the site's snapshot knows; asks nobody."""
        raise NotImplementedError

    def exit_code(self) -> int:
        """The code of a dead job, 1 where it is not known."""
        raise NotImplementedError

    def end_in_words(self, lines: str) -> str:
        """How a dead job ended, as a sentence for people; "" where its code says all that is known.

        Args:
            lines: the last ones of its log, where a batch system may have said more than in its queue.
        """
        return ""

    def time_was_over(self) -> bool:
        """Whether the site ended the job because its time was over; whoever ends it knows, no clock tells."""
        raise NotImplementedError

    def began(self) -> bool:
        """Whether the job has begun, where it first waits; from then on ``start_timeout`` counts."""
        return False

    def away(self) -> bool:
        """Whether the site does not answer; that time is not the start's."""
        return False

    def waiting(self) -> str:
        """What keeps the job from having begun, as a sentence for people; "" where there is nothing to say."""
        return ""

    def ends_at(self) -> float | None:
        """When the site is going to end the job, seconds since 1970; None where it does not say (yet)."""
        return None

    def told(self, listening: bool, ended: int | None) -> None:
        """What the job says itself of its server: that it listens at its port, or with which code it ended."""

    async def end(self, *, now: bool = False) -> None:
        """End the job and everything it started; nothing happens when there is none."""
        raise NotImplementedError

    async def clear(self) -> None:
        """Remove what an ended job left, its token's file first of all."""
        raise NotImplementedError

    async def last_lines(self, count: int = 15) -> str:
        """The end of the server's log, "" where it cannot be read."""
        raise NotImplementedError

    def may_be_at(self, address: str, port: int) -> bool:
        """Whether a server of this site can have this address."""
        raise NotImplementedError

    async def listens(self, address: str, port: int) -> bool | None:
        """Whether what listens there is this server's: False when it is somebody else's, None when nothing listens."""
        return await self.site.listens(self.get_state(), address, port)

    def get_state(self) -> dict[str, Any]:
        """What finds the job again after a restart of the Hub."""
        raise NotImplementedError

    def load_state(self, state: dict[str, Any]) -> None:
        """The opposite of ``get_state``; an empty one is that of a job that may have been submitted."""
        raise NotImplementedError
