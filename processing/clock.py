"""Times as the store keeps them: microseconds since 1970 in UTC."""

import time
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
NOTICED = 1_000_000  # microseconds; what is less does not matter


def now() -> int:
    """This moment."""
    return to_micros(datetime.now(UTC))


def to_micros(time: datetime) -> int:
    """A moment as a number; one without a zone counts as UTC.

    >>> to_micros(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
    1000000
    """
    return ((time if time.tzinfo else time.replace(tzinfo=UTC)) - EPOCH) // MICROSECOND


def from_micros(micros: int) -> datetime:
    """A number as a moment in UTC."""
    return EPOCH + micros * MICROSECOND


class SetBack:
    """Notices that the computer's clock was set back, by the clock that only ever goes on."""

    def __init__(self) -> None:
        self._ahead = self._ahead_now()

    def by(self) -> int:
        """By how many microseconds it was set back that were not allowed for; 0 for less than a second."""
        ahead = self._ahead_now()
        self._ahead = max(self._ahead, ahead)
        back = self._ahead - ahead
        return back if back >= NOTICED else 0

    def allowed_for(self, back: int) -> None:
        """What goes by the clock was moved by so much."""
        self._ahead -= back

    @staticmethod
    def _ahead_now() -> int:
        """How far the computer's clock is ahead; the larger of two, as a process may be halted between two clocks."""
        return max(now() - time.monotonic_ns() // 1000 for _ in range(2))
