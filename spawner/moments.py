"""Moments that must come in time although the computer's clock is set meanwhile."""

import time


def steady(moment: float) -> float:
    """When a moment comes by the clock that nobody sets, ``time.monotonic``.

    Args:
        moment: seconds since 1970, by the computer's clock as it is now.
    """
    return time.monotonic() + moment - time.time()
