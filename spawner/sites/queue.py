"""What a batch system said of its jobs and nodes at one moment; pure, asks nobody."""

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

    ``state`` and ``reason`` are the batch system's own words. ``account`` and ``qos`` are those whose limits count;
    ``why`` says in words for people why it waits, where more is known than the reason.
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
    account: str = ""
    qos: str = ""
    why: str = ""


@dataclass(frozen=True)
class Queue:
    """The jobs that were asked about, by id; of each partition what is known of all that wait.

    ``waiting`` are their priorities, the lowest first; ``planned`` when the batch system thinks that those start which
    could by now, seconds since 1970, the soonest first; those for which it has no plan are infinitely late.
    """

    jobs: Mapping[str, Job]
    waiting: Mapping[str, list[int]] = field(default_factory=dict)
    planned: Mapping[str, list[float]] = field(default_factory=dict)

    def before(self, job: Job) -> int:
        """How many waiting jobs come before this one, in the partition where they are fewest."""
        counts = [
            len(self.waiting[name]) - bisect_right(self.waiting[name], job.priority)
            for name in job.partitions
            if name in self.waiting
        ]
        return min(counts, default=0)

    def expected(self, partitions: tuple[str, ...], now: float) -> tuple[float, float, int] | None:
        """Seconds in which a job that comes after all that wait is going to start, by the plan for those.

        That is from when half of them have started to when all have, in the partition where that is soonest; and of
        how many. None where nobody waits, or not all have a plan.
        """
        plans = [self.planned[name] for name in partitions if self.planned.get(name)]
        found = [(plan[(len(plan) - 1) // 2] - now, plan[-1] - now, len(plan)) for plan in plans]
        low, high, count = min(found, key=lambda one: one[1], default=(0.0, float("inf"), 0))
        return (max(0.0, low), max(0.0, high), count) if high < float("inf") else None


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


def fits(nodes: list[Node], partitions: tuple[str, ...], cores: int, memory_mb: int, gpus: int) -> bool:
    """Whether a job of this size could start now on one of the nodes; without partitions, of the default one."""
    return any(
        node.up and node.cores >= cores and node.memory_mb >= memory_mb and node.gpus >= gpus
        for node in nodes
        if (node.partition in partitions if partitions else node.default)
    )
