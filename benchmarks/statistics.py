"""The figures that are printed of a list of times."""

import numpy as np


def spread(seconds: list[float]) -> dict[str, float]:
    """Number, median, 95th percentile and largest of some times, in milliseconds."""
    times = np.array(seconds) * 1000
    return {
        "n": len(seconds),
        "p50_ms": round(float(np.percentile(times, 50)), 1),
        "p95_ms": round(float(np.percentile(times, 95)), 1),
        "max_ms": round(float(times.max()), 1),
    }
