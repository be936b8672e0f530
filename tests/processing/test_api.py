import base64
import json
from pathlib import Path

import pytest
from services.api import Bench, serving
from sqlalchemy.exc import OperationalError

from beamhub.catalog.records import Run
from beamhub.config.mistakes import Mistake, Mistakes
from beamhub.processing.query import RunQuery


@pytest.fixture(scope="module")
def bench(tmp_path_factory, module_store_url):
    made = Bench(tmp_path_factory.mktemp("api"), module_store_url)
    made.done, made.failed, made.queued = made.arrive("red/scan1/a.nxs", "red/scan1/b.nxs", "red/scan2/c.nxs")
    (made.blue,) = made.arrive("blue/scan1/a.nxs")
    made.finish(made.done, {"total": 5.0})
    made.fail(made.failed, quarantined=True)
    made.store.recover()
    with serving(made):
        yield made


def told(answer, status=200):
    assert answer.status_code == status, answer.text
    return answer.json()


def problem(answer, status, reason=None):
    said = told(answer, status)
    assert set(said) == {"message", "reason", "code"}
    assert said["code"] == status
    assert "Traceback" not in said["message"]
    assert reason is None or said["reason"] == reason
    return said["message"]


# Who asks


@pytest.mark.parametrize(
    ("token", "status", "reason"),
    [("", 401, "token"), ("unknown", 401, "token"), ("stranger", 403, "scope"), ("ingester", 403, "scope")],
)
def test_a_token_must_be_known_and_carry_the_scopes(bench, token, status, reason):
    problem(bench.ask(token, "GET", "runs"), status, reason)


def test_a_refused_token_is_told_how_to_ask(bench):
    assert bench.ask("", "GET", "runs").headers["WWW-Authenticate"] == "Bearer"


def test_a_token_that_is_no_text_is_unknown(bench):
    answer = bench.ask("", "GET", "runs", headers={"Authorization": b"token \xff\xfe"})
    problem(answer, 401, "token")


def test_reading_takes_the_read_scope_and_changing_the_write_scope(bench):
    told(bench.ask("reader", "GET", "runs"))
    for path in (f"runs/{bench.queued}/cancel", f"runs/{bench.failed}/release", "runs", "rules/sum/pause"):
        problem(bench.ask("reader", "POST", path, json={}), 403, "scope")


def test_while_the_hub_does_not_answer_the_service_says_try_again(bench):
    bench.hub.away = True
    try:
        answer = bench.ask("alice", "GET", "runs")
    finally:
        bench.hub.away = False
    problem(answer, 503, "hub-away")
    assert int(answer.headers["Retry-After"]) > 0


def test_while_the_store_does_not_answer_the_service_says_try_again(bench, monkeypatch):
    def away(*args):
        raise OperationalError("SELECT", {}, Exception("no connection"))

    monkeypatch.setattr(bench.store, "listing", away)
    answer = bench.ask("alice", "GET", "runs")
    problem(answer, 503, "store-away")
    assert int(answer.headers["Retry-After"]) > 0


def test_what_goes_wrong_inside_is_not_told(bench, monkeypatch):
    def wrong(*args):
        raise RuntimeError("secret of the inside")

    monkeypatch.setattr(bench.store, "listing", wrong)
    assert "secret" not in problem(bench.ask("alice", "GET", "runs"), 500, "internal")


