"""That a server's time runs out, said to its pages: 30, 10 and 5 minutes before."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

WARNINGS = (30, 10, 5)  # minutes before the end
LOOK_S = 20.0  # between two looks at the clock at most, which may be set meanwhile
SCHEMA_ID = "urn:beamhub:time-left:1"
SCHEMA = {
    "$id": SCHEMA_ID,
    "version": "1",
    "title": "A server's time runs out",
    "personal-data": False,
    "type": "object",
    "properties": {
        "minutes": {"type": "integer", "description": "how many are left"},
        "ends_at": {"type": "string", "description": "when the server ends, RFC 3339 in UTC"},
    },
    "required": ["minutes", "ends_at"],
}


async def warn(
    ends_at: datetime,
    tell: Callable[[dict[str, Any]], None],
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    look_s: float = LOOK_S,
) -> None:
    """Tell when so many minutes are left, each once; of those that are over already only the last."""
    told = len(WARNINGS) + 1
    while told > 1:
        left = ends_at - now()
        smallest = min((minutes for minutes in WARNINGS if left <= timedelta(minutes=minutes)), default=None)
        if smallest is not None and (rank := len(WARNINGS) - WARNINGS.index(smallest)) < told:
            told = rank
            tell({"minutes": smallest, "ends_at": ends_at.isoformat().replace("+00:00", "Z")})
        await asyncio.sleep(min(look_s, _until_next(left)))


def _until_next(left: timedelta) -> float:
    """Seconds until the next of the warnings is due; 0 where all are over.

    >>> _until_next(timedelta(minutes=10, seconds=3))
    3.0
    """
    ahead = (left.total_seconds() - 60 * minutes for minutes in WARNINGS)
    return min((seconds for seconds in ahead if seconds > 0), default=0.0)
