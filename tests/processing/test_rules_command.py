"""``beamhub rules explain PATH``."""

from pathlib import Path

import pytest
from services.measurements import arrival, arrive, claim, fail

from beamhub.config.command import main
from beamhub.processing.store import Store


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "raw/red").mkdir(parents=True)
    (tmp_path / "processing.yaml").write_text(
        """
storages: {beamline: {root: raw, layout: "{proposal}/{scan}"}, archive: {root: .}}
results: /somewhere/else
rules:
  radial: {when: {storage: beamline, path: "*/sans/*.nxs"}, function: average}
  everything: {when: {storage: beamline}, function: average}
  old: {when: {storage: archive}, function: average}
"""
    )
    return tmp_path / "processing.yaml"


def explain(config: Path, path: Path | str) -> int:
    return main(["rules", "explain", str(path), "--config", str(config)])


def test_each_rule_says_why_it_takes_a_file_or_not(config, capsys):
    assert explain(config, config.parent / "raw/red/waxs/a.nxs") == 0
    assert capsys.readouterr().out.splitlines() == [
        "storage beamline, proposal red, path red/waxs/a.nxs",
        "does not: radial: the path does not match */sans/*.nxs",
        "takes it: everything: the path matches **",
        "does not: old: it is for storage archive, the file is in beamline",
    ]


def test_a_path_may_be_relative_to_where_one_is(config, capsys, monkeypatch):
    monkeypatch.chdir(config.parent / "raw")
    assert explain(config, "red/sans/a.nxs") == 0
    assert "takes it: radial" in capsys.readouterr().out


def test_a_file_that_no_rule_takes_ends_with_1(config, capsys):
    text = config.read_text()
    config.write_text(text[: text.index("  everything")])
    assert explain(config, config.parent / "raw/red/a.txt") == 1
    assert "does not: radial" in capsys.readouterr().out


def test_a_path_outside_of_all_storages_ends_with_2_and_their_roots(config, capsys):
    assert explain(config, "/etc/passwd") == 2
    assert f"/etc/passwd lies in no storage; their roots are {config.parent}/raw" in capsys.readouterr().err


def test_a_link_that_leads_out_of_the_storage_is_not_followed_at_its_last_part(config, capsys):
    (config.parent / "raw/red/link.nxs").symlink_to("/etc/passwd")
    assert explain(config, config.parent / "raw/red/link.nxs") == 0
    assert "path red/link.nxs" in capsys.readouterr().out


def test_a_file_with_runs_is_explained_as_the_service_does(config, capsys):
    config.write_text(config.read_text() + "store: sqlite:///beamhub.db")
    store = Store.open(f"sqlite:///{config.parent}/beamhub.db")
    (number,) = arrive(store, "red/sans/a.nxs")
    fail(store, claim(store, number)[0])
    store.intake([arrival("red/other.txt")])
    explain(config, config.parent / "raw/red/sans/a.nxs")
    *_, took, wrong, line, said, unknown, todo = capsys.readouterr().out.splitlines()
    assert took == "The rule radial took the file: the path matches */sans/*.nxs."
    assert wrong == "The function itself is wrong: NoOutput: nothing was written."
    assert (line, said) == ("The function's own line: line 7, in average", "The last that it printed: it began")
    assert unknown == "There is no function radial_function now."
    assert todo.startswith("To do: show the line")
    explain(config, config.parent / "raw/red/other.txt")
    assert "The file arrived at " in capsys.readouterr().out
    explain(config, config.parent / "raw/red/none.nxs")
    assert "There is no such file in the storage." in capsys.readouterr().out
    store.close()
    explain(config, config.parent / "raw/red/sans/a.nxs")  # also while the service does not run
    assert "The rule radial took the file" in capsys.readouterr().out


def test_a_store_that_cannot_be_read_is_said_and_not_changed(config, capsys):
    config.write_text(config.read_text() + "store: sqlite:///beamhub.db")
    (config.parent / "beamhub.db").write_bytes(b"")
    assert explain(config, config.parent / "raw/red/sans/a.nxs") == 0
    assert "the store cannot be read: " in capsys.readouterr().out
    assert (config.parent / "beamhub.db").read_bytes() == b""


def test_a_wrong_configuration_ends_with_2_and_its_mistakes(config, capsys):
    config.write_text("storages: {beamline: {root: gone}}")
    assert explain(config, "x") == 2
    assert "there is no folder" in capsys.readouterr().err