@pytest.mark.parametrize("path", ["runs", "health", "nothing", "results/1/plot"])
def test_no_answer_can_be_taken_for_a_page(bench, path):
    headers = bench.ask("alice", "GET", path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "Server" not in headers


# Listings


def test_a_page_of_runs_has_rows_cursors_and_the_position_of_the_feed(bench):
    page = told(bench.ask("alice", "GET", "runs", params={"limit": 2}))
    assert [run["id"] for run in page["items"]] == [bench.queued, bench.failed]
    assert page["seq"] == bench.store.head()
    rest = told(bench.ask("alice", "GET", "runs", params={"limit": 2, "after": page["after"]}))
    assert [run["id"] for run in rest["items"]] == [bench.done]
    assert rest["items"][0]["title"] == "Sum"
    assert set(rest["items"][0]) == set(Run.model_fields)


def test_runs_are_filtered_and_sorted(bench):
    def ids(**params):
        return [run["id"] for run in told(bench.ask("alice", "GET", "runs", params=params))["items"]]

    assert ids(state="failed") == [bench.failed]
    assert ids(text="SCAN2 c.nxs") == [bench.queued]
    assert ids(sort="scalar:total", limit=1) == [bench.done]
    assert ids(ids=f"{bench.done},{bench.blue}") == [bench.done]
    assert ids(function="mean") == []
    assert ids(since="2126-01-01T00:00:00Z") == []


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("total<6 state:done", ["done"]),
        ("total>=5.5", []),
        ("TOTAL:5", ["done"]),
        ("SCAN2 c.nxs", ["queued"]),
        ("state:waiting", ["queued"]),
        ("function:sum rule:sum b.nxs", ["failed"]),
        ("before:yesterday", []),
        ("after:yesterday scan1", ["failed", "done"]),
    ],
)
def test_runs_are_searched_for_in_the_words_of_the_table(bench, search, found):
    params = {"search": search, "zone": "Europe/Berlin"}
    page = told(bench.ask("alice", "GET", "runs", params=params))
    assert [run["id"] for run in page["items"]] == [getattr(bench, name) for name in found]
    assert told(bench.ask("alice", "GET", "runs/count", params=params))["count"] == len(found)
    asked = {"filter": params | {"proposal": "red"}, "dry_run": True}
    assert told(bench.ask("alice", "POST", "runs", json=asked))["count"] == len(found)


def test_what_can_be_shown_and_searched_for_is_listed_of_what_one_may_see(bench):
    with bench.store.writing() as transaction:
        transaction.head("blue", "column", {"secret": ""})
    items = told(bench.ask("alice", "GET", "headings", params={"proposal": "red"}))["items"]
    assert [(one["kind"], one["name"]) for one in items] == [("parameter", "bins"), ("scalar", "total")]
    every = told(bench.ask("alice", "GET", "headings"))["items"]
    assert "secret" not in [one["name"] for one in every]


def test_what_a_rules_table_shows_at_first_is_told_with_what_there_is(bench, monkeypatch):
    rules, changed = bench.settings.rules, {"columns": {"sample": "a"}, "table": ["sample", "bins", "total"]}
    monkeypatch.setitem(rules, "sum", rules["sum"].model_copy(update=changed))  # files of later tests have no columns
    tables = told(bench.ask("alice", "GET", "headings", params={"proposal": "red"}))["tables"]
    assert tables == {"sum": ["column:sample", "parameter:bins", "scalar:total"]}


def test_runs_are_counted_by_state(bench):
    assert told(bench.ask("alice", "GET", "runs/count")) == {
        "count": 3,
        "exact": True,
        "states": {"done": 1, "failed": 1, "queued": 1},
        "held": 0,
        "seconds": None,
    }


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("runs?sort=nothing", "possible: queued"),
        ("runs?limit=0", "limit"),
        ("runs?limit=501", "limit"),
        ("runs?limit=many", "limit='many'"),
        ("runs?limit=-1", "limit='-1'"),
        ("runs?state=sleeping", "possible: queued, running, done, failed, cancelled"),
        ("runs?sotr=queued", "unknown query parameter 'sotr'"),
        ("runs?since=yesterday", "write it like 2026-11-23T14:02:00Z"),
        ("runs?since=2026-11-23T14:02:00", "no zone"),
        ("runs?after=x&before=y", "exclude each other"),
        ("runs?after=nonsense", "no cursor"),
        ("runs?text=%00", "NUL"),
        ("runs?function=%00", "NUL"),
        ("runs?text=%ff", "text"),
        ("runs?ids=1,two", "ids='two'"),
        ("runs?ids=" + "9" * 30, "ids="),
        ("runs?at=" + "9" * 30, "at="),
        ("runs?file=1e3", "file='1e3'"),
        ("runs?text=" + "+".join("w" * 150), "text"),
        ("runs?search=state:sleeping", "there is no state 'sleeping'; possible: queued, waiting"),
        ("runs?search=totla<5", "nothing here is called 'totla'; did you mean total?"),
        (
            "runs?search=secret:x",
            "nothing here is called 'secret'; possible: state, function, rule, after, before, bins, total.",
        ),
        ("runs?search=state:done&state=failed", "state is asked for twice, as failed and as done"),
        ("runs?search=a&zone=Mars/Base", "there is no time zone 'Mars/Base'"),
        ("runs?search=a&zone=../../etc/passwd", "there is no time zone"),
        ("runs?search=" + "w" * 1001, "search is longer than 1000 characters"),
        ("runs?search=" + "+".join("w" * 21), "look for less"),
        ("runs/count?search=rule:nothing", "there is no rule 'nothing'; possible: "),
        ("headings?limit=3", "unknown query parameter 'limit'"),
        ("runs/count?limit=3", "unknown query parameter 'limit'"),
        ("files?limit=0", "limit"),
        ("files?after=x", "after='x'"),
        ("files/explain", "say which path"),
        ("changes?after=x", "x"),
    ],
)
@pytest.mark.promise("bad input")
def test_a_query_that_cannot_be_understood_is_refused_with_its_place(bench, path, says):
    assert says in problem(bench.ask("alice", "GET", path), 400)


