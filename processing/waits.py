"""The moments that runs and proposals wait for, and what becomes of them when the computer's clock is set."""

from typing import Any

from sqlalchemy import update

from beamhub.processing.clock import now
from beamhub.processing.retries import LONGEST_WAIT_S
from beamhub.processing.schema import proposal, run
from beamhub.processing.transaction import Transaction

LONGEST_WAIT = int(LONGEST_WAIT_S * 1e6)  # microseconds


def set_back(transaction: Transaction, by: int) -> None:
    """The clock was set back by so many microseconds: what waits for a moment, or for its turn, waits no longer.

    Nothing was written since, so that moments to come are of before.
    """
    moment = now()
    began = (run.c.state == "running") & (run.c.started > moment)
    transaction.execute(update(run).where(began).values(started=run.c.started - by))
    transaction.execute(update(run).where(run.c.due > moment).values(due=run.c.due - by))
    transaction.execute(update(proposal).where(proposal.c.served > moment).values(served=proposal.c.served - by))


def let_go_what_waits_too_long(transaction: Transaction, moment: int) -> None:
    """At the service's start, whatever the clock did: no run waits longer than its wait, no proposal for its turn."""
    no_wait = run.c.due == run.c.queued
    transaction.execute(
        update(run).where((run.c.due > moment) & (no_wait | (run.c.due > moment + LONGEST_WAIT))).values(due=moment)
    )
    transaction.execute(update(proposal).where(proposal.c.served > moment).values(served=moment))


def old_place(row: Any) -> int:
    """When a run that waits for nothing is due, also where the clock was set back since it was queued."""
    return int(min(row.queued, now()))
