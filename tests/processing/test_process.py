import argparse
import shutil

import h5py
import pytest
from services.workbench import FUNCTIONS

from beamhub.processing.process import command

SETTINGS = """
storages: {beamline: {root: raw, layout: "{proposal}/{scan}"}}
functions: [functions]
rules:
  good: {when: {storage: beamline, path: "*/*/*.nxs"}, function: measure, with: {bins: 12}}
  bad: {when: {storage: beamline, path: "*/*/*.nxs"}, function: fails}
  unknown: {when: {storage: beamline, path: "*/*/*.nxs"}, function: nowhere}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "functions").mkdir()
    shutil.copy(FUNCTIONS / "wild.py", tmp_path / "functions")
    (tmp_path / "functions/wild.py").chmod(0o644)
    (tmp_path / "raw/p1/scan1").mkdir(parents=True)
    for number in (1, 2):
        with h5py.File(tmp_path / f"raw/p1/scan1/{number}.nxs", "w") as file:
            file["counts"] = [number]
    (tmp_path / "raw/p1/notes.txt").write_text("notes")
    (tmp_path / "processing.yaml").write_text(SETTINGS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words):
    parser = argparse.ArgumentParser()
    command.arguments(parser)
    return command.run(parser.parse_args(words))


def test_a_file_is_processed_and_its_scalars_are_shown(folder, capsys):
    assert run("raw/p1/scan1/1.nxs", "--rule", "good") == 0
    printed = capsys.readouterr().out
    output = folder / "processed/p1/scan1/1.nxs/good/1-measure.nxs"
    assert f"p1/scan1/1.nxs: done, {output}" in printed
    assert "  bins = 12\n  nothing = not a number 1/cm\n" in printed
    assert output.is_file()


def test_a_dry_run_names_the_files_that_the_rule_takes_and_runs_nothing(folder, capsys):
    assert run("raw", "--rule", "good", "--dry-run") == 0
    assert capsys.readouterr().out == "p1/scan1/1.nxs\np1/scan1/2.nxs\n"
    assert not (folder / "processed").exists()


def test_a_function_that_fails_is_shown_with_its_own_line(folder, capsys):
    assert run("raw/p1/scan1/1.nxs", "--rule", "bad") == 1
    assert "failed (code): ZeroDivisionError: division by zero\n  wild.py:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["raw", "--rule", "godo"], "there is no rule 'godo'; there is: good, bad, unknown"),
        (["raw/p1/notes.txt", "--rule", "good"], "the path does not match"),
        (["functions", "--rule", "good"], "is not in the storage of rule 'good'"),
        (["raw", "--rule", "unknown"], "no function nowhere; there is: adds_up, changes_everything"),
        (["raw", "--rule", "good", "--config", "other.yaml"], "there is no such file"),
    ],
    ids=["rule", "path", "storage", "function", "config"],
)
def test_what_cannot_be_started_is_said_in_a_sentence(folder, capsys, words, sentence):
    assert run(*words) == 2
    assert sentence in capsys.readouterr().err


def test_an_earlier_output_is_not_overwritten(folder, capsys):
    assert run("raw/p1/scan1/1.nxs", "--rule", "good") == 0
    assert run("raw/p1/scan1/1.nxs", "--rule", "good") == 2
    assert "is there already" in capsys.readouterr().err