def cursor_with(bench, value, number=1, sort="-queued"):
    """A cursor of this very query with another content."""
    page = told(bench.ask("alice", "GET", "runs", params={"limit": 1, "sort": sort}))
    text = page["after"] + "=" * (-len(page["after"]) % 4)
    mark = json.loads(base64.urlsafe_b64decode(text))[0]
    return base64.urlsafe_b64encode(json.dumps([mark, value, number]).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    ("sort", "value"),
    [("-queued", "text"), ("-queued", 10**30), ("scalar:total", 10**400), ("scalar:total", float("nan")),
     ("file", "\ud800"), ("file", "\0"), ("file", 3)],
)  # fmt: skip
def test_a_cursor_with_another_content_is_refused(bench, sort, value):
    made = cursor_with(bench, value, sort=sort)
    assert "no cursor" in problem(bench.ask("alice", "GET", "runs", params={"sort": sort, "after": made}), 400)


def test_a_deeply_nested_cursor_is_refused(bench):
    deep = base64.urlsafe_b64encode(b"[" * 20000).decode()
    assert "no cursor" in problem(bench.ask("alice", "GET", f"runs?after={deep}"), 400)


def test_a_cursor_of_another_query_is_refused(bench):
    after = told(bench.ask("alice", "GET", "runs?limit=1"))["after"]
    problem(bench.ask("alice", "GET", f"runs?limit=1&state=done&after={after}"), 400, "cursor")
    problem(bench.ask("alice", "GET", "runs?after=nonsense"), 400, "cursor")


# Single things


def test_one_run_has_all_that_is_known_of_it(bench):
    run = told(bench.ask("alice", "GET", f"runs/{bench.done}"))
    assert run["has"] == ["file", "preview", "plot"]
    assert run["log_tail"] == "measured"
    assert run["scalars"]["total"]["value"] == 5.0
    assert run["output"].endswith("/out.nxs")
    assert told(bench.ask("alice", "GET", f"runs/{bench.failed}"))["error"]["traceback"] == ["line 1"]


@pytest.mark.parametrize("path", ["runs/999", "files/999", "results/999/file", "results/999/plot", "nothing"])
def test_what_is_not_there_is_not_found(bench, path):
    problem(bench.ask("alice", "GET", path), 404, "not-found")


@pytest.mark.parametrize("path", ["runs/" + "9" * 30, "files/" + "9" * 30, "results/" + "9" * 30 + "/file"])
def test_a_number_that_no_database_holds_is_refused(bench, path):
    problem(bench.ask("alice", "GET", path), 400)


def test_another_method_is_refused_as_json(bench):
    problem(bench.ask("alice", "DELETE", "runs/1"), 405)


def test_a_file_has_its_runs(bench):
    page = told(bench.ask("alice", "GET", "files", params={"limit": 2}))
    assert [file["name"] for file in page["items"]] == ["c.nxs", "b.nxs"]
    rest = told(bench.ask("alice", "GET", "files", params={"limit": 2, "after": page["after"]}))
    (first,) = rest["items"]
    assert [run["id"] for run in told(bench.ask("alice", "GET", f"files/{first['id']}"))["runs"]] == [bench.done]


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("red/scan1/a.nxs", "its last run (add) is done"),
        ("red/scan9/z.nxs", "has not arrived; when it does, sum will take it"),
        ("red/scan9/z.txt", "has not arrived, and no rule would take it"),
    ],
)
def test_a_path_is_explained(bench, path, says):
    answer = told(bench.ask("alice", "GET", "files/explain", params={"path": path}))
    assert says in answer["summary"]
    assert answer["rules"][0]["rule"] == "sum"


