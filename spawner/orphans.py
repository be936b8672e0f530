"""Jobs that no server has, and servers whose job is gone; looked for from outside of the Hub, whether it runs or not.

What belongs to nobody is decided as the Hub itself does it, and so is that a job has ended.
"""

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

from traitlets.config import LoggingConfigurable

from beamhub.spawner import reconcile
from beamhub.spawner.compute import Compute
from beamhub.spawner.database import UNREAD, Recorded, Records
from beamhub.spawner.sites.site import Site, SiteMixin, Truth
from beamhub.spawner.state import Phase

LOOKS = 3  # at the queue: a job has to be absent more than once
PAUSE = 1.0  # seconds between them
AT_ONCE = 20  # jobs that are asked for by their ids after one look
BEFORE = (Phase.INTENDED, Phase.SUBMITTED)  # in these the job may not be known yet
NO_SERVER = "no server of the Hub has it"
NOT_OURS = "its owner, or its server, is not in this database: is it the right one? Cancel the job by hand"
REMOVED = "removed"
OVER = "left alone: it is not listed any more, or a server has it now"
STAYS = "it could not be removed"
NUMBER = re.compile(r"bh-[a-z0-9]+-([0-9]+)-[0-9a-f]+")  # of the server that a job is for


@dataclass(frozen=True)
class Orphan:
    """A job that no server has (``server`` None), or a server whose job is gone; ``since`` is seconds since 1970."""

    site: str
    job: str
    user: str
    why: str
    server: str | None = None
    since: float | None = None


@dataclass
class Found:
    """What was found: jobs, servers, and what could not be known, with the reason.

    ``foreign`` are jobs that are named like this Hub's and of nobody whom it knows; ``there`` are those that servers
    name.
    """

    jobs: list[Orphan] = field(default_factory=list)
    servers: list[Orphan] = field(default_factory=list)
    unknown: list[Orphan] = field(default_factory=list)
    foreign: list[Orphan] = field(default_factory=list)
    there: set[str] = field(default_factory=set, compare=False)


class _Recalled(LoggingConfigurable):
    """In the place of the Hub's own object of a server; it has no end, so that nothing is ended when it is over."""

    ends_at = None


async def find(compute: Compute, read: Callable[[], Records]) -> Found:
    """Look at all sites.

    Args:
        compute: the Hub's sites.
        read: reads the Hub's database anew.
    """
    records = read()
    recorded = records.servers
    for site in compute.sites.values():
        site.only_looks = True
    asked = [_at(compute, name, [one for one in recorded if one.start.site == name], read) for name in compute.sites]
    lost = [one for one in recorded if one.start.site not in compute.sites]
    found = Found(unknown=[_server(one, f"its site is not in {compute.path.name}") for one in lost])
    found.unknown += [Orphan("", one.job, one.user, one.why, one.server, one.since) for one in records.unread]
    for here in await asyncio.gather(*asked):
        listed = {(one.job, one.user) for one in (*found.jobs, *found.foreign)}  # by another site of the same system
        found.jobs += [one for one in here.jobs if (one.job, one.user) not in listed]
        found.foreign += [one for one in here.foreign if (one.job, one.user) not in listed]
        found.servers += here.servers
        found.unknown += here.unknown
        found.there |= here.there
    return found


async def _at(compute: Compute, name: str, recorded: Sequence[Recorded], read: Callable[[], Records]) -> Found:
    """What is found at one site."""
    site, found = compute.sites[name], Found()
    servers = []
    for one in recorded:
        try:
            servers.append((one, _child(compute, one)))
        except UNREAD as error:
            found.unknown.append(_server(one, f"its state cannot be read, is it a later version's? {error!r}"))
    for look in range(LOOKS + 2 * (len(servers) // AT_ONCE)):
        await asyncio.sleep(PAUSE if look and servers else 0)
        await site.snapshot()
        if reason := site.unseen():
            return Found(unknown=[*found.unknown, Orphan(name, "", "", reason)])
    await _jobs(site, read, found)
    there = await site.jobs()
    named = read().jobs()  # a stop that came to its end meanwhile named it before
    found.there = there & named
    for one, child in servers:
        if one.start.job in named and one.start.job not in there:
            _judge(one, child, found)
    return found


async def _jobs(site: Site, read: Callable[[], Records], found: Found) -> None:
    """Jobs that no server names, those of each who has one of that name."""
    records = Records()

    def known() -> set[str]:
        nonlocal records
        records = read()
        return records.jobs()

    for job in sorted(await reconcile.orphans(site, known)):
        for user, since in (await site.about(job)).items():
            if user in records.users or (not user and _had(records, job)):
                found.jobs.append(Orphan(site.name, job, user, NO_SERVER, None, since))
            else:
                found.foreign.append(Orphan(site.name, job, user, NOT_OURS, None, since))


def _had(records: Records, job: str) -> bool:
    """Whether the database can have had the server that a job was made for: numbers count up."""
    number = NUMBER.fullmatch(job)
    return number is not None and 0 < int(number[1]) <= records.last


def _judge(one: Recorded, child: SiteMixin, found: Found) -> None:
    """A server whose job is not listed."""
    truth = child.truth()
    if truth is Truth.DEAD:
        found.servers.append(_server(one, child.end_in_words("") or "it ended"))
    elif truth is Truth.UNKNOWN and one.start.phase in BEFORE and not child.get_state().get("id"):
        if one.start.give_up_at < time.time():  # else it may be submitted at any moment
            found.servers.append(_server(one, "its start was given up, and it is nowhere"))
    elif truth is Truth.UNKNOWN:
        found.unknown.append(_server(one, "its job is not shown, which is not enough to say that it ended"))


def _child(compute: Compute, one: Recorded) -> SiteMixin:
    """A server as a Hub that was started anew knows it, but that nothing is done about one that waits again."""
    kind = compute.child_class(one.start.site)
    child = kind(parent=_Recalled(), job=one.start.job)
    child.user = SimpleNamespace(name=one.user)
    child.load_state({**one.start.child, "ran": False})
    return child


def _server(one: Recorded, why: str) -> Orphan:
    return Orphan(one.start.site, one.start.job, one.user, why, one.server, one.since)


async def remove(compute: Compute, found: Found, read: Callable[[], Records]) -> list[Orphan]:
    """End the jobs that no server has, when a second look says so too; what became of each."""
    done = []
    for name, site in compute.sites.items():
        mine = [one for one in found.jobs if one.site == name]
        if not mine:
            continue
        await site.snapshot()
        still = await reconcile.orphans(site, lambda: read().jobs())
        for one in mine:
            if reason := site.unseen():
                done.append(replace(one, why=f"{STAYS}: {reason}"))
            elif one.job not in still or one.user not in await site.about(one.job):
                done.append(replace(one, why=OVER))
            else:
                done.append(replace(one, why=REMOVED if await site.remove(one.job, one.user) else STAYS))
    return done
