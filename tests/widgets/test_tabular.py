"""Rows as text: what other programs read is what the table shows, and nothing of it is a command."""

import csv
import io
import json

from services.javascript import evaluate

HEADS = ["file", "Rg / nm"]
ROWS = [
    ["a|b.nxs", 1.5],
    ["=HYPERLINK(1)", -2.5],
    ["+cmd", ""],
    ["-1e-3", 3],
    ["@x", 4],
    [" =1", 5],
    ['say "hi", twice\nor more', 6],
    ["a_b_c _em_ *b* `c` [l](x) <i> $x$ \\", 7],
]


def write(form: str) -> str:
    (text,) = evaluate("tabular.ts", [f"m.{form}({json.dumps(HEADS)}, {json.dumps(ROWS)})"])
    return text


def test_csv_is_read_back_as_it_was_and_no_text_is_a_formula():
    assert write("csv").endswith("\r\n")
    read = list(csv.reader(io.StringIO(write("csv"), newline="")))
    assert read[0] == HEADS
    assert [row[1] for row in read[1:]] == ["1.5", "-2.5", "", "3", "4", "5", "6", "7"]
    assert [row[0] for row in read[1:6]] == ["a|b.nxs", "'=HYPERLINK(1)", "'+cmd", "-1e-3", "'@x"]
    assert [row[0] for row in read[6:]] == ["' =1", *(row[0] for row in ROWS[6:])]


def test_nothing_in_a_cell_of_a_markdown_table_is_markup():
    lines = write("markdown").splitlines()
    assert lines[:3] == ["| file | Rg / nm |", "| --- | --: |", r"| a\|b.nxs | 1.5 |"]
    assert lines[8] == '| say "hi", twice or more | 6 |'
    assert lines[9] == r"| a_b_c \_em\_ \*b\* \`c\` \[l\](x) \<i\> \$x\$ \\ | 7 |"
