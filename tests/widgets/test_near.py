"""Which rows are asked for next, and which stay loaded."""

import pytest
from services.javascript import evaluate

LOADED = "{start: 1000, end: 1200, before: 'b', after: 'a'}"
AFTER, BEFORE = {"way": "after", "cursor": "a"}, {"way": "before", "cursor": "b"}


@pytest.mark.parametrize(
    ("first", "last", "question"),
    [
        (1000, 1200, None),
        (1180, 1210, AFTER | {"limit": 100}),
        (1400, 1430, AFTER | {"limit": 300}),
        (990, 1020, BEFORE | {"limit": 100}),
        (600, 640, BEFORE | {"limit": 400}),
        (990, 1210, AFTER | {"limit": 100}),
        (400, 440, {"way": "at", "at": 370, "limit": 100}),
        (10, 40, {"way": "at", "at": 0, "limit": 100}),
        (9980, 10_000, {"way": "at", "at": 9900, "limit": 100}),
    ],
    ids=["loaded", "below", "further below", "above", "further above", "both", "far", "the first", "the last"],
)
def test_rows_beside_those_that_are_loaded_are_asked_for_by_a_cursor_and_others_by_their_number(first, last, question):
    assert evaluate("near.ts", [f"m.next({LOADED}, 10000, {first}, {last})"]) == [question]


def test_what_is_asked_for_already_is_not_asked_for_again_and_not_too_much_at_once():
    asked = [
        f"m.next({LOADED}, 10000, 1180, 1210, [{{way: 'after', cursor: 'other', limit: 100}}])",
        f"m.next({LOADED}, 10000, 5000, 5040, [{{way: 'at', at: 4970, limit: 100}}])",
        f"m.next({LOADED}, 10000, 5000, 5040, Array(4).fill({{way: 'at', at: 0, limit: 100}}))",
    ]
    assert evaluate("near.ts", asked) == [None] * 3


def test_where_no_cursor_leads_on_rows_are_asked_for_by_their_number():
    asked = "m.next({start: 0, end: 0, before: null, after: null}, 10000, 0, 30)"
    assert evaluate("near.ts", [asked]) == [{"way": "at", "at": 0, "limit": 100}]


KEEP = """(() => {
  const items = (first) => [{ id: first }, { id: first + 1 }];
  const page = (first) => ({ items: items(first), before: `b${first}`, after: `a${first}` });
  const all = new m.Stretch(10, page(10));
  for (const first of [12, 14, 16, 18]) all.join("after", page(first));
  all.join("before", page(8));
  all.keep(%d, %d);
  const ids = [...all].map((run) => run.id).join();
  return [all.start, all.end, all.before, all.after, ids, all.at(13)?.id, all.indexOf(14)];
})()"""


@pytest.mark.parametrize(
    ("looked", "kept", "found"),
    [
        (14, 100, [8, 20, "b8", "a18", "8,9,10,11,12,13,14,15,16,17,18,19", 13, 14]),
        (19, 6, [14, 20, "b14", "a18", "14,15,16,17,18,19", None, 14]),
        (8, 6, [8, 14, "b8", "a12", "8,9,10,11,12,13", 13, -1]),
        (13, 6, [10, 16, "b10", "a14", "10,11,12,13,14,15", 13, 14]),
    ],
    ids=["few", "at the end", "at the begin", "between"],
)
def test_the_pages_farthest_from_the_row_that_is_looked_at_go_and_cursors_lead_on_from_the_others(looked, kept, found):
    assert evaluate("stretch.ts", [KEEP % (looked, kept)]) == [found]
