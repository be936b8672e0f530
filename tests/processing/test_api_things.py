"""One run, one file, one path; functions, rules, proposals."""

import re

import pytest
from services.api import Bench, problem, serving, told

from beamhub.processing.query import RunQuery


def test_one_run_has_all_that_is_known_of_it(api):
    run = told(api.ask("alice", "GET", f"runs/{api.done}"))
    assert run["has"] == ["file", "preview", "plot"]
    assert run["log_tail"] == "measured"
    assert run["scalars"]["total"]["value"] == 5.0
    assert run["output"].endswith("/out.nxs")
    assert told(api.ask("alice", "GET", f"runs/{api.failed}"))["error"]["traceback"] == ["line 1"]


@pytest.mark.parametrize("path", ["runs/999", "files/999", "results/999/file", "results/999/plot", "nothing"])
def test_what_is_not_there_is_not_found(api, path):
    problem(api.ask("alice", "GET", path), 404, "not-found")


@pytest.mark.parametrize("path", ["runs/" + "9" * 30, "files/" + "9" * 30, "results/" + "9" * 30 + "/file"])
def test_a_number_that_no_database_holds_is_refused(api, path):
    problem(api.ask("alice", "GET", path), 400)


def test_another_method_is_refused_as_json(api):
    problem(api.ask("alice", "DELETE", "runs/1"), 405)


def test_a_file_has_its_runs(api):
    page = told(api.ask("alice", "GET", "files", params={"limit": 2}))
    assert [file["name"] for file in page["items"]] == ["c.nxs", "b.nxs"]
    rest = told(api.ask("alice", "GET", "files", params={"limit": 2, "after": page["after"]}))
    (first,) = rest["items"]
    assert [run["id"] for run in told(api.ask("alice", "GET", f"files/{first['id']}"))["runs"]] == [api.done]


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("red/scan1/a.nxs", r"it arrived at 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC; its last run \(add\) is done"),
        ("red/scan9/z.nxs", "has not arrived; when it does, sum will take it"),
        ("red/scan9/z.txt", "has not arrived, and no rule would take it"),
    ],
)
def test_a_path_is_explained(api, path, says):
    answer = told(api.ask("alice", "GET", "files/explain", params={"path": path}))
    assert re.search(says, answer["summary"])
    assert answer["rules"][0]["rule"] == "sum"


@pytest.mark.promise("access")
def test_nothing_is_told_of_a_file_of_another_proposal_by_a_way_through_ones_own(api):
    raw = api.settings.storages["beamline"].root
    (raw / "red").mkdir(exist_ok=True)
    (raw / "blue").mkdir(exist_ok=True)
    (raw / "blue/there.nxs").touch()

    def explained(path):
        answer = told(api.ask("alice", "GET", "files/explain", params={"path": path}))
        return [sentence.replace(path, "PATH") for sentence in answer["explanation"]]

    assert explained("red/../blue/there.nxs") == explained("red/../blue/none.nxs")
    assert explained("red/there.nxs") != explained("red/../blue/there.nxs")


def test_a_run_says_in_sentences_why_it_is_in_its_state_and_its_path_and_name_say_the_same(api):
    sentences = told(api.ask("alice", "GET", f"runs/{api.failed}"))["explanation"]
    assert sentences[0] == "The rule sum took the file: the path matches */*/*.nxs."
    assert any("took too long" in one for one in sentences)
    assert any(one.startswith("To do: it is held") for one in sentences)
    whole = str(api.settings.storages["beamline"].root / "red/scan1/b.nxs")
    for asked in ("red/scan1/b.nxs", "b.nxs", whole):
        assert told(api.ask("alice", "GET", "files/explain", params={"path": asked}))["explanation"] == sentences
    assert told(api.ask("alice", "GET", "runs"))["items"][0]["explanation"] == []


def test_more_runs_than_a_page_are_followed_and_cancelled_by_the_key_they_were_asked_with(tmp_path):
    with serving(Bench(tmp_path)) as api:
        many = api.arrive(*(f"red/scan5/{number:03}.nxs" for number in range(501)))
        asked = {"json": {"filter": {"ids": many, "function": "add"}}, "headers": {"Idempotency-Key": "many/of them"}}
        first = told(api.ask("alice", "POST", "runs", **asked), 201)
        assert told(api.ask("alice", "POST", "runs", **asked), 201)["items"] == first["items"]
        assert len(first["items"]) == 500
        path = "requests/many%2Fof%20them"
        assert told(api.ask("alice", "GET", path)) == {"count": 501, "states": {"queued": 501}}
        done, running = (run["id"] for run in first["items"][:2])
        api.finish(done)
        api.store.lost(set(api.claims) - {done, running})
        ended = {"count": 501, "states": {"done": 1, "running": 1, "cancelled": 499}}
        assert told(api.ask("alice", "POST", f"{path}/cancel")) == ended
        assert api.store.count(RunQuery(("red",))).states["queued"] == 501  # of nobody's request
        problem(api.ask("bob", "GET", path), 404)
        problem(api.ask("reader", "POST", f"{path}/cancel"), 403, "scope")


def test_a_missing_file_says_whether_it_is_on_disk_and_what_to_do(api):
    def explain(path):
        return " ".join(told(api.ask("alice", "GET", "files/explain", params={"path": path}))["explanation"])

    assert "There is no such file in the storage" in explain("red/scan9/z.nxs")
    folder = api.folder / "raw/red/scan9"
    folder.mkdir(parents=True)
    (folder / "y.nxs").touch()
    assert "No source watches the storage beamline" in explain("red/scan9/y.nxs")
    assert "no file at this path or of this name" in problem(
        api.ask("alice", "GET", "files/explain", params={"path": "c.txt"}), 404
    )


def test_a_file_of_another_proposal_is_not_explained_by_its_name(api):
    (mine,) = api.arrive("blue/scan1/only_blue.nxs")
    assert (
        told(api.ask("bob", "GET", "files/explain", params={"path": "only_blue.nxs"}))["file"]["runs"][0]["id"] == mine
    )
    problem(api.ask("alice", "GET", "files/explain", params={"path": "only_blue.nxs"}), 404)


def test_functions_rules_and_proposals_are_listed(api):
    functions = told(api.ask("alice", "GET", "functions"))["items"]
    assert [(f["name"], f["parameters"]["properties"]["bins"]["default"]) for f in functions] == [
        ("add", 100),
        ("mean", 100),
    ]
    (rule,) = told(api.ask("alice", "GET", "rules"))["items"]
    assert (rule["name"], rule["function"], rule["parameters"], rule["paused"]) == (
        "sum",
        "add",
        {"bins": 7},
        False,
    )
    (proposal,) = told(api.ask("alice", "GET", "proposals"))["items"]
    assert (proposal["name"], proposal["files"], proposal["runs"]) == ("red", 3, 3)


def test_a_proposal_without_files_is_an_empty_table_for_its_group(api):
    api.hub.tokens["fresh"] = api.hub.tokens["alice"] | {"groups": ["green"]}
    assert told(api.ask("fresh", "GET", "runs?proposal=green"))["items"] == []
    problem(api.ask("alice", "GET", "runs?proposal=green"), 404)
