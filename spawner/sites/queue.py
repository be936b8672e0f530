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


def fits(nodes: list[Node], partitions: tuple[str, ...], cores: int, memory_mb: int, gpus: int) -> bool:
    """Whether a job of this size could start now on one of the nodes; without partitions, of the default one."""
    return any(
        node.up and node.cores >= cores and node.memory_mb >= memory_mb and node.gpus >= gpus
        for node in nodes
        if (node.partition in partitions if partitions else node.default)
    )
