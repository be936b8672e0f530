"""What is wrong in what rules ask of functions, found before a file arrives."""

import pytest

from beamhub.config import command

FUNCTION = """
from pathlib import Path
from beamhub.processing.functions import Summary, function

@function(version="1")
def total(raw: Path, out: Path, threshold: float = 0) -> Summary:
    return Summary()
"""
CONFIG = """
storages: {beamline: {root: raw, layout: "{proposal}/{scan}"}}
functions: [functions]
rules:
  totals:
    when: {storage: beamline, path: "*/*/*.nxs"}
    function: total
    with:
      threshold: 5
"""


@pytest.fixture
def check(tmp_path, capsys):
    (tmp_path / "raw").mkdir()
    (tmp_path / "functions").mkdir()
    config = tmp_path / "processing.yaml"

    def checked(config_text=CONFIG, function=FUNCTION):
        (tmp_path / "functions/sums.py").write_text(function)
        (tmp_path / "functions/sums.py").chmod(0o644)
        config.write_text(config_text)
        code = command.main(["check", str(config)])
        return code, capsys.readouterr().out.replace(str(config), "processing.yaml").splitlines()

    return checked


def test_right_functions_are_right(check):
    assert check() == (0, ["processing.yaml: right"])


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (
            "function: total",
            "function: totl",
            "7: there is no function 'totl' @ rules.totals.function; did you mean total?",
        ),
        (
            "      threshold: 5",
            "      threshold: 5\n    table: [total counts, treshold]",
            "10: there is no column 'treshold' @ rules.totals.table[1]; did you mean threshold? A result of this name "
            "is written scalar:treshold",
        ),
        ("threshold: 5", "treshold: 5", "9: total has no parameter 'treshold' @ rules.totals.with.treshold"),
    ],
)
def test_what_a_rule_asks_of_functions_must_be_there(check, before, after, said):
    code, lines = check(CONFIG.replace(before, after))
    assert code == 1
    assert said in lines[0], lines
