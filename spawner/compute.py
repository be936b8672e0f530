"""compute.yaml in force: its catalogue, its sites, and what happens when the file changes."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from functools import cache
from hashlib import sha256
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from beamhub.config.document import Document, read
from beamhub.config.mistakes import Mistakes
from beamhub.config.watch import watch
from beamhub.spawner.catalogue import Catalogue
from beamhub.spawner.sites.site import Estimate, HubSettings, Site, SiteMixin

GROUP = "beamhub.sites"
log = logging.getLogger("beamhub.spawner")


def hub_name(path: Path) -> str:
    """The Hub's name in the names of its jobs: the same after each restart, another for another compute.yaml."""
    return sha256(str(path.resolve()).encode()).hexdigest()[:8]


class Compute:
    """All sites and the catalogue of one Hub.

    A site that was taken out of the file stays in ``sites``, for its servers live on, but takes no new ones.
    """

    def __init__(self, document: Document[Catalogue], hub: str = "") -> None:
        if hub and not re.fullmatch(r"[a-z0-9]{1,16}", hub):
            raise ValueError(f"the Hub's name {hub!r} should be 1 to 16 of a-z and 0-9: it is part of job names")
        self.path = document.path
        self.settings = HubSettings(hub or hub_name(document.path), document.path.resolve().parent)
        self.sites: dict[str, Site] = {}
        self.mistakes: Mistakes | None = None
        self._classes: dict[str, type[SiteMixin]] = {}
        self._tasks: set[asyncio.Future[Any]] = set()
        self.take(document)

    @classmethod
    def read(cls, path: Path, hub: str = "") -> "Compute":
        """Read the file.

        Raises:
            Mistakes: everything that is wrong with it.
        """
        return cls(read(path, Catalogue), hub)

    def take(self, document: Document[Catalogue]) -> None:
        """Put a catalogue in force; sites that are new in it are made."""
        self.catalogue = document.value
        self._text = document.text
        self.mistakes = None
        for name, config in self.catalogue.sites.items():
            known = self.sites.get(name)
            kind = kind_of(config.kind)
            if known is not None and type(known) is kind:
                known.adopt(config, self.catalogue)
            else:
                self.sites[name] = kind(name, config, self.catalogue, self.settings)
                self._classes.pop(name, None)

    def refuse(self, mistakes: Mistakes) -> None:
        """A change that is wrong: what was in force stays, and the mistakes are said."""
        self.mistakes = mistakes
        log.error("%s was changed and is wrong; what it said before stays in force:\n%s", self.path, mistakes)

    async def watch(self, interval: float = 2.0) -> None:
        """Follow the file until cancelled."""
        await watch(self.path, Catalogue, self._changed, self.refuse, interval, self._text)

    def _changed(self, document: Document[Catalogue]) -> None:
        self.take(document)
        log.info("%s was changed and is in force", self.path)

    def estimates(self) -> dict[str, Estimate]:
        """When a small server would start at each site that takes new ones."""
        return {name: self.sites[name].estimate(None) for name in self.catalogue.sites}

    def title(self, site: str) -> str:
        """What people call a site."""
        return self.sites[site].config.title or site

    def keep(self, task: "asyncio.Future[Any]") -> None:
        """Hold on to a task until it is done: the loop itself does not."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def child_class(self, site: str) -> type[SiteMixin]:
        """The class of a site's servers, one for all of them."""
        if site not in self._classes:
            self._classes[site] = self.sites[site].child_class()
        return self._classes[site]


def kind_of(kind: str) -> type[Site]:
    """The class of a kind of sites, by its entry point.

    Raises:
        LookupError: no such kind is installed.
    """
    for point in entry_points(group=GROUP, name=kind):
        found: type[Site] = point.load()
        return found
    raise LookupError(f"no kind of sites {kind!r} is installed")


@cache
def listens_of(kind: str) -> Callable[[dict[str, Any], str, int], Awaitable[bool | None]]:
    """``Site.listens`` of a kind; of one that is not installed any more, or broken, that of all, which believes."""
    try:
        return kind_of(kind).listens
    except Exception as error:
        log.error("Whose server answers cannot be known, it is believed: sites of kind %r: %s", kind, error)
        return Site.listens
