from datetime import UTC, datetime

import pytest

from beamhub.processing.retries import History, retry_after
from beamhub.processing.work import Retry

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "history", "after_s"),
    [
        ("transient", History(1), 1),
        ("transient", History(2), 7),
        ("transient", History(3), 45),
        ("transient", History(4), 300),
        ("transient", History(5), None),
        ("data", History(1), 2),
        ("data", History(3, data_failures=0), 2),
        ("data", History(2, data_failures=1), None),
        ("resource", History(1), None),
        ("code", History(1), None),
    ],
    ids=str,
)
def test_when_a_failed_run_is_tried_again(kind, history, after_s):
    retry = retry_after(kind, history, 2.0, NOW)
    assert (retry.at and (retry.at - NOW).total_seconds()) == after_s


@pytest.mark.parametrize(("before", "quarantined"), [(0, False), (1, True), (5, True)])
def test_the_second_failure_for_want_of_resources_on_a_file_is_held_in_quarantine(before, quarantined):
    assert retry_after("resource", History(1, resource_failures=before), 2.0, NOW) == Retry(None, quarantined)


@pytest.mark.parametrize("kind", ["transient", "data", "code"])
def test_other_failures_are_never_held_in_quarantine(kind):
    assert not retry_after(kind, History(9, 9, 9), 2.0, NOW).quarantined
