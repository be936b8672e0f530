"""When the maintenance is for which a job waits: Slurm's reservations of the kind MAINT. Pure functions."""

import re
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import islice, product
from math import prod

from beamhub.spawner.sites.queue import Job, Stage

QUESTION = ("-o", "show", "reservation")
SAID = re.compile(r"ReqNodeNotAvail,[ _]Reserved[ _]for[ _]maintenance")
NOT_AVAILABLE = re.compile(r"ReqNodeNotAvail\b.*")  # may be for a maintenance that took the nodes down, too
RESERVATION = re.compile(
    r"^ReservationName=\S+ StartTime=(\d{1,11}) EndTime=(\S+) Duration=\S+ Nodes=(\S+) .*? ?\bFlags=(\S*)",
    re.MULTILINE,
)
ENDLESS = 365 * 86400.0  # seconds; as long is what has no end
MOST = 20_000  # nodes of one reservation
LONGEST = 255  # letters of a node's name
FIRST = 100  # reservations for maintenance that are looked at


@dataclass(frozen=True)
class Maintenance:
    """Nodes of which jobs keep away for a while; seconds since 1970, ``end`` is None where it is not known."""

    begin: float
    end: float | None
    nodes: frozenset[str]


def waits(job: Job) -> bool:
    """Whether a job waits for what a maintenance can be the reason of."""
    return job.stage is Stage.WAITING and bool(NOT_AVAILABLE.fullmatch(job.reason.strip("()")))


def maintenances(text: str) -> list[Maintenance]:
    """What ``scontrol`` answered to the ``QUESTION``; other reservations, and lines that are none, are left out.

    >>> maintenances("ReservationName=x StartTime=60 EndTime=90 Duration=00:00:30 Nodes=n1 NodeCnt=1 Flags=MAINT,DAILY")
    [Maintenance(begin=60.0, end=90.0, nodes=frozenset({'n1'}))]
    """
    found: list[Maintenance] = []
    for begin, end, names, flags in RESERVATION.findall(text):
        if len(found) < FIRST and "MAINT" in flags.split(",") and (where := nodes(names)):
            known = bool(re.fullmatch(r"\d{1,11}", end)) and float(begin) < float(end) < float(begin) + ENDLESS
            found.append(Maintenance(float(begin), float(end) if known else None, where))
    return found


def nodes(text: str) -> frozenset[str]:
    """The names that Slurm writes as one; of too many only the first are taken.

    >>> sorted(nodes("n[08-10],gpu1,(null)"))
    ['gpu1', 'n08', 'n09', 'n10']
    """
    found: set[str] = set()
    for one in re.findall(r"(?:[^,\[\]()]|\[[^\[\]]*\])+", text.replace("(null)", "")):
        parts = re.split(r"\[([^\]]*)\]", one, maxsplit=4)
        if sum(len(part) for part in parts[::2]) > LONGEST:
            continue
        choices = [list(islice(_numbers(part), MOST)) if place % 2 else [part] for place, part in enumerate(parts)]
        if len(found) + prod(len(part) for part in choices) > MOST:
            break
        found.update("".join(name) for name in product(*choices))
    return frozenset(found)


def why(known: Collection[Maintenance], job: Job, names: Collection[str], now: float) -> str:
    """Why a job waits, with the times of the maintenance, for people, by the clock of the Hub's place.

    It is the one that takes most of the nodes on which the job may run, so that of a single broken node is not taken
    for that of the cluster; of those as large the one that begins first. One that begins after the job is going to
    start by Slurm's plan is none. Where Slurm does not say that it is for maintenance, only one that takes all the
    nodes counts: under way, or over before the job starts by that plan.

    Args:
        known: all that Slurm has.
        job: one that ``waits``.
        names: the nodes on which it may run; none where they are not known.
        now: seconds since 1970.

    Returns:
        "" where none of them can be the reason.
    """
    mine = frozenset(names)
    planned = job.start if job.start is not None and job.start > now else None  # else it is an old plan
    fit = [one for one in known if (one.end is None or one.end > now) and (planned is None or one.begin < planned)]
    if SAID.fullmatch(job.reason.strip("()")):
        fit = [one for one in fit if not mine or mine & one.nodes]
    else:
        fit = [one for one in fit if mine and mine <= one.nodes and (one.begin <= now or planned is not None)]
    if not fit:
        return ""
    return _in_words(min(fit, key=lambda one: (-len(mine & one.nodes), one.begin)), now)


def _in_words(one: Maintenance, now: float) -> str:
    to = f" until {_zoned(one.end, now)}" if one.end is not None else ", its end is not known yet"
    if one.begin <= now:
        return f"maintenance{to}: it starts after that"
    if one.end is not None and _day(one.begin) == _day(one.end):
        times = f"from {_clock(one.begin)} to {_zoned(one.end, now)}"
    elif one.end is not None:
        begin = (_moment if _zone(one.begin) == _zone(one.end) else _zoned)(one.begin, now)
        times = f"from {begin} to {_zoned(one.end, now)}"
    else:
        times = f"from {_zoned(one.begin, now)}{to}"
    return f"maintenance {times}: it starts after that, or sooner if you stop it and choose less time"


def _zoned(at: float, now: float) -> str:
    return f"{_moment(at, now)} ({_zone(at)})"


def _zone(at: float) -> str:
    """The name of the zone of the Hub's computer, which may be another than the reader's."""
    return time.strftime("%Z", time.localtime(at))


def _moment(at: float, now: float) -> str:
    return _clock(at) if _day(at) == _day(now) else f"{_clock(at)} on {_day(at)}"


def _clock(at: float) -> str:
    return time.strftime("%H:%M", time.localtime(at))


def _day(at: float) -> str:
    day = time.localtime(at)
    return f"{time.strftime('%a', day)} {day.tm_mday} {time.strftime('%b', day)}"


def _numbers(text: str) -> Iterator[str]:
    for low, high in re.findall(r"(?:^|,)(\d{1,9})(?:-(\d{1,9}))?(?=,|$)", text):
        for number in range(int(low), min(int(high or low), int(low) + MOST) + 1):
            yield f"{number:0{len(low)}d}"
