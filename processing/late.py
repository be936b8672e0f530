"""When a run takes far longer than those before it."""

LATE = 3  # times the mean duration,
LATE_S = 5.0  # and so many seconds above it at least


def late_after(mean_s: float) -> float:
    """How many seconds a run may take before it is late.

    Args:
        mean_s: how long the newest runs of its function took, seconds.

    >>> late_after(2), late_after(100)
    (7.0, 300)
    """
    return max(LATE * mean_s, mean_s + LATE_S)
