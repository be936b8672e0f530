"""How columns are arranged."""

import json

import pytest
from services.javascript import evaluate

BROKEN = [
    "not json", "null", "[]", '"text"', "7", '{"shown": 3, "order": "file", "pinned": {}, "widths": []}',
    '{"shown": {"file": "yes", "": true}, "order": [7, ""], "widths": {"file": "wide", "when": -4, "state": 9e9}}',
]  # fmt: skip


def test_a_broken_stored_layout_counts_as_none():
    none = {"shown": {}, "order": [], "pinned": [], "widths": {}}
    assert evaluate("layout.ts", [f"m.parse({json.dumps(text)})" for text in BROKEN]) == [none] * len(BROKEN)
    assert (
        evaluate("layout.ts", [f"m.parse('{{\"height\": {height}}}')" for height in ("9", '"high"', "9e9")])
        == [none] * 3
    )
    good = {"shown": {"file": False}, "order": ["b", "a"], "pinned": ["a"], "widths": {"a": 80}, "height": 520}
    assert evaluate("layout.ts", [f"m.parse({json.dumps(json.dumps(good))})"]) == [good]


@pytest.mark.parametrize(
    ("order", "pinned", "arranged"),
    [
        ([], [], "abcd"),
        (["c", "a"], [], "cdab"),  # b stands behind a and d behind c, as usual
        (["gone", "d", "a"], [], "dabc"),
        ([], ["c"], "cabd"),
        (["d", "b", "c", "a"], ["a", "b"], "badc"),
    ],
)
def test_a_new_column_stands_behind_its_usual_neighbour_and_pinned_ones_first(order, pinned, arranged):
    layout = json.dumps({"shown": {}, "order": order, "pinned": pinned, "widths": {}})
    usual = json.dumps([{"key": key} for key in "abcd"])
    assert evaluate("layout.ts", [f"m.arrange({usual}, {layout}).map(({{key}}) => key).join('')"]) == [arranged]


@pytest.mark.parametrize(
    ("key", "step", "after"),
    [("b", 1, "acbd"), ("d", -1, "abdc"), ("a", -1, "abcd"), ("d", 1, "abcd")],
)
def test_a_column_moves_by_one_place(key, step, after):
    every = json.dumps(list("abcd"))
    assert evaluate("layout.ts", [f"m.moved({every}, '{key}', {step}, () => true, []).join('')"]) == [after]


def test_a_column_moves_past_hidden_ones_and_not_past_pinned_ones():
    every = json.dumps(list("abcd"))
    past_hidden = f"m.moved({every}, 'a', 1, (key) => key !== 'b' && key !== 'c', []).join('')"
    past_pinned = f"m.moved({every}, 'b', -1, () => true, ['a']).join('')"
    assert evaluate("layout.ts", [past_hidden, past_pinned]) == ["bcda", "abcd"]
