"""What is known of the job of each server, and what one look at the queue says of it; pure, asks nobody."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from beamhub.spawner.sites.queue import Job, Queue, Stage


@dataclass
class Known:
    """What is known of one start's job. Times are moments of ``moments.now``.

    ``missing`` is how often in a row it was not listed and not known when it was asked for by its id, ``asked`` when
    that was; ``sought`` since when it is looked for by its name, in vain; ``listening`` is what the job said of its
    server, ``told`` when it said anything in this life of the Hub; ``cores`` and ``gpus`` how large it is, 0 where
    another life of the Hub handed it in; ``cleaned`` whether its files are removed.
    """

    user: str
    id: str = ""
    since: float = 0.0
    cores: int = 0
    gpus: int = 0
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
    told: float = float("-inf")
    cleaned: bool = False


class Verdict(Enum):
    """What one look at the queue says of one job."""

    THERE = "there"
    ENDED = "ended"
    BACK = "back"  # it ran, and waits again: what ran is no more
    MISSING = "missing"  # not listed, while others are: to be asked for by its id
    VANISHED = "vanished"  # not listed, like most others: to be believed when its end is read, or its time is long over
    UNKNOWN = "unknown"


ABSENT = 2  # times in a row that a job has to be absent
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
