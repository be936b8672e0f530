"""What a batch system said of its jobs and nodes at one moment, and what follows from it; pure, asks nobody."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class Stage(Enum):
    """Where a job is. Only a state that was read makes it ENDED; a word that nobody knows is OTHER."""

    WAITING = "waiting"
    RUNNING = "running"
    ENDING = "ending"
    ENDED = "ended"
    OTHER = "other"


@dataclass(frozen=True)
class Job:
    """One job as the queue shows it. Times are seconds since 1970; ``start`` of one that waits is an estimate.

    ``state`` and ``reason`` are the batch system's own words.
    """

    id: str
    stage: Stage
    state: str
    user: str = ""
    partitions: tuple[str, ...] = ()
    start: float | None = None
    end: float | None = None
    priority: int = 0
    node: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Queue:
    """The jobs that were asked about, by id; of each partition the priorities of all that wait, the lowest first."""

    jobs: Mapping[str, Job]
    waiting: Mapping[str, list[int]] = field(default_factory=dict)

    def before(self, job: Job) -> int:
        """How many waiting jobs come before this one, in the partition where they are fewest."""
        counts = [
            len(self.waiting[name]) - bisect_right(self.waiting[name], job.priority)
            for name in job.partitions
            if name in self.waiting
        ]
        return min(counts, default=0)


@dataclass(frozen=True)
class Node:
    """One node of a partition, and what is free on it; ``memory_mb`` and ``gpus`` too. ``up``: it takes jobs."""

    name: str
    partition: str
    up: bool
    cores: int
    memory_mb: int
    gpus: int = 0
    longest_s: float | None = None
    default: bool = False


@dataclass
class Known:
    """What is known of one start's job. Times are moments of ``moments.now``.

    ``missing`` is how often in a row it was not listed and not known when it was asked for by its id, ``asked`` when
    that was; ``sought`` since when it is looked for by its name, in vain; ``listening`` is what the job said of its
    server.
    """

    user: str
    id: str = ""
    since: float = 0.0
    job: Job | None = None
    ran: bool = False
    missing: int = 0
    asked: float = float("-inf")
    sought: float | None = None
    dead: bool = False
    code: int = 1
    said: str = ""
    over: bool = False
    listening: bool = False


class Verdict(Enum):
    """What one look at the queue says of one job."""

    THERE = "there"
    ENDED = "ended"
    BACK = "back"  # it ran, and waits again: what ran is no more
    MISSING = "missing"  # not listed, while others are: to be asked for by its id
    VANISHED = "vanished"  # not listed, like most others: to be believed when its end is read, or its time is long over
    UNKNOWN = "unknown"


MOST = 3  # jobs that must be missing at once, and more than half of all, before a queue is not believed


def judge(known: Mapping[str, Known], queue: Queue, asked: float, visible: bool) -> dict[str, Verdict]:
    """What a queue says of each job that is known by its id and not dead yet.

    Args:
        known: by name.
        queue: what was answered.
        asked: the moment at which it was asked for; a job that was submitted later cannot be in it.
        visible: whether the asker may see all jobs.
    """
    alive = {name: one for name, one in known.items() if one.id and not one.dead}
    found = {name: _verdict(one, queue.jobs.get(one.id)) for name, one in alive.items()}
    older = [name for name in found if alive[name].since < asked]
    missing = [name for name in older if found[name] is Verdict.MISSING]
    vanished = len(missing) >= MOST and len(missing) > len(older) / 2
    for name in found:
        if found[name] is Verdict.MISSING:
            if name not in missing or not visible:
                found[name] = Verdict.UNKNOWN
            elif vanished:
                found[name] = Verdict.VANISHED
    return found


def _verdict(one: Known, job: Job | None) -> Verdict:
    if job is None:
        return Verdict.MISSING
    if job.user and job.user != one.user:
        return Verdict.UNKNOWN  # of somebody else: the numbers began anew, or another cluster answers
    if job.stage is Stage.ENDED:
        return Verdict.ENDED
    if job.stage is Stage.OTHER:
        return Verdict.UNKNOWN
    return Verdict.BACK if one.ran and job.stage is Stage.WAITING else Verdict.THERE


def fits(nodes: list[Node], partitions: tuple[str, ...], cores: int, memory_mb: int, gpus: int) -> bool:
    """Whether a job of this size could start now on one of the nodes; without partitions, of the default one."""
    return any(
        node.up and node.cores >= cores and node.memory_mb >= memory_mb and node.gpus >= gpus
        for node in nodes
        if (node.partition in partitions if partitions else node.default)
    )
