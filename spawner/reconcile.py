"""Jobs and servers are brought together again: what runs at a site and belongs to no server is ended."""

import asyncio
import json
import logging
from collections.abc import Callable

from jupyterhub import orm
from jupyterhub.app import JupyterHub
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from tornado.web import HTTPError

from beamhub.spawner.hublines import application
from beamhub.spawner.sites.site import Site
from beamhub.spawner.state import job_of

log = logging.getLogger("beamhub.spawner")
NAMED = text("SELECT state FROM spawners WHERE state LIKE '%\"job\"%'")  # as text: most servers do not run
HALF_STOPPED = text(
    "SELECT id FROM spawners WHERE server_id IS NULL AND (state LIKE '%\"job\"%' OR state LIKE '%\"token_id\"%')"
)
EVERY = 60.0  # seconds
SECOND_LOOK = 5.0  # seconds after which what seems lost is looked at again


def known_jobs() -> set[str] | None:
    """The jobs that the Hub's database names; None while it cannot be read."""
    hub = application()
    if hub is None or getattr(hub, "db", None) is None:
        return None
    try:
        rows = hub.db.execute(NAMED)
        return {job_of(json.loads(state)) for (state,) in rows} - {""}
    except SQLAlchemyError as error:
        log.warning("The Hub's database cannot be read, no job is ended meanwhile: %s", error)
        return None


async def finish_stops(hub: JupyterHub) -> None:
    """At the Hub's start: finish the stops during which it was killed, and that its database calls done."""
    while getattr(hub, "tornado_application", None) is None:  # noqa: ASYNC110 - the Hub tells nobody
        await asyncio.sleep(0.01)
    for (number,) in hub.db.execute(HALF_STOPPED).all():
        found = hub.db.get(orm.Spawner, number)
        spawner = hub.users[found.user].spawners[found.name]
        try:
            if not spawner.active:
                await spawner.finish_stop()
        except HTTPError as error:
            log.error("%s of %s: %s", found.name or "The server", found.user.name, error.log_message)


async def orphans(site: Site, known: Callable[[], set[str] | None]) -> set[str]:
    """Jobs at a site that no server knows of.

    The jobs are listed first: each one's name was committed before it was submitted, so one that is there and is not
    named by what is read afterwards belongs to nobody.
    """
    there = await site.jobs()
    named = known() if there else None
    return set() if named is None else there - named


async def keep_clean(site: Site, known: Callable[[], set[str] | None] = known_jobs, every: float = EVERY) -> None:
    """End what belongs to nobody, when it was seen twice; runs until cancelled, also in a Hub without users."""
    before: set[str] = set()
    while True:
        try:
            found = await orphans(site, known)
            for job in found & before:
                log.warning("%s at %s belongs to no server and is ended", job, site.config.title)
                await site.remove(job)
            before = found
        except Exception:  # this loop has to outlive whatever one site does
            log.exception("Looking for lost jobs at %s failed; it is tried again", site.name)
        await asyncio.sleep(min(every, SECOND_LOOK) if before else every)
