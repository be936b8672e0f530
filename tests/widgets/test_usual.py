"""Which columns a table shows where nobody chose others."""

import json

from services.javascript import evaluate

MAGNET = {"rule": "magnet", "scan": True, "file": ["sample", "part"], "scalars": [["chi2", ""]], "parameters": []}
POWDER = {**MAGNET, "rule": "powder", "file": ["a", "b", "c", "d"], "scalars": [[name, ""] for name in "vwxyz"]}
TABLES = {"magnet": ["column:sample", "state", "scalar:chi2", "picture"], "other": ["curve"]}


def usual(*kinds, tables=TABLES):
    found = f"m.usual({json.dumps(kinds)}, new Map(Object.entries({json.dumps(tables)})))"
    ((keys, ordered),) = evaluate("usual.ts", [f"Object.values({found})"])
    return keys, ordered


def test_without_a_rules_word_there_are_a_few_columns_of_each_kind():
    few = ["file:a", "file:b", "file:c", "scalar:v", "scalar:w", "scalar:x", "scalar:y"]
    assert usual(POWDER) == (["scan", "when", "file", "function", "state", *few, "curve"], False)
    assert usual({**POWDER, "rule": None}, tables={"null": ["file"]})[1] is False
    assert usual({**POWDER, "rule": "constructor"})[1] is False


def test_a_rules_word_decides_which_columns_there_are_and_in_which_order_beside_what_tells_rows_apart():
    assert usual(MAGNET) == (["when", "file", "file:sample", "state", "scalar:chi2", "picture"], True)


def test_rows_of_other_rules_add_a_few_of_theirs():
    keys, ordered = usual(POWDER, MAGNET)
    assert ordered
    assert keys[:6] == usual(MAGNET)[0]
    assert keys[6:] == ["file:a", "file:b", "file:c", "scalar:v", "scalar:w", "scalar:x", "scalar:y"]
