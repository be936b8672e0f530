import json
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from beamhub.config import check
from beamhub.config.command import main
from beamhub.config.tree import content, parse

DEMO = Path(__file__).parents[2] / "examples/demo"
COMPUTE = """\
sites: {here: {kind: local, ports: 20000-29999, networks: [10.0.0.0/16], start_timeout: 2m}}
environments: {python: {title: Python}}
profiles:
  small: {title: Small, sites: [here], environments: [python], cores: 2, memory: 4G, walltime: 4h}
  large: {title: Large, sites: [here], environments: [python], cores: {choices: [2, 4]}, memory: {choices: [4G, 1T]}}
"""


def schema(kind, capsys):
    assert main(["check", "--schema", kind]) == 0
    found = json.loads(capsys.readouterr().out)
    Draft202012Validator.check_schema(found)
    return Draft202012Validator(found)


def test_right_files_are_said_to_be_right(capsys):
    assert main(["check", str(DEMO / "compute.yaml"), str(DEMO / "processing.yaml")]) == 0
    assert capsys.readouterr().out.splitlines() == [f"{DEMO}/compute.yaml: right", f"{DEMO}/processing.yaml: right"]


def test_the_mistakes_of_all_files_are_told(tmp_path, capsys):
    for name, text in (("compute.yaml", "site: {}"), ("processing.yaml", "storage: {}")):
        (tmp_path / name).write_text(text)
    assert main(["check", *(str(path) for path in sorted(tmp_path.iterdir()))]) == 1
    told = capsys.readouterr().out
    assert "compute.yaml:1: unknown key 'site' @ site; did you mean sites?" in told
    assert "compute.yaml: 4 mistakes" in told
    assert "processing.yaml:1: 'storages' is missing @ storages" in told


def test_the_kind_is_told_by_the_content_where_the_name_does_not(tmp_path, capsys):
    (tmp_path / "maxwell.yaml").write_text(COMPUTE)
    assert main(["check", str(tmp_path / "maxwell.yaml")]) == 0
    (tmp_path / "other.yaml").write_text("a: 1")
    assert main(["check", str(tmp_path / "other.yaml")]) == 1
    assert "name it after its kind (compute, processing), or say --kind" in capsys.readouterr().out
    assert main(["check", "--kind", "compute", str(tmp_path / "other.yaml")]) == 1


def test_without_files_it_is_said_what_to_write(capsys):
    assert main(["check"]) == 2
    assert "beamhub check compute.yaml processing.yaml" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--from", "jupyterhub_config.py", "compute.yaml"], "FILE and --from"),
        (["--schema", "compute", "compute.yaml"], "FILE and --schema"),
        (["--schema", "compute", "--from", "jupyterhub_config.py"], "--schema and --from"),
    ],
)
def test_two_questions_at_a_time_are_refused(words, said, capsys):
    assert main(["check", *words]) == 2
    assert capsys.readouterr() == ("", f"{said} are different questions: ask for one at a time\n")


def test_a_kind_whose_room_is_not_installed_is_said(monkeypatch, capsys):
    point = EntryPoint("compute", "beamhub.spawner.not_there:Model", check.GROUP)
    monkeypatch.setattr(check, "entry_points", lambda group: [point])
    assert main(["check", str(DEMO / "compute.yaml")]) == 2
    assert "pip install 'beamhub[hub]'" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["compute", "processing"])
def test_the_schema_for_editors_takes_the_demos_file(kind, capsys):
    tree, _ = parse((DEMO / f"{kind}.yaml").read_text())
    assert [error.message for error in schema(kind, capsys).iter_errors(content(tree))] == []


def test_the_schema_takes_each_way_to_write_a_choice(capsys):
    tree, _ = parse(COMPUTE)
    assert [error.message for error in schema("compute", capsys).iter_errors(content(tree))] == []


@pytest.mark.parametrize(
    "wrong", ["sites: {here: {kind: local, acounts: none}}", "sites: {here: {kind: lokal}}", "profile: {}"]
)
def test_the_schema_refuses_what_the_check_refuses(wrong, tmp_path, capsys):
    text = "\n".join([wrong, *COMPUTE.splitlines()[1:]])
    (tmp_path / "compute.yaml").write_text(text)
    assert main(["check", str(tmp_path / "compute.yaml")]) == 1
    capsys.readouterr()
    assert not schema("compute", capsys).is_valid(content(parse(text)[0]))
