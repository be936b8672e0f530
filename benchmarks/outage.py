"""Half an hour without the controller of a real Slurm, while 20 servers run and 5 wait: none is lost."""

import os
import sys
from pathlib import Path

MINUTES = float(os.environ.get("OUTAGE_MINUTES", "30"))


def measure() -> dict[str, float]:
    """How long it was away, how often was asked meanwhile, and how many servers were lost or lost their place."""
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    from services.outage import AS_IT_IS, outage

    return outage(AS_IT_IS, lambda _, seconds: seconds >= MINUTES * 60)
