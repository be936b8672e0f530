"""Which rows a range of a selection has, by what Node.js makes of the same source."""

import pytest
from services.javascript import evaluate


@pytest.mark.parametrize(
    ("begun", "index", "rows"),
    [
        (3, 5, [3, 6, 3]),
        (5, 3, [3, 6, 3]),
        (4, 4, [4, 5, 1]),
        (1, 900, [1, 501, 900]),
        (900, 1, [401, 901, 900]),
    ],
)
def test_a_range_has_the_rows_between_and_no_more_than_may_be_those_where_it_begins(begun, index, rows):
    assert evaluate("range.ts", [f"Object.values(m.range({begun}, {index}))"]) == [rows]


def test_where_there_are_more_than_may_be_selected_it_is_said():
    assert evaluate("range.ts", ["m.told(500)", "m.told(1240)"]) == [
        "",
        "500 of 1,240 rows are selected, from where you began: more cannot be at once",
    ]


BEGUN = """((change, at) => {
  const rows = { numbering: { by: 7 }, indexOf: () => at }, begun = new m.Begun();
  begun.set(1, 20, rows);
  change(rows);
  return begun.at(rows);
})"""


def test_where_a_range_begins_is_known_also_of_a_row_that_was_let_go_of_unless_all_have_other_numbers():
    asked = [
        f"{BEGUN}(() => 0, 33)", f"{BEGUN}(() => 0, -1)", f"{BEGUN}((rows) => {{ rows.numbering.by += 3; }}, -1)",
        f"{BEGUN}((rows) => {{ rows.numbering = {{ by: 0 }}; }}, -1)", "new m.Begun().at({ numbering: { by: 0 } })",
    ]  # fmt: skip
    assert evaluate("range.ts", asked) == [33, 20, 23, -1, -1]


@pytest.mark.parametrize(
    ("begun", "to", "down", "part", "found"),
    [
        (2, 4, True, False, [2, 3, 4]),
        (4, 2, False, False, [2, 3, 4]),
        (2, 9, True, True, [2, 3, 4, 5]),
        (4, 9, False, True, [1, 2, 3, 4]),
        (9, 4, True, False, None),
        (2, 9, True, False, None),
        (4, 9, False, False, None),
    ],
    ids=["down", "up", "down to one too far away", "up to one too far away", "moved", "the last one moved", "moved up"],
)
def test_of_rows_that_were_asked_for_those_between_two_are_taken(begun, to, down, part, found):
    ways = f"{str(down).lower()}, {str(part).lower()}"
    asked = f"m.between([1, 2, 3, 4, 5].map((id) => ({{ id }})), {begun}, {to}, {ways})"
    assert evaluate("range.ts", [asked]) == [found]
