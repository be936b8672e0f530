"""What is said where less is shown than was selected."""

import pytest
from services.javascript import evaluate


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ("12, 12, 12, 12", ""),
        ("12, 12, 30, 30", ""),  # the others have none
        ("12, 30, 30, 30", "12 of 30 curves are shown."),
        ("12, 30, 50, 1200", "12 of 30 curves of 50 selected runs are shown; 1,150 more are selected."),
        ("3, 3, 50, 51", "All 3 curves of 50 selected runs are shown; 1 more is selected."),
    ],
)
def test_how_many_are_shown_is_said_where_it_is_not_all(numbers, text):
    assert evaluate("shown.ts", [f"m.left('curves', {numbers})"]) == [text]


def test_the_first_are_shown_and_the_one_that_was_clicked_last():
    asked = [
        "m.first([1, 2, 3, 4], 3, 2)",
        "m.first([1, 2, 3, 4], 3, 4)",
        "m.first([1, 2], 3, 2)",
        "m.first([1, 2, 3, 4], 3, 0)",
    ]
    assert evaluate("shown.ts", asked) == [[1, 2, 3], [1, 2, 4], [1, 2], [1, 2, 3]]
