"""Rules: which files they take, what runs that makes, and the reason in words."""

from types import SimpleNamespace

import pytest

from beamhub.processing.rules import columns, fields, pattern, planned, verdict
from beamhub.processing.settings import RuleSettings, StorageSettings


def rule(path: str = "**", storage: str = "beamline", **more) -> RuleSettings:
    return RuleSettings.model_validate({"when": {"storage": storage, "path": path}, "function": "average"} | more)


@pytest.mark.parametrize(
    ("glob", "path", "matches"),
    [
        ("*.nxs", "a.nxs", True),
        ("*.nxs", "red/a.nxs", False),
        ("*/*.nxs", "red/a.nxs", True),
        ("**/*.nxs", "a.nxs", True),
        ("**/*.nxs", "red/s/a.nxs", True),
        ("**", "red/s/a.nxs", True),
        ("red/**", "red/s/a.nxs", True),
        ("red/**", "reddish/a.nxs", False),
        ("*/scan_*/**/raw/*.nxs", "red/scan_1/raw/a.nxs", True),
        ("*/scan_*/**/raw/*.nxs", "red/scan_1/x/y/raw/a.nxs", True),
        ("*/scan_000[2-5]_*/*", "red/scan_0004_loq/a.nxs", True),
        ("*/scan_000[2-5]_*/*", "red/scan_0006_loq/a.nxs", False),
        ("[!a]?.nxs", "b1.nxs", True),
        ("[!a]?.nxs", "a1.nxs", False),
        ("[!a]x", "/x", False),
        ("a?b", "a/b", False),
        ("a.b", "axb", False),
        ("(a|b)+$^", "(a|b)+$^", True),
        ("a[b", "a[b", True),
        ("[a&&b]", "&", True),
        ("*.nxs", "line\nbreak.nxs", True),
        ("*.NXS", "a.nxs", False),
        ("ä*", "äb", True),
    ],
)
def test_a_pattern_matches_whole_paths_with_stars_within_names(glob, path, matches):
    assert bool(pattern(glob).fullmatch(path)) == matches


@pytest.mark.parametrize(
    ("layout", "path", "found"),
    [
        ("{proposal}", "red/a.nxs", {"proposal": "red"}),
        ("{proposal}", "a.nxs", {}),
        ("{proposal}/{scan}", "red/a.nxs", {"proposal": "red"}),
        ("{proposal}/{scan}", "red/s/deep/a.nxs", {"proposal": "red", "scan": "s"}),
        ("data/{year}/c{proposal}", "data/2026/c11/a.nxs", {"year": "2026", "proposal": "11"}),
        ("data/{year}/c{proposal}", "data/2026/x11/a.nxs", {}),
        ("{beamline}-{proposal}", "p03-11/a.nxs", {"beamline": "p03", "proposal": "11"}),
        ("a+{proposal}", "a+red/x/b.nxs", {"proposal": "red"}),
    ],
)
def test_the_layout_reads_fields_from_the_leading_folders_and_never_from_the_files_name(tmp_path, layout, path, found):
    assert fields(StorageSettings(root=tmp_path, layout=layout), path) == found


@pytest.mark.parametrize(
    ("storage", "path", "takes", "reason"),
    [
        ("beamline", "red/a.nxs", True, "the path matches */*.nxs"),
        ("beamline", "red/a.tif", False, "the path does not match */*.nxs"),
        ("archive", "red/a.nxs", False, "it is for storage beamline, the file is in archive"),
    ],
)
def test_a_verdict_says_why(storage, path, takes, reason):
    found = verdict("radial", rule("*/*.nxs"), storage, path)
    assert (found.rule, found.takes, found.reason) == ("radial", takes, reason)


def test_each_rule_that_takes_a_file_plans_a_run_with_the_version_in_force():
    rules = {"one": rule("*/*.nxs", **{"with": {"bins": 5}}), "other": rule("*.tif"), "two": rule(function="mean")}
    functions = {
        "average": SimpleNamespace(digest="d1", version="3"),
        "mean": SimpleNamespace(digest="d2", version="1"),
    }
    runs = planned(rules, functions.get, "beamline", "red/a.nxs")
    found = [(run.rule, run.function, run.parameters, run.digest, run.version) for run in runs]
    assert found == [("one", "average", {"bins": 5}, "d1", "3"), ("two", "mean", {}, "d2", "1")]


def test_a_function_that_is_not_known_is_planned_without_a_digest():
    (run,) = planned({"one": rule()}, lambda name: None, "beamline", "red/a.nxs")
    assert (run.function, run.digest, run.version) == ("average", "", "")


def test_columns_are_those_of_all_rules_that_take_a_file_and_the_first_rule_wins():
    rules = {
        "one": rule("*.nxs", columns={"sample": "entry/title"}),
        "two": rule("*", columns={"sample": "entry/sample/name", "energy": "entry/energy"}),
        "none": rule("*.tif", columns={"exposure": "header/time"}),
    }
    assert columns(rules, "beamline", "a.nxs") == {"sample": "entry/title", "energy": "entry/energy"}
    assert columns(rules, "beamline", "a.dat") == {"sample": "entry/sample/name", "energy": "entry/energy"}
    assert columns(rules, "archive", "a.nxs") == {}
