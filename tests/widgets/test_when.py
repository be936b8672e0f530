"""How times are written in the table."""

import json

import pytest
from services.javascript import evaluate

NOW = "Date.parse('2026-11-27T00:30:00+01:00')"


@pytest.fixture(autouse=True)
def berlin(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    monkeypatch.setenv("LC_ALL", "en_GB.UTF-8")


@pytest.mark.parametrize(
    ("time", "said"),
    [
        ("2026-11-26T23:05:09Z", "00:05:09"),
        ("2026-11-26T22:59:59Z", "26 Nov 23:59"),
        ("2026-01-02T11:00:00Z", "2 Jan 12:00"),
        ("2025-12-31T22:00:00Z", "31 Dec 2025"),
    ],
    ids=["today", "yesterday", "months ago", "last year"],
)
def test_a_time_that_is_not_todays_has_its_date(time, said):
    assert evaluate("when.ts", [f"m.clock({json.dumps(time)}, {NOW})"]) == [said]


@pytest.mark.parametrize(
    ("time", "said"),
    [
        ("2026-12-31T22:40:00Z", "31 Dec 23:40"),
        ("2026-08-02T12:00:00Z", "2 Aug 14:00"),
        ("2026-06-30T12:00:00Z", "30 Jun 2026"),
    ],
    ids=["the evening before", "half a year ago", "longer ago"],
)
def test_at_new_year_a_beamtimes_runs_keep_their_times(time, said):
    new_year = "Date.parse('2027-01-01T00:10:00+01:00')"
    assert evaluate("when.ts", [f"m.clock({json.dumps(time)}, {new_year})"]) == [said]


def test_a_time_in_full_has_its_day_and_zone():
    assert evaluate("when.ts", ["m.inFull('2026-11-26T22:59:59Z')"]) == ["Thursday, 26 November 2026 at 23:59:59 CET"]


def test_what_is_painted_is_looked_at_each_second_while_something_runs_and_else_when_the_day_is_over():
    assert evaluate("when.ts", [f"m.stale(true, {NOW})", f"m.stale(false, {NOW})"]) == [1000, 23.5 * 3600 * 1000]
