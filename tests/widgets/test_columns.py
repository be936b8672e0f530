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


def shown(told: dict, *runs: dict) -> list[list[str]]:
    """All columns' titles in their order, and the usual ones' keys, after rows and what the service told."""
    seen = f"((seen) => {{ seen.look({json.dumps(runs)}); seen.tell({json.dumps(told)}); return seen; }})(new m.Seen())"
    titles = f"{seen}.columns(() => '').map(({{ title }}) => title)"
    return evaluate("columns.ts", [titles, f"{seen}.usual"])


RUN = {
    "rule": "magnet", "proposal": "red", "file": {"path": "red/scan_1/a.nxs"}, "columns": {"sample": "LaB6"},
    "parameters": {"bins": 3}, "scalars": {"total": {"value": 1, "unit": "counts"}, "Rg": {"value": 2, "unit": ""}},
}  # fmt: skip
HEADINGS = [
    {"kind": "column", "name": "temperature", "unit": ""},
    {"kind": "scalar", "name": "Rg", "unit": "nm"},
    {"kind": "scalar", "name": "chi2", "unit": "a.u."},
    {"kind": "parameter", "name": "mask", "unit": ""},
]


def test_all_that_the_service_knows_can_be_chosen_behind_what_rows_have():
    titles, usual = shown({"items": HEADINGS}, RUN)
    assert titles[6:] == [
        "sample", "temperature", "total / counts", "Rg / nm", "chi2 / a.u.", "curve", "picture", "bins", "mask",
    ]  # fmt: skip
    assert usual == ["scan", "when", "file", "function", "state", "file:sample", "scalar:total", "scalar:Rg", "curve"]


def test_a_rules_table_stands_in_its_order_although_no_row_has_all_of_it_yet():
    tables = {"magnet": ["picture", "scalar:chi2", "column:sample", "file"]}
    titles, usual = shown({"items": [], "tables": tables}, RUN)
    assert usual == ["when", "state", "picture", "scalar:chi2", "file:sample", "file"]
    assert titles[:6] == ["when", "state", "picture", "chi2", "sample", "file"]