@pytest.mark.promise("access")
def test_nothing_is_told_of_a_file_of_another_proposal_by_a_way_through_ones_own(bench):
    raw = bench.settings.storages["beamline"].root
    (raw / "red").mkdir(exist_ok=True)
    (raw / "blue").mkdir(exist_ok=True)
    (raw / "blue/there.nxs").touch()

    def explained(path):
        answer = told(bench.ask("alice", "GET", "files/explain", params={"path": path}))
        return [sentence.replace(path, "PATH") for sentence in answer["explanation"]]

    assert explained("red/../blue/there.nxs") == explained("red/../blue/none.nxs")
    assert explained("red/there.nxs") != explained("red/../blue/there.nxs")


def test_a_run_says_in_sentences_why_it_is_in_its_state_and_its_path_and_name_say_the_same(bench):
    sentences = told(bench.ask("alice", "GET", f"runs/{bench.failed}"))["explanation"]
    assert sentences[0] == "The rule sum took the file: the path matches */*/*.nxs."
    assert any("took too long" in one for one in sentences)
    assert any(one.startswith("To do: it is held") for one in sentences)
    whole = str(bench.settings.storages["beamline"].root / "red/scan1/b.nxs")
    for asked in ("red/scan1/b.nxs", "b.nxs", whole):
        assert told(bench.ask("alice", "GET", "files/explain", params={"path": asked}))["explanation"] == sentences
    assert told(bench.ask("alice", "GET", "runs"))["items"][0]["explanation"] == []


def test_more_runs_than_a_page_are_followed_and_cancelled_by_the_key_they_were_asked_with(tmp_path):
    with serving(Bench(tmp_path)) as bench:
        many = bench.arrive(*(f"red/scan5/{number:03}.nxs" for number in range(501)))
        asked = {"json": {"filter": {"ids": many, "function": "add"}}, "headers": {"Idempotency-Key": "many/of them"}}
        first = told(bench.ask("alice", "POST", "runs", **asked), 201)
        assert told(bench.ask("alice", "POST", "runs", **asked), 201)["items"] == first["items"]
        assert len(first["items"]) == 500
        path = "requests/many%2Fof%20them"
        assert told(bench.ask("alice", "GET", path)) == {"count": 501, "states": {"queued": 501}}
        done, running = (run["id"] for run in first["items"][:2])
        bench.finish(done)
        bench.store.lost(set(bench.claims) - {done, running})
        ended = {"count": 501, "states": {"done": 1, "running": 1, "cancelled": 499}}
        assert told(bench.ask("alice", "POST", f"{path}/cancel")) == ended
        assert bench.store.count(RunQuery(("red",))).states["queued"] == 501  # of nobody's request
        problem(bench.ask("bob", "GET", path), 404)
        problem(bench.ask("reader", "POST", f"{path}/cancel"), 403, "scope")


def test_a_missing_file_says_whether_it_is_on_disk_and_what_to_do(bench):
    def explain(path):
        return " ".join(told(bench.ask("alice", "GET", "files/explain", params={"path": path}))["explanation"])

    assert "There is no such file in the storage" in explain("red/scan9/z.nxs")
    folder = bench.folder / "raw/red/scan9"
    folder.mkdir(parents=True)
    (folder / "y.nxs").touch()
    assert "No source watches the storage beamline" in explain("red/scan9/y.nxs")
    assert "no file at this path or of this name" in problem(
        bench.ask("alice", "GET", "files/explain", params={"path": "c.txt"}), 404
    )


def test_a_file_of_another_proposal_is_not_explained_by_its_name(bench):
    (mine,) = bench.arrive("blue/scan1/only_blue.nxs")
    assert (
        told(bench.ask("bob", "GET", "files/explain", params={"path": "only_blue.nxs"}))["file"]["runs"][0]["id"]
        == mine
    )
    problem(bench.ask("alice", "GET", "files/explain", params={"path": "only_blue.nxs"}), 404)


