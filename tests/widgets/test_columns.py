"""What columns the table can have, and what stands in them."""

import json

import pytest
from services.javascript import evaluate


def test_a_column_says_when_the_file_was_written_and_offers_no_order_by_it():
    found = "new m.Seen().columns(() => '').find(({ key }) => key === 'written')"
    time = "2026-11-26T22:59:59Z"
    run = f"{{ queued: '2026-11-27T10:00:00Z', file: {{ time: '{time}' }} }}"
    assert evaluate("columns.ts", [f"{found}.text({run})", f"{found}.sort"]) == [time, ""]


@pytest.mark.parametrize(
    ("more", "seconds", "said"),
    [
        ({}, 0.4, ["running", False]),
        ({}, 2.9, ["running 2 s", False]),
        ({"late_s": 7.5}, 7.2, ["running 7 s", False]),
        ({"late_s": 7.5}, 241, ["running 4 min, late", True]),
        ({"started": None}, 9, ["running", False]),
        ({"state": "queued", "attempts": 1}, 9, ["waiting again", False]),
        ({"state": "failed", "quarantined": True}, 9, ["failed (held)", False]),
    ],
)
def test_a_state_says_how_long_a_run_runs_and_whether_that_is_late(more, seconds, said):
    run = {"state": "running", "started": "2026-11-26T10:00:00Z", "late_s": None, "attempts": 0, **more}
    now = f"Date.parse('2026-11-26T10:00:00Z') + {seconds * 1000}"
    assert evaluate("columns.ts", [f"m.condition({json.dumps(run)}, {now})"]) == [said]
