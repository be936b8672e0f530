"""The rows of a scan that stand together."""

import json

import pytest
from services.javascript import evaluate


def rows(*scans: str | None) -> list[dict | None]:
    """Rows of these scans; None is not loaded."""
    return [scan and {"proposal": "red", "file": {"path": f"red/{scan}/a.nxs"}} for scan in scans]


@pytest.mark.parametrize(
    ("scans", "total", "said"),
    [
        (("a", "a", "b", "a"), 4, "2"),
        (("a",), 1, "1"),
        (("a", "a", None), 9, "2+"),
        (("a", "a"), 2, "2"),
        (("a",) * 1001, 1001, "1000+"),
    ],
    ids=["up to the next scan", "one", "the next is not loaded", "up to the end", "many"],
)
def test_the_rows_of_a_scan_are_counted(scans, total, said):
    expression = f"m.together(0, {total}, (at) => ({json.dumps(rows(*scans))})[at] ?? undefined)"
    assert evaluate("scan.ts", [expression]) == [said]
