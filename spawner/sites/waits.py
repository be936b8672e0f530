"""How long starts of the last hours waited at a batch site, and what that lets expect; pure."""

from collections import deque

KEPT = 200
LONG_AGO = 6 * 3600.0  # seconds; a queue of this morning says little of now
FEWEST = 3  # starts without which nothing is said
LIKE = 2  # how many times more or fewer cores are a job of about the same size


class Waits:
    """What was waited by jobs that this Hub handed in. Times are moments of ``moments.now``."""

    def __init__(self) -> None:
        self._kept: deque[tuple[float, int, bool, float]] = deque(maxlen=KEPT)

    def add(self, began: float, cores: int, gpus: bool, seconds: float) -> None:
        """A job began."""
        self._kept.append((began, cores, gpus, max(0.0, seconds)))

    def expected(self, cores: int, gpus: bool, now: float) -> tuple[float, float, int] | None:
        """What most jobs of about this size waited, from and to, and of how many; None where they are too few.

        Those with GPUs and those without stand in different queues.

        >>> waits = Waits()
        >>> for seconds in (60, 120, 300, 600, 90):
        ...     waits.add(0.0, 2, False, seconds)
        >>> waits.expected(4, False, 100.0), waits.expected(16, False, 100.0)
        ((90, 300, 5), None)
        """
        found = sorted(
            seconds
            for began, size, had, seconds in self._kept
            if had == gpus and began > now - LONG_AGO and size <= cores * LIKE and cores <= size * LIKE
        )
        if len(found) < FEWEST:
            return None
        return found[len(found) // 4], found[-1 - len(found) // 4], len(found)
