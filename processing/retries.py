"""Whether a run that failed is tried again, and when: pure decisions."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from beamhub.catalog.records import ErrorClass
from beamhub.processing.work import Retry

TRANSIENT_WAITS_S = (1.0, 7.0, 45.0, 300.0)  # after the 1st to 4th failure; after the 5th there is none
LOSS_WAITS_S = (0.0, 0.0, 5.0, 30.0, 120.0, 300.0, 0.0)  # a run that ends the service must not do so for ever
LONGEST_WAIT_S = max(*TRANSIENT_WAITS_S, *LOSS_WAITS_S)
QUARANTINE_AFTER = 2  # failures for want of resources on the same file


@dataclass(frozen=True)
class History:
    """How often the run, or for want of resources any run on its file, failed before."""

    transient_failures: int = 0
    data_failures: int = 0
    resource_failures: int = 0


def retry_after(kind: ErrorClass, history: History, settle_s: float, now: datetime) -> Retry:
    """Decide what happens after a failure.

    Args:
        kind: transient: five attempts, 1 s to 5 min apart; data: one more after ``settle_s``;
            resource: none, and the second on the same file is held in quarantine; code: none.
        history: failures before this one.
        settle_s: how long the storage's files take to become complete.
        now: when it failed.

    >>> retry_after("code", History(), 2.0, datetime(2026, 1, 1))
    Retry(at=None, quarantined=False)
    """
    if kind == "transient" and history.transient_failures < len(TRANSIENT_WAITS_S):
        return Retry(now + timedelta(seconds=TRANSIENT_WAITS_S[history.transient_failures]))
    if kind == "data" and history.data_failures == 0:
        return Retry(now + timedelta(seconds=settle_s))
    return Retry(None, quarantined=kind == "resource" and history.resource_failures + 1 >= QUARANTINE_AFTER)


def retry_after_loss(losses: int, now: datetime) -> Retry:
    """Decide what happens to a run that was running when the service ended without having been told to.

    It is handed out again, later each time, so that others go on; after the seventh time at once and by itself, so
    that nothing else can be the reason (see :func:`tried_alone`); when the service ends then too, it is held in
    quarantine.

    Args:
        losses: how often it happened to this run before.
        now: when the service is there again.
    """
    if losses < len(LOSS_WAITS_S):
        return Retry(now + timedelta(seconds=LOSS_WAITS_S[losses]))
    return Retry(None, quarantined=True)


def tried_alone(losses: int) -> bool:
    """Whether a run that was lost so often is handed out only by itself: perhaps another one ended the service."""
    return losses >= len(LOSS_WAITS_S)
