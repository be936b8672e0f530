"""Several runs of a file and function, and how much is done again, in words."""

import json

import pytest
from services.javascript import evaluate

FILE = {"name": "a.nxs", "path": "red/a.nxs", "storage": "beamline"}


def run(number: int, direction: object = None, **more) -> dict:
    parameters = {} if direction is None else {"direction": direction}
    known = {
        "id": number,
        "proposal": "red",
        "rule": "fine",
        "function": "radial",
        "file": FILE,
        "version": "1",
        "parameters": parameters,
    }
    return known | more


def test_the_version_before_is_the_last_older_run_of_the_same_file_and_function():
    other = [
        run(8, rule="coarse"),
        run(8, rule=None),
        run(8, function="sector"),
        run(8, file=FILE | {"path": "red/b/a.nxs"}),
        run(8, proposal="blue"),
    ]
    runs = json.dumps([run(3), run(7), run(11), *other])
    mine = json.dumps(run(9))
    assert evaluate(
        "versions.ts", [f"m.before({mine}, {runs})?.id", f"m.before({json.dumps(run(3))}, {runs}) ?? 0"]
    ) == [7, 0]


def test_what_was_changed_is_told_with_the_function_s_version():
    pairs = [(run(1, 160), run(2, 30)), (run(1), run(2, 30, version="2")), (run(1, 30), run(2, 30))]
    told = evaluate("versions.ts", [f"m.changes({json.dumps(old)}, {json.dumps(new)})" for old, new in pairs])
    assert told == [
        ["direction: 160 → 30"],
        ["direction: the function's own → 30", "version: 1 → 2"],
        [],
    ]


def test_runs_of_one_file_are_told_apart_and_the_newest_is_named():
    runs = [run(1, 160), run(2, 30), run(5, file=FILE | {"name": "b.nxs", "path": "red/b.nxs"})]
    assert evaluate("versions.ts", [f"m.titles({json.dumps(runs)})"]) == [
        ["a.nxs (run 1, direction 160)", "a.nxs (run 2, the newest, direction 30)", "b.nxs"]
    ]


@pytest.mark.parametrize(
    ("extent", "words", "asked"),
    [
        ({"count": 1, "seconds": None}, "1 run of Radial", "Run 1 again?"),
        ({"count": 8412, "seconds": 10800}, "8,412 runs of Radial, done in about 3 h", "Run 8,412 again, about 3 h?"),
    ],
)
def test_how_much_is_done_again_is_said(extent, words, asked):
    one = json.dumps(extent)
    assert evaluate("extent.ts", [f"m.inWords({one}, 'Radial')", f"m.question({one})"]) == [words, asked]


def test_above_a_thousand_runs_it_is_asked_once_more():
    assert evaluate("extent.ts", [f"m.isMany({{count: {count}}})" for count in (1000, 1001)]) == [False, True]
