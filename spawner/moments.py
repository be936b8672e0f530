"""Moments that must come in time although the computer's clock is set, or the computer sleeps, meanwhile."""

import time


def now() -> float:
    """Seconds by the clock that nobody sets and that goes on in the computer's sleep, unlike ``time.monotonic``."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def of(moment: float) -> float:
    """Seconds since 1970, by the computer's clock as it is now, of a moment of ``now``."""
    return time.time() + moment - now()


def steady(moment: float) -> float:
    """When a moment comes by the clock of ``now``.

    Args:
        moment: seconds since 1970, by the computer's clock as it is now.
    """
    return now() + moment - time.time()
