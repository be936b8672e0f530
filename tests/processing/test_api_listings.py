"""Listings, counts and headings of runs, and how a query that cannot be understood is refused."""

import base64
import json

import pytest
from services.api import problem, told

from beamhub.catalog.records import Run


def test_a_page_of_runs_has_rows_cursors_and_the_position_of_the_feed(api):
    page = told(api.ask("alice", "GET", "runs", params={"limit": 2}))
    assert [run["id"] for run in page["items"]] == [api.queued, api.failed]
    assert page["seq"] == api.store.head()
    rest = told(api.ask("alice", "GET", "runs", params={"limit": 2, "after": page["after"]}))
    assert [run["id"] for run in rest["items"]] == [api.done]
    assert rest["items"][0]["title"] == "Sum"
    assert set(rest["items"][0]) == set(Run.model_fields)


def test_runs_are_filtered_and_sorted(api):
    def ids(**params):
        return [run["id"] for run in told(api.ask("alice", "GET", "runs", params=params))["items"]]

    assert ids(state="failed") == [api.failed]
    assert ids(text="SCAN2 c.nxs") == [api.queued]
    assert ids(sort="scalar:total", limit=1) == [api.done]
    assert ids(ids=f"{api.done},{api.blue}") == [api.done]
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
def test_runs_are_searched_for_in_the_words_of_the_table(api, search, found):
    params = {"search": search, "zone": "Europe/Berlin"}
    page = told(api.ask("alice", "GET", "runs", params=params))
    assert [run["id"] for run in page["items"]] == [getattr(api, name) for name in found]
    assert told(api.ask("alice", "GET", "runs/count", params=params))["count"] == len(found)
    asked = {"filter": params | {"proposal": "red"}, "dry_run": True}
    assert told(api.ask("alice", "POST", "runs", json=asked))["count"] == len(found)


def test_what_can_be_shown_and_searched_for_is_listed_of_what_one_may_see(api):
    with api.store.writing() as transaction:
        transaction.head("blue", "column", {"secret": ""})
    items = told(api.ask("alice", "GET", "headings", params={"proposal": "red"}))["items"]
    assert [(one["kind"], one["name"]) for one in items] == [("parameter", "bins"), ("scalar", "total")]
    every = told(api.ask("alice", "GET", "headings"))["items"]
    assert "secret" not in [one["name"] for one in every]


def test_what_a_rules_table_shows_at_first_is_told_with_what_there_is(api, monkeypatch):
    rules, changed = api.settings.rules, {"columns": {"sample": "a"}, "table": ["sample", "bins", "total"]}
    monkeypatch.setitem(rules, "sum", rules["sum"].model_copy(update=changed))  # files of later tests have no columns
    tables = told(api.ask("alice", "GET", "headings", params={"proposal": "red"}))["tables"]
    assert tables == {"sum": ["column:sample", "parameter:bins", "scalar:total"]}


def test_runs_are_counted_by_state(api):
    assert told(api.ask("alice", "GET", "runs/count")) == {
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
def test_a_query_that_cannot_be_understood_is_refused_with_its_place(api, path, says):
    assert says in problem(api.ask("alice", "GET", path), 400)


def cursor_with(api, value, number=1, sort="-queued"):
    """A cursor of this very query with another content."""
    page = told(api.ask("alice", "GET", "runs", params={"limit": 1, "sort": sort}))
    text = page["after"] + "=" * (-len(page["after"]) % 4)
    mark = json.loads(base64.urlsafe_b64decode(text))[0]
    return base64.urlsafe_b64encode(json.dumps([mark, value, number]).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    ("sort", "value"),
    [("-queued", "text"), ("-queued", 10**30), ("scalar:total", 10**400), ("scalar:total", float("nan")),
     ("file", "\ud800"), ("file", "\0"), ("file", 3)],
)  # fmt: skip
def test_a_cursor_with_another_content_is_refused(api, sort, value):
    made = cursor_with(api, value, sort=sort)
    assert "no cursor" in problem(api.ask("alice", "GET", "runs", params={"sort": sort, "after": made}), 400)


def test_a_deeply_nested_cursor_is_refused(api):
    deep = base64.urlsafe_b64encode(b"[" * 20000).decode()
    assert "no cursor" in problem(api.ask("alice", "GET", f"runs?after={deep}"), 400)


def test_a_cursor_of_another_query_is_refused(api):
    after = told(api.ask("alice", "GET", "runs?limit=1"))["after"]
    problem(api.ask("alice", "GET", f"runs?limit=1&state=done&after={after}"), 400, "cursor")
    problem(api.ask("alice", "GET", "runs?after=nonsense"), 400, "cursor")
