from datetime import UTC, datetime

import pytest

from beamhub.processing.retries import History, retry_after, retry_after_loss
from beamhub.processing.work import Retry

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "history", "after_s"),
    [
        ("transient", History(), 1),
        ("transient", History(1), 7),
        ("transient", History(2), 45),
        ("transient", History(3), 300),
        ("transient", History(4), None),
        ("data", History(), 2),
        ("data", History(3), 2),
        ("data", History(data_failures=1), None),
        ("resource", History(), None),
        ("code", History(), None),
    ],
    ids=str,
)
def test_when_a_failed_run_is_tried_again(kind, history, after_s):
    retry = retry_after(kind, history, 2.0, NOW)
    assert (retry.at and (retry.at - NOW).total_seconds()) == after_s


@pytest.mark.parametrize(("before", "quarantined"), [(0, False), (1, True), (5, True)])
def test_the_second_failure_for_want_of_resources_on_a_file_is_held_in_quarantine(before, quarantined):
    assert retry_after("resource", History(resource_failures=before), 2.0, NOW) == Retry(None, quarantined)


@pytest.mark.parametrize("kind", ["transient", "data", "code"])
def test_other_failures_are_never_held_in_quarantine(kind):
    assert not retry_after(kind, History(9, 9, 9), 2.0, NOW).quarantined


def test_a_run_that_was_lost_with_the_service_waits_longer_each_time_is_tried_alone_and_ends_in_quarantine():
    waits = [retry_after_loss(losses, NOW).at for losses in range(7)]
    assert [(at - NOW).total_seconds() for at in waits] == [0, 0, 5, 30, 120, 300, 0]
    assert retry_after_loss(7, NOW) == Retry(None, quarantined=True)