def test_functions_rules_and_proposals_are_listed(bench):
    functions = told(bench.ask("alice", "GET", "functions"))["items"]
    assert [(f["name"], f["parameters"]["properties"]["bins"]["default"]) for f in functions] == [
        ("add", 100),
        ("mean", 100),
    ]
    (rule,) = told(bench.ask("alice", "GET", "rules"))["items"]
    assert (rule["name"], rule["function"], rule["parameters"], rule["paused"]) == (
        "sum",
        "add",
        {"bins": 7},
        False,
    )
    (proposal,) = told(bench.ask("alice", "GET", "proposals"))["items"]
    assert (proposal["name"], proposal["files"], proposal["runs"]) == ("red", 3, 3)


def test_a_proposal_without_files_is_an_empty_table_for_its_group(bench):
    bench.hub.tokens["fresh"] = bench.hub.tokens["alice"] | {"groups": ["green"]}
    assert told(bench.ask("fresh", "GET", "runs?proposal=green"))["items"] == []
    problem(bench.ask("alice", "GET", "runs?proposal=green"), 404)


# Results


def test_an_output_is_sent_whole_or_in_ranges(bench):
    path = f"results/{bench.done}/file"
    whole = bench.ask("alice", "GET", path)
    assert (whole.content, whole.headers["Content-Type"]) == (b"0123456789", "application/x-hdf5")
    assert whole.headers["Content-Disposition"].startswith("attachment")
    part = bench.ask("alice", "GET", path, headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.content, part.headers["Content-Range"]) == (206, b"234", "bytes 2-4/10")
    last = bench.ask("alice", "GET", path, headers={"Range": "bytes=-3"})
    assert last.content == b"789"
    head = bench.ask("alice", "HEAD", path)
    assert (head.status_code, head.headers["Content-Length"], head.content) == (200, "10", b"")
    problem(bench.ask("alice", "GET", path, headers={"Range": "bytes=20-30"}), 416)


