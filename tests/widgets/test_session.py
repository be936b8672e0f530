from datetime import UTC, datetime, timedelta

import pytest

from beamhub.widgets import Session


@pytest.fixture
def started(monkeypatch):
    def start(**environment):
        for name in ("SITE", "PROFILE", "ENDS_AT"):
            monkeypatch.delenv(f"BEAMHUB_{name}", raising=False)
            if name in environment:
                monkeypatch.setenv(f"BEAMHUB_{name}", environment[name])
        return Session()

    return start


def test_a_session_says_where_it_runs_and_until_when(started):
    session = started(SITE="here", PROFILE="small", ENDS_AT="2026-11-23T18:00:00Z")
    assert repr(session) == "Session(small on here, until 2026-11-23 18:00 UTC)"
    assert session.options["ends_at"] == "2026-11-23T18:00:00Z"


def test_the_time_that_is_left_is_never_negative(started):
    assert started(ENDS_AT="2020-01-01T00:00:00Z").left == timedelta()
    soon = (datetime.now(UTC) + timedelta(minutes=10)).isoformat()
    assert timedelta(minutes=9) < started(ENDS_AT=soon).left <= timedelta(minutes=10)


@pytest.mark.parametrize("ends", ["", "soon"])
def test_without_a_limit_there_is_no_time_left(started, ends):
    session = started(ENDS_AT=ends)
    assert session.left is None
    assert "without a limit" in repr(session)


def test_a_notebook_without_a_kernel_shows_the_same_sentence(started):
    data, _ = started(SITE="<here>")._repr_mimebundle_()
    assert "on &lt;here&gt;" in data["text/html"]
    assert "application/vnd.jupyter.widget-view+json" in data
