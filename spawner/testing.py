"""A site that is none, for tests: its jobs are what a test says they are."""

from pathlib import Path
from typing import Any, ClassVar

from beamhub.spawner.catalogue import SiteConfig
from beamhub.spawner.plan import SpawnPlan
from beamhub.spawner.sites.site import Estimate, HubSettings, Launch, Site, SiteMixin, Truth


class FakeSite(Site):
    """Holds each job's truth in ``truths``; ``removed`` are those that were ended as nobody's."""

    Config = SiteConfig

    def __init__(self, name: str = "fake", config: Any = None, catalogue: Any = None, settings: Any = None) -> None:
        super().__init__(
            name,
            config or SiteConfig(kind="fake", title="Fake"),
            catalogue,
            settings or HubSettings("h", Path()),
        )
        self.truths: dict[str, Truth] = {}
        self.launched: list[Launch] = []
        self.removed: list[str] = []
        self.answer = Estimate("now")

    async def snapshot(self) -> None:
        """Nothing is asked."""

    def estimate(self, plan: SpawnPlan | None) -> Estimate:
        """What the test says."""
        return self.answer

    def child_class(self) -> type[SiteMixin]:
        """Servers of this site."""
        return type(f"Site_{self.name}", (FakeServer,), {"site": self})

    async def jobs(self) -> set[str]:
        """Those that are alive."""
        return {job for job, truth in self.truths.items() if truth is Truth.ALIVE}

    async def remove(self, job: str, owner: str | None = None) -> bool:
        """It is dead now."""
        self.removed.append(job)
        self.truths[job] = Truth.DEAD
        return True


class FakeServer(SiteMixin):
    """A server of a fake site; its log is ``log_text``, its code 3, ``own`` what is said of its port."""

    site: ClassVar[FakeSite]
    log_text = ""
    own: bool | None = True

    async def submit(self, launch: Launch) -> None:
        """It lives at once."""
        self.site.launched.append(launch)
        self.site.truths[self.job] = Truth.ALIVE

    def truth(self) -> Truth:
        """What the test says."""
        return self.site.truths.get(self.job, Truth.UNKNOWN)

    def exit_code(self) -> int:
        """Always the same."""
        return 3

    def time_was_over(self) -> bool:
        """It has no end."""
        return False

    async def end(self, *, now: bool = False) -> None:
        """It is dead now."""
        self.site.truths[self.job] = Truth.DEAD

    async def clear(self) -> None:
        """Nothing is left."""

    async def last_lines(self, count: int = 15) -> str:
        """What the test says."""
        return self.log_text

    def may_be_at(self, address: str, port: int) -> bool:
        """Anywhere."""
        return True

    async def listens(self, address: str, port: int) -> bool | None:
        """What the test says."""
        return self.own

    def get_state(self) -> dict[str, Any]:
        """Nothing is needed."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Nothing is needed."""