@pytest.mark.parametrize("what", ["file", "preview.png", "plot"])
def test_a_result_that_is_known_already_is_not_sent_again(bench, what):
    path = f"results/{bench.done}/{what}"
    tag = bench.ask("alice", "GET", path).headers["ETag"]
    again = bench.ask("alice", "GET", path, headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")


def test_an_output_that_is_a_link_is_not_sent(bench, tmp_path):
    (run,) = bench.arrive("red/scan3/link.nxs")
    bench.finish(run)
    output = bench.settings.results / f"red/{run}/1/out.nxs"
    (tmp_path / "secret").write_text("secret")
    output.unlink()
    output.symlink_to(tmp_path / "secret")
    problem(bench.ask("alice", "GET", f"results/{run}/file"), 404)


def test_a_preview_is_as_wide_as_asked(bench):
    path = f"results/{bench.done}/preview.png"
    whole = bench.ask("alice", "GET", path)
    assert whole.headers["Content-Type"] == "image/png"
    small = bench.ask("alice", "GET", path, params={"width": 16}).content
    assert int.from_bytes(small[16:20], "big") == 16  # PNG: the width is in bytes 16 to 19
    for width in (0, 15, 2049, 10**30):
        problem(bench.ask("alice", "GET", path, params={"width": width}), 400)


def test_a_run_without_result_says_its_state(bench):
    assert "is failed and has no output" in problem(bench.ask("alice", "GET", f"results/{bench.failed}/file"), 404)


# Runs again


def again(bench, body, who="alice", **headers):
    return bench.ask(who, "POST", "runs", json=body, headers={k.replace("_", "-"): v for k, v in headers.items()})


def test_runs_are_done_again_with_other_parameters(bench):
    (run,) = told(again(bench, {"ids": [bench.done], "parameters": {"bins": 9}}), 201)["items"]
    assert (run["parameters"], run["cause"], run["requested_by"]) == ({"bins": 9}, "requested", "alice")
    assert run["function"] == "add"
    (other,) = told(again(bench, {"ids": [bench.done], "function": "mean"}), 201)["items"]
    assert (other["function"], other["parameters"]) == ("mean", {})


def test_the_same_key_gives_the_same_runs_and_another_body_is_refused(bench):
    body = {"ids": [bench.done]}
    first = told(again(bench, body, Idempotency_Key="once"), 201)
    assert told(again(bench, body, Idempotency_Key="once"), 201)["items"] == first["items"]
    assert told(again(bench, body), 201)["items"] != first["items"]
    problem(again(bench, body | {"parameters": {"bins": 3}}, Idempotency_Key="once"), 409, "idempotency-key")
    told(again(bench, {"ids": [bench.blue]}, "bob", Idempotency_Key="once"), 201)


def test_a_filter_is_counted_before_it_is_run(bench):
    count = told(again(bench, {"filter": {"proposal": "red", "state": "done", "text": "a.nxs"}, "dry_run": True}))
    assert count["count"] == 1
    assert count["seconds"] > 0
    before = told(bench.ask("alice", "GET", "runs/count"))["count"]
    new = told(again(bench, {"filter": {"proposal": "red", "state": "done", "text": "a.nxs"}}), 201)["items"]
    assert len(new) == 1
    assert told(bench.ask("alice", "GET", "runs/count"))["count"] == before + 1


def test_how_long_it_takes_counts_what_waits_already(bench):
    asked = {"ids": [bench.done], "dry_run": True}
    before = told(again(bench, asked))["seconds"]
    told(again(bench, {"ids": [bench.done, bench.failed]}), 201)
    assert told(again(bench, asked))["seconds"] > before


def test_more_than_are_done_again_at_once_are_refused_with_what_to_do(bench, monkeypatch):
    monkeypatch.setattr("beamhub.processing.api.runs.MOST_AGAIN", 1)
    said = problem(again(bench, {"filter": {"proposal": "red"}, "dry_run": True}), 400)
    assert "more than 1 runs match" in said
    assert "To do: search for fewer" in said


def test_a_filter_may_say_all_that_a_listing_can(bench):
    asked = {
        "proposal": ["red"],
        "function": "add",
        "rule": "sum",
        "state": "done",
        "text": "scan1",
        "since": "2020-01-01T00:00:00Z",
        "until": "2120-01-01T00:00:00Z",
        "ids": [bench.done],
        "file": 1,
    }
    assert told(again(bench, {"filter": asked, "dry_run": True}))["count"] == 1
    assert told(again(bench, {"filter": {}, "dry_run": True}))["count"] >= 3


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "either ids or filter"),
        ({"ids": [1], "filter": {"proposal": "red"}}, "either ids or filter"),
        ({"ids": "1"}, "ids"),
        ({"ids": ["1"]}, "ids.0"),
        ({"ids": [-1]}, "ids"),
        ({"ids": [10**30]}, "ids"),
        ({"ids": [1], "function": "nothing"}, "there is: add, mean"),
        ({"ids": [1], "function": "\0"}, "function"),
        ({"ids": [1], "parameters": {"bins": 0}}, "parameters.bins"),
        ({"ids": [1], "parameters": {"bins": "many"}}, "parameters.bins"),
        ({"ids": [1], "parameters": {"bin": 3}}, "bin"),
        ({"ids": [1], "parameters": {"mask": "/etc/passwd"}}, "only a rule can set it"),
        ({"ids": [1], "parametres": {}}, "parametres"),
        ({"ids": [1], "dry_run": "yes"}, "dry_run"),
        ({"filter": {"proposal": "red", "states": "done"}}, "filter.states"),
        ({"filter": {"proposal": "red", "state": "sleeping"}}, "filter.state"),
        ({"filter": {"proposal": "red", "text": "\0"}}, "NUL"),
        ({"filter": {"proposal": "red", "function": "\0"}}, "NUL"),
        ({"filter": {"proposal": "red", "file": 10**30}}, "filter.file"),
        ([], "object"),
    ],
)
@pytest.mark.promise("bad input")
def test_a_request_that_cannot_be_understood_is_refused_with_its_place(bench, body, says):
    assert says in problem(again(bench, body), 400)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff",
        b'{"ids": [1], "parameters": {"bins": NaN}}',
        b'{"ids": [1], "parameters": {"bins": ' + b"9" * 5000 + b"}}",
        b'{"ids": [1], "parameters": ' + b'{"a":' * 5000 + b"1" + b"}" * 5001,
        b'{"ids": [1], "function": "\\ud800"}',
    ],
    ids=["cut off", "no UTF-8", "NaN", "huge number", "deep", "half a character"],
)
@pytest.mark.promise("bad input")
def test_what_is_no_json_is_refused(bench, body):
    problem(bench.ask("alice", "POST", "runs", content=body), 400)


