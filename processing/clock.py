"""Times as the store keeps them: microseconds since 1970 in UTC."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


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
