"""What is read of curves under the pointer or where keys lead."""

import json

import pytest
from services.javascript import evaluate

AXES = '{x: {label: "Q", unit: "1/Å", log: true}, y: {label: "I", unit: "1/cm", log: true}}'
LINEAR, LOG = "{x: false, y: false}", "{x: true, y: true}"


def curve(x, y, error=None, **more) -> dict:
    return {"curve": {"name": "", "role": "data", "x": x, "y": y, "error": error}, **more}


def told(drawn: list[dict], x: float, height: float, log: str = LINEAR, axes: str = AXES) -> str:
    return evaluate("readout.ts", [f"m.told({json.dumps(drawn)}, {x}, {height}, {axes}, {log})"])[0]


def test_the_nearest_point_of_each_curve_is_told_with_its_error_and_units():
    sector = curve([0.1, 0.2, 0.3], [10, 20.123, 30], [1, 0.45, 1], label="sector")
    coarse = curve([0.1, 0.25], [11, None], label="coarse")
    assert told([sector, coarse], 0.19, 5) == "Q = 0.2 1/Å; sector: 20.12 ± 0.45 1/cm; coarse: 11 1/cm at 0.1"
    assert told([], 0.19, 5) == ""


def test_without_units_none_are_told():
    bare = '{x: {label: "n", unit: ""}, y: {label: "I", unit: ""}}'
    assert told([curve([1], [2], label="a")], 1, 2, axes=bare) == "n = 1; a: 2"


def test_on_a_logarithmic_axis_the_nearest_is_so_by_ratio_and_what_is_not_drawn_is_not_read():
    one = curve([0.01, 1, -5], [1, 100, 3], label="a")
    assert told([one], 0.2, 1, LOG).endswith("a: 100 1/cm")
    assert told([one], 0.2, 1).endswith("a: 1 1/cm")
    assert told([curve([0.2, 1], [-1, 100], label="a")], 0.2, 1, LOG).startswith("Q = 1 1/Å")


def test_a_curve_that_is_drawn_higher_is_read_as_it_was_measured():
    higher = curve([1], [1000], own=curve([1], [10], [2])["curve"], label="a")
    assert told([higher], 1, 1000).endswith("a: 10.0 ± 2.0 1/cm")


def test_of_many_curves_those_are_told_that_are_drawn_nearest():
    many = [curve([1], [y], label=f"at {y}") for y in (1, 2, 3, 50, 60, 70)]
    assert (
        told(many, 1, 55)
        == "Q = 1 1/Å; at 3: 3 1/cm; at 50: 50 1/cm; at 60: 60 1/cm; at 70: 70 1/cm; 2 more further away"
    )


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (12.3456, 0.0432, "12.346 ± 0.043"),
        (1234.5, 43.2, "1235 ± 43"),
        (0.5, None, "0.5"),
        (0.5, 0, "0.5 ± 0"),
        (1.23456e-7, 4.3e-9, "(1.235 ± 0.043)e-7"),
        (-2.5e8, 3e6, "(-2.500 ± 0.030)e8"),
        (0.001, 5, "0.0 ± 5.0"),
        (0, 0.25, "0.00 ± 0.25"),
    ],
)
def test_a_value_has_the_places_that_its_error_gives_it(value, error, text):
    assert evaluate("readout.ts", [f"m.measured({value}, {json.dumps(error)})"]) == [text]


def test_a_key_leads_to_the_next_point_within_what_is_seen():
    one = json.dumps(curve([3, 1, None, 2, 4], [1, 1, 1, None, 1])["curve"])
    below = json.dumps(curve([1, 2, 3], [1, -1, 1])["curve"])  # not drawn where the axis is logarithmic
    steps = [(1, 1), (3, 1), (3, -1), (1, -1), (2.5, 1)]
    asked = [f"m.beside({one}, {x}, {step}, [1, 3.5], {LINEAR})" for x, step in steps]
    asked += [f"m.beside({below}, 1, 1, [1, 3], {log})" for log in (LINEAR, LOG)]
    assert evaluate("readout.ts", asked) == [0, -1, 1, -1, 0, 1, 2]