def test_a_path_that_a_rule_set_stays_when_a_run_is_done_again(bench):
    bench.store.request("k", "b", "alice", [bench.done], lambda run: planned({"bins": 3, "mask": "/masks/1.edf"}))
    newest = told(bench.ask("alice", "GET", "runs?sort=-queued&limit=1"))["items"][0]
    (new,) = told(again(bench, {"ids": [newest["id"]], "parameters": {"bins": 5}}), 201)["items"]
    assert new["parameters"] == {"bins": 5, "mask": "/masks/1.edf"}


def planned(parameters):
    from beamhub.processing.work import PlannedRun

    return PlannedRun("sum", "add", parameters)


# Cancel, release, pause


def test_a_queued_run_is_cancelled_once(bench):
    (run,) = bench.arrive("red/scan4/cancel.nxs")
    assert told(bench.ask("alice", "POST", f"runs/{run}/cancel"))["state"] == "cancelled"
    assert "cancelled" in problem(bench.ask("alice", "POST", f"runs/{run}/cancel"), 409, "cancelled")


def test_the_dispatcher_hears_of_a_running_run_that_is_cancelled(bench):
    (run,) = bench.arrive("red/scan4/running.nxs")
    bench.claim(run)
    told(bench.ask("alice", "POST", f"runs/{run}/cancel"))
    assert bench.store.cancelled_running([run]) == {run}
    bench.store.recover()


def test_a_run_is_released_from_quarantine(bench):
    (run,) = bench.arrive("red/scan4/held.nxs")
    bench.fail(run, quarantined=True)
    assert told(bench.ask("alice", "GET", f"runs/{run}"))["quarantined"] is True
    released = told(bench.ask("alice", "POST", f"runs/{run}/release"))
    assert (released["state"], released["quarantined"]) == ("queued", False)
    problem(bench.ask("alice", "POST", f"runs/{run}/release"), 409, "queued")


@pytest.mark.promise("bad input")
def test_what_is_wrong_with_an_edited_configuration_is_told_to_staff_and_to_others_that_it_is_so(bench):
    wrong = Mistakes(
        Path("processing.yaml"), [Mistake("there is no storage 'x'", "rules.sum.when", 7, "did you mean y?")]
    )
    bench.notice.put(wrong)
    told_to = {who: told(bench.ask(who, "GET", "proposals"))["notice"] for who in ("staff", "admin", "alice", "nobody")}
    bench.notice.put(None)
    assert told_to["staff"] == told_to["admin"]
    assert told_to["staff"].endswith(": processing.yaml:7: there is no storage 'x' @ rules.sum.when; did you mean y?")
    assert told_to["alice"] == told_to["nobody"]
    assert told_to["alice"].endswith("the last good one stays in force; the beamline's staff can see why.")
    assert told(bench.ask("staff", "GET", "proposals"))["notice"] == ""


def test_staff_pause_a_rule(bench):
    problem(bench.ask("alice", "POST", "rules/sum/pause", json={"paused": True}), 403, "staff")
    assert told(bench.ask("staff", "POST", "rules/sum/pause", json={"paused": True}))["paused"] is True
    assert told(bench.ask("alice", "GET", "rules"))["items"][0]["paused"] is True
    assert told(bench.ask("staff", "POST", "rules/sum/pause", json={"paused": False}))["paused"] is False
    for body in ({}, {"paused": "yes"}, {"paused": 1}):
        assert "paused" in problem(bench.ask("staff", "POST", "rules/sum/pause", json=body), 400)
    problem(bench.ask("staff", "POST", "rules/nothing/pause", json={"paused": True}), 404)


# For operators


def test_health_is_for_everybody(bench):
    assert told(bench.ask("", "GET", "health"))["status"] == "ok"


def test_health_says_when_the_store_is_away(bench, monkeypatch):
    def away():
        raise OperationalError("SELECT", {}, Exception("no connection"))

    monkeypatch.setattr(bench.store, "head", away)
    problem(bench.ask("", "GET", "health"), 503, "store-away")


def test_metrics_are_for_services_and_for_those_who_see_everything(bench):
    problem(bench.ask("alice", "GET", "metrics"), 403)
    for token in ("prometheus", "admin"):
        text = bench.ask(token, "GET", "metrics").text
        assert 'beamhub_runs{state="done"}' in text
        assert "beamhub_files" in text


def test_the_api_describes_itself(bench):
    assert "/runs/{id}" in told(bench.ask("", "GET", "openapi.json"))["paths"]
