"""Rows for a copy: page by page, with a bound."""

import pytest
from services.javascript import evaluate

SERVICE = """(count) => async (asked) => {  // a service with so many rows
  const from = Number(asked.get("after") ?? 0), limit = Number(asked.get("limit"));
  const items = Array.from({length: Math.min(limit, count - from)}, (_, at) => from + at);
  return {items, after: from + limit < count ? String(from + limit) : null}; }"""
READ = """(async () => { const told = [];
  const found = await m.read((%s)(%d), [new URLSearchParams()], new AbortController().signal, (n) => told.push(n));
  return [found.rows.length, new Set(found.rows).size, found.more, told.length]; })()"""


@pytest.mark.parametrize(
    ("count", "found"),
    [(0, [0, 0, False, 1]), (1200, [1200, 1200, False, 3]), (10_000, [10_000, 10_000, False, 20]),
     (10_001, [10_000, 10_000, True, 20])],
)  # fmt: skip
def test_every_row_is_read_once_up_to_ten_thousand_and_it_is_said_that_there_are_more(count, found):
    assert evaluate("pages.ts", [READ % (SERVICE, count)]) == [found]


def test_selected_runs_are_asked_for_in_the_order_of_the_table_in_as_many_questions_as_it_takes():
    filter_ = "{proposal: 'p', search: 'x', sort: '-scalar:a b'}"
    ids = "Array.from({length: 700}, (_, at) => at)"
    (asked,) = evaluate("pages.ts", [f"m.ofIds({filter_}, {ids}).map((each) => Object.fromEntries(each))"])
    assert [len(each.pop("ids").split(",")) for each in asked] == [500, 200]
    assert asked == [{"proposal": "p", "sort": "-scalar:a b"}] * 2
