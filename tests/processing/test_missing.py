"""Why a file has no runs."""

import pytest

from beamhub.catalog.records import File
from beamhub.processing.missing import Absence, look, why_missing
from beamhub.processing.rules import verdict
from beamhub.processing.settings import Settings

SOURCE = {"kind": "filesystem", "storage": "beamline", "settle": 3.0, "rescan": 20.0}


def settings(tmp_path, sources=None, rules=None) -> Settings:
    (tmp_path / "raw/red").mkdir(parents=True, exist_ok=True)
    rules = (
        {"sums": {"when": {"storage": "beamline", "path": "*/*.nxs"}, "function": "add"}} if rules is None else rules
    )
    told = {"storages": {"beamline": {"root": "raw"}}, "rules": rules}
    told["sources"] = {"watched": SOURCE} if sources is None else sources
    return Settings.model_validate(told, context={"folder": tmp_path})


def told(asked: Settings, path: str, lies: str = "unknown", file: File | None = None) -> str:
    verdicts = [verdict(name, rule, "beamline", path) for name, rule in asked.rules.items()]
    return "\n".join(why_missing(Absence("beamline", path, file, verdicts, lies), asked))


@pytest.mark.parametrize(
    ("path", "lies", "says"),
    [
        ("red/a.nxs", "absent", "There is no such file in the storage."),
        ("red/a.nxs", "there", "has not changed for 3 s; what nothing told of is found by a scan every 20 s"),
        ("red/a.nxs", "outside", "a symbolic link, which is not followed"),
        ("red/a.nxs", "unknown", "When it arrives, sums will take it."),
        ("red/.a.nxs", "there", "Its name matches .*, which is left out."),
        ("red/a.txt", "unknown", "sums: the path does not match */*.nxs."),
        ("red/a.txt", "unknown", "To do: mend the path of a rule"),
    ],
)
def test_a_file_that_has_not_arrived_says_why_and_what_to_do(tmp_path, path, lies, says):
    found = told(settings(tmp_path), path, lies)
    assert "The file has not arrived" in found
    assert says in found


def test_a_storage_that_nothing_watches_says_so(tmp_path):
    assert "No source watches the storage beamline" in told(settings(tmp_path, sources={}), "red/a.nxs", "there")


def test_without_rules_it_says_so(tmp_path):
    assert "There are no rules" in told(settings(tmp_path, rules={}), "red/a.nxs")


def arrived(kind: str = "closed") -> File:
    times = dict.fromkeys(("time", "arrived"), "2026-11-26T12:00:00Z")
    where = {"storage": "beamline", "path": "red/a", "name": "a", "size": 1, "source": "watched"}
    return File(id=1, seq=1, proposal="red", kind=kind, **where, **times)


def test_a_file_that_arrived_without_a_rule_says_how_to_have_it_processed(tmp_path):
    assert "beamhub process PATH --rule sums" in told(settings(tmp_path), "red/a.nxs", file=arrived())
    assert "No rule takes it:" in told(settings(tmp_path), "red/a.txt", file=arrived())
    assert "was removed since" in told(settings(tmp_path), "red/a.nxs", file=arrived("removed"))


def test_a_storage_is_looked_at_beneath_its_root_only(tmp_path):
    (tmp_path / "red").mkdir()
    (tmp_path / "red/a.nxs").touch()
    (tmp_path / "red/link.nxs").symlink_to("/etc/passwd")
    found = [look(tmp_path, path) for path in ("red/a.nxs", "red/b.nxs", "red/link.nxs", "../x", "red/a.nxs/b")]
    assert found == ["there", "absent", "outside", "outside", "absent"]
