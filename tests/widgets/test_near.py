"""Which loaded pages of rows are let go of."""

import pytest
from services.javascript import evaluate


@pytest.mark.parametrize(
    ("looked", "gone"), [(0, [9, 8, 7]), (9, [0, 1, 2]), (5, [0, 1, 9])], ids=["the first", "the last", "one between"]
)
def test_the_pages_farthest_from_the_one_that_is_looked_at_go(looked, gone):
    asked = f"m.far([9, 3, 0, 1, 2, 4, 5, 6, 7, 8], {looked}, 7).sort()"
    assert evaluate("near.ts", [asked]) == [sorted(gone)]


def test_nothing_goes_while_there_are_few():
    assert evaluate(
        "near.ts", ["m.far([0, 1, 2], 1)", "m.far(Array.from({length: 100}, (_, at) => at), 50).length"]
    ) == [[], 70]
