"""Pages of runs, the same on both databases: every order, filter and cursor against a plain sort in Python."""

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain
from os import environ

import pytest
from services.measurements import NOON, arrival, arrive, claim, finish, publish
from sqlalchemy import event, insert, select
from sqlalchemy.dialects import sqlite

from beamhub.processing import means, schema
from beamhub.processing.cells import key_of
from beamhub.processing.clock import from_micros, to_micros
from beamhub.processing.conditions import gathered
from beamhub.processing.lifecycle import _parameter_set, to_json
from beamhub.processing.order import Key, Order
from beamhub.processing.order_by_parameter import ByParameter
from beamhub.processing.query import LARGEST_PAGE, SORTS, BadQuery, Condition, Range, RunQuery
from beamhub.processing.store import Store
from beamhub.processing.work import PlannedRun

PARAMETERS = ("bins", "unit", "mask", "nobody has it")
OF_VALUES = ("scalar:Rg", "scalar:nobody has it", "column:sample", *(f"parameter:{name}" for name in PARAMETERS))
EVERY_SORT = [direction + sort for sort in (*SORTS, *OF_VALUES) for direction in ("", "-")]
RED, ALL = ("red",), ("red", "blue", "green")
FEW = 40


@pytest.fixture(scope="module")
def filled(module_store_url: str) -> Iterator[Store]:
    """A store that is only read."""
    store = Store.open(module_store_url)
    fill(store)
    yield store
    store.close()


def fill(store: Store) -> None:
    """40 runs in 3 proposals, with equal values, missing ones, and names whose order depends on the language."""
    chance = random.Random(7)  # noqa: S311
    store.intake([arrival(f"{name}/x.nxs") for name in ALL])
    with store.writing() as transaction:
        for number in range(FEW):
            row = make_row(number, chance)
            row["parameter_set"] = _parameter_set(transaction, row["proposal"], row["parameters"])
            transaction.execute(insert(schema.run).values(row))
            if row["state"] == "done" and (value := chance.choice([None, 0.0, -1.5, 2.5, 1e300])) is not None:
                rg = {"run": row["id"], "name": "Rg", "proposal": row["proposal"], "value": value}
                transaction.execute(insert(schema.scalar).values(rg))
                transaction.head(row["proposal"], "scalar", {"Rg": ""}, {"Rg"})
            if row["state"] == "done":
                every = {"run": row["id"], "name": "every", "proposal": row["proposal"], "value": float(number % 7)}
                transaction.execute(insert(schema.scalar).values(every))
                transaction.head(row["proposal"], "scalar", {"every": ""}, {"every"})
            if (sample := chance.choice([None, "LaB6", "lab6 dry", "AgBh", "ä", 20.0, -3.0, 100.0])) is not None:
                of_file = {"run": row["id"], "name": "sample", "proposal": row["proposal"], "value": key_of(sample)}
                transaction.execute(insert(schema.cell).values(of_file))
                transaction.head(row["proposal"], "column", {"sample": ""}, {"sample"})
            transaction.count(row["proposal"], row["function"], row["rule"], row["state"], 1)


def make_row(number: int, chance: random.Random) -> dict:
    def some_time() -> int:
        return to_micros(NOON + timedelta(hours=chance.randrange(4)))

    name = chance.choice(["a.nxs", "B.nxs", "_c.nxs", "ä.nxs", "a_1.nxs"])
    return {
        "id": 1000 - number if number % 2 else 1000 + number,
        "seq": 1,
        "proposal": (proposal := chance.choice(ALL)),
        "state": (state := chance.choice(["queued", "running", "done", "done", "done", "failed"])),
        "cause": "requested",
        "file": ALL.index(proposal) + 1,
        "file_name": name,
        "rule": chance.choice(["radial", "Sector", None]),
        "function": chance.choice(["average", "Powder"]),
        "version": "",
        "digest": "",
        "parameters": to_json(
            {"bins": chance.choice([20, 200]), "unit": chance.choice(["q", "q_nm"])}
            | chance.choice([{}, {}, *({"mask": mask} for mask in ("ä", 2.5, 10, True, [1]))])
        ),
        "queued": some_time(),
        "started": chance.choice([None, some_time()]),
        "finished": None if state in ("queued", "running") else some_time(),
        "words": f"{proposal}/{name} lab6 100%".lower(),
    }


def expected(store: Store, query: RunQuery) -> list[int]:
    """As one would write it down: values first, then those without; equal ones by id, or first by when queued."""
    with store.reading() as connection:
        rows = connection.execute(select(schema.run).where(schema.run.c.proposal.in_(query.proposals))).all()
        side, name = (schema.cell, query.of_file) if query.of_file else (schema.scalar, query.scalar)
        values = {row.run: row.value for row in connection.execute(select(side)) if row.name == name}
    column = "file_name" if query.column == "file" else query.column
    grouped = column in ("function", "state", "rule") or query.parameter

    def value(row):
        if query.parameter:
            found = json.loads(row.parameters).get(query.parameter)
            return key_of({"True": "true", "[1]": "[1]"}.get(str(found), found))
        return values.get(row.id) if name else getattr(row, column)

    keys = [(value(row), row.queued if grouped else 0, row.id) for row in rows]
    if name:
        keys = [key if key[0] is not None else (None, row.queued, row.id) for key, row in zip(keys, rows, strict=True)]
    valued = sorted((key for key in keys if key[0] is not None), reverse=query.descending)
    return [key[-1] for key in (*valued, *sorted((k for k in keys if k[0] is None), reverse=query.descending))]


def ids(page) -> list[int]:
    return [run.id for run in page.items]


def walk(store: Store, query: RunQuery, **cursor: str) -> list[list[int]]:
    """All pages in one direction."""
    pages, side = [], "before" if "before" in cursor else "after"
    while True:
        page = store.runs(RunQuery(query.proposals, sort=query.sort, limit=query.limit, **cursor))
        pages.append(ids(page))
        if getattr(page, side) is None:
            return pages
        cursor = {side: getattr(page, side)}


@pytest.mark.parametrize("sort", EVERY_SORT)
@pytest.mark.parametrize("proposals", [RED, ALL], ids=["one proposal", "three"])
@pytest.mark.parametrize("fewest", [1, 8], ids=["read key by key", "in chunks"])
def test_pages_forward_and_backward_hold_every_row_once_in_order(filled, monkeypatch, proposals, sort, fewest):
    monkeypatch.setattr("beamhub.processing.order.FEWEST", fewest)
    monkeypatch.setattr("beamhub.processing.order_by_parameter.FEWEST", fewest)
    monkeypatch.setattr("beamhub.processing.order_by_parameter.MERGED", 50 if fewest > 1 else 1)
    query = RunQuery(proposals, sort=sort, limit=7 if fewest > 1 else 2)
    whole = expected(filled, query)
    pages = walk(filled, query)
    assert list(chain(*pages)) == whole
    assert [len(page) for page in pages[:-1]] == [query.limit] * (len(pages) - 1)
    last = filled.runs(RunQuery(proposals, sort=sort, limit=1, at=len(whole) - 1))
    backward = walk(filled, query, before=last.before)
    assert list(chain(*reversed(backward))) == whole[:-1]


@pytest.mark.parametrize("sort", EVERY_SORT)
@pytest.mark.parametrize("proposals", [RED, ALL], ids=["one proposal", "three"])
def test_a_jump_to_a_row_gives_the_page_from_there_on_and_pages_go_on_in_both_directions(filled, proposals, sort):
    whole = expected(filled, RunQuery(proposals, sort=sort))
    for at in range(0, len(whole), 3):
        page = filled.runs(RunQuery(proposals, sort=sort, limit=4, at=at))
        assert ids(page) == whole[at : at + 4]
        assert (page.before is not None) == (at > 0)
        if page.after:
            assert ids(filled.runs(RunQuery(proposals, sort=sort, limit=4, after=page.after))) == whole[at + 4 : at + 8]
        if page.before:
            before = filled.runs(RunQuery(proposals, sort=sort, limit=4, before=page.before))
            assert ids(before) == whole[max(0, at - 4) : at]


def test_a_jump_beyond_the_end_gives_an_empty_page(filled):
    assert ids(filled.runs(RunQuery(ALL, at=FEW))) == ids(filled.runs(RunQuery(ALL, at=10**12, sort="rule"))) == []


def test_rows_without_a_value_come_last_in_both_directions(filled):
    for sort in ("started", "-started", "scalar:Rg", "-scalar:Rg", "rule", "-rule"):
        column = sort.removeprefix("-")
        items = filled.runs(RunQuery(ALL, sort=sort, limit=500)).items
        with filled.reading() as connection:
            its = select(schema.scalar.c.run).where(schema.scalar.c.name == "Rg")
            having = set(connection.execute(its).scalars())
        empty = [run.id not in having if "Rg" in sort else getattr(run, column) is None for run in items]
        assert empty == sorted(empty), sort
        assert True in empty
        assert False in empty


def test_a_page_read_again_from_its_cursor_holds_no_row_twice_when_new_ones_arrive(store):
    numbers = arrive(store, *(f"red/{number}.nxs" for number in range(6)))
    first = store.runs(RunQuery(RED, limit=3))
    arrive(store, "red/new.nxs")
    assert ids(first) + ids(store.runs(RunQuery(RED, limit=3, after=first.after))) == numbers[::-1]


def test_a_page_names_the_place_in_the_feed_at_which_it_was_read(store):
    arrive(store, "red/a.nxs")
    assert store.runs(RunQuery(RED)).seq == store.head() == 1


def test_a_scalar_of_a_published_run_is_sorted_by(store):
    arrive(store, "red/a.nxs", "red/b.nxs", "red/c.nxs")
    for mine, value in zip(claim(store), (2.0, float("nan"), 10.0), strict=True):
        publish(store, mine, Rg=value)
    assert [run.scalars["Rg"].value for run in store.runs(RunQuery(RED, sort="-scalar:Rg")).items] == [10.0, 2.0, None]


# Filters


@pytest.mark.parametrize(
    ("given", "holds"),
    [
        ({"function": "average"}, lambda run: run.function == "average"),
        ({"state": "failed"}, lambda run: run.state == "failed"),
        ({"rule": "radial"}, lambda run: run.rule == "radial"),
        ({"file": 2}, lambda run: run.file.id == 2),
        ({"ids": (1000, 999, 998, 5)}, lambda run: run.id in (1000, 999, 998, 5)),
        ({"ids": ()}, lambda run: False),
        ({"since": NOON + timedelta(hours=1)}, lambda run: run.queued >= NOON + timedelta(hours=1)),
        ({"until": NOON + timedelta(hours=1)}, lambda run: run.queued < NOON + timedelta(hours=1)),
        ({"text": "B.NXS"}, lambda run: run.file.name == "B.nxs"),
        ({"text": "Ä.n LAB6"}, lambda run: run.file.name == "ä.nxs"),
        ({"text": "a_1"}, lambda run: run.file.name == "a_1.nxs"),
        ({"text": "00%"}, lambda run: True),
        ({"text": "0%6"}, lambda run: False),
        ({"state": "done", "function": "Powder", "text": "nxs"}, lambda r: (r.state, r.function) == ("done", "Powder")),
    ],
    ids=lambda part: repr(part) if isinstance(part, dict) else "",
)
@pytest.mark.parametrize("sort", ["-queued", "started", "-scalar:Rg", "-parameter:mask"])
def test_a_filter_keeps_what_it_says_and_counts_it(filled, given, holds, sort):
    everything = filled.runs(RunQuery(ALL, sort=sort, limit=500)).items
    kept = [run.id for run in everything if holds(run)]
    assert ids(filled.runs(RunQuery(ALL, sort=sort, limit=500, **given))) == kept
    assert filled.count(RunQuery(ALL, **given)).count == len(kept)
    assert sorted(filled.run_ids(RunQuery(ALL, **given), 1000)) == sorted(kept)
    if len(kept) > 3:
        assert ids(filled.runs(RunQuery(ALL, sort=sort, at=2, limit=500, **given))) == kept[2:]


def condition(name: str, kind: str, numbers: Range | None = None, text: str | None = None) -> dict:
    return {"conditions": (Condition(name, frozenset([kind]), numbers, text),)}


def cells_of(store: Store, side, name: str) -> dict:
    with store.reading() as connection:
        return {row.run: row.value for row in connection.execute(select(side)) if row.name == name}


@pytest.mark.parametrize(
    ("given", "side", "holds"),
    [
        (condition("Rg", "scalar", Range(None, 2.5, False)), schema.scalar, lambda value: value < 2.5),
        (condition("Rg", "scalar", Range(None, 2.5, True)), schema.scalar, lambda value: value <= 2.5),
        (condition("Rg", "scalar", Range(0.0, None, False)), schema.scalar, lambda value: value > 0),
        (condition("Rg", "scalar", Range(-2.0, 0.0, True), "x"), schema.scalar, lambda value: -2 <= value <= 0),
        (condition("sample", "column", None, "lab6"), schema.cell, lambda key: key.startswith("1lab6")),
        (condition("sample", "column", None, "LAB6 D"), schema.cell, lambda key: key == "1lab6 dry"),
        (condition("sample", "column", Range(None, 50.0, False)), schema.cell, lambda key: key in FEW_KEYS),
        (condition("sample", "column", Range(20.0, 20.0, True), "20"), schema.cell, lambda key: key == key_of(20.0)),
    ],
    ids=lambda part: repr(part) if isinstance(part, dict) else "",
)
@pytest.mark.parametrize("sort", ["-queued", "started", "-scalar:Rg", "column:sample", "state", "parameter:mask"])
@pytest.mark.parametrize("most", [0, 1000], ids=["walked", "gathered"])
def test_a_condition_keeps_what_it_says_and_counts_it(filled, monkeypatch, given, side, holds, sort, most):
    monkeypatch.setattr("beamhub.processing.order.isqrt", lambda _: most)
    monkeypatch.setattr("beamhub.processing.queries.GATHERED", most)
    everything = ids(filled.runs(RunQuery(ALL, sort=sort, limit=500)))
    values = cells_of(filled, side, given["conditions"][0].name)
    kept = [number for number in everything if number in values and holds(values[number])]
    assert len(kept) > 1
    assert ids(filled.runs(RunQuery(ALL, sort=sort, limit=500, **given))) == kept
    assert ids(filled.runs(RunQuery(ALL, sort=sort, at=1, limit=500, **given))) == kept[1:]
    first = filled.runs(RunQuery(ALL, sort=sort, limit=1, **given))
    assert ids(filled.runs(RunQuery(ALL, sort=sort, after=first.after, **given))) == kept[1:]
    assert filled.count(RunQuery(ALL, **given)).count == len(kept)
    assert sorted(filled.run_ids(RunQuery(ALL, **given), 1000)) == sorted(kept)


FEW_KEYS = {key_of(20.0), key_of(-3.0)}


@pytest.mark.parametrize(
    ("name", "text", "numbers", "holds"),
    [
        ("bins", "20", Range(20.0, 20.0, True), lambda found: found["bins"] == 20),
        ("unit", "q", None, lambda found: found["unit"].startswith("q")),
        ("unit", "q_n", None, lambda found: found["unit"] == "q_nm"),
        ("unit", 'q"', None, lambda found: False),
    ],
)
@pytest.mark.parametrize("most", [0, 1000], ids=["walked", "gathered"])
@pytest.mark.parametrize("sort", ["-queued", "file", "-parameter:bins"])
def test_a_parameter_is_searched_for_as_it_is_or_as_it_begins(
    filled, monkeypatch, name, text, numbers, holds, most, sort
):
    monkeypatch.setattr("beamhub.processing.order.isqrt", lambda _: most)
    everything = filled.runs(RunQuery(ALL, sort=sort, limit=500)).items
    kept = [run.id for run in everything if holds(run.parameters or {name: ""})]
    given = condition(name, "parameter", numbers, text)
    assert ids(filled.runs(RunQuery(ALL, sort=sort, limit=500, **given))) == kept
    assert filled.count(RunQuery(ALL, **given)).count == len(kept)


@pytest.mark.parametrize("named", [0, 500], ids=["walked", "named"])
@pytest.mark.parametrize("sort", EVERY_SORT)
def test_text_is_found_in_every_order_whether_by_many_runs_or_by_few(filled, monkeypatch, sort, named):
    monkeypatch.setattr("beamhub.processing.queries.NAMED", named)
    everything = filled.runs(RunQuery(ALL, sort=sort, limit=500)).items
    kept = [run.id for run in everything if run.file.name == "B.nxs"]
    first = filled.runs(RunQuery(ALL, sort=sort, limit=2, text="b.nxs"))
    assert ids(first) + ids(filled.runs(RunQuery(ALL, sort=sort, after=first.after, text="b.nxs"))) == kept
    assert ids(filled.runs(RunQuery(ALL, sort=sort, at=1, limit=500, text="b.nxs"))) == kept[1:]


@pytest.mark.parametrize("given", [{}, {"state": "done"}, {"rule": "radial"}, {"function": "Powder"}], ids=str)
def test_a_jump_is_read_from_the_end_that_is_nearer(filled, monkeypatch, given):
    skipped = []
    keys_at = Order.keys_at
    monkeypatch.setattr(Order, "keys_at", lambda *a: skipped.append(a[2]) or keys_at(*a))
    whole = ids(filled.runs(RunQuery(ALL, sort="started", limit=500, **given)))
    for at in range(1, len(whole) + 2):
        assert ids(filled.runs(RunQuery(ALL, sort="started", limit=2, at=at, **given))) == whole[at : at + 2]
    assert max(skipped) <= len(whole) // 2


@pytest.mark.parametrize("proposals", [ALL, RED], ids=["all", "one"])
@pytest.mark.parametrize("name", ["scalar:Rg", "scalar:every", "scalar:none", "column:sample", "parameter:none"])
@pytest.mark.parametrize("sign", ["", "-"], ids=["rising", "falling"])
def test_a_jump_leads_to_the_same_rows_wherever_it_is_read_from(filled, sign, name, proposals):
    whole = ids(filled.runs(RunQuery(proposals, sort=sign + name, limit=500)))
    for at in range(1, len(whole) + 2):
        page = filled.runs(RunQuery(proposals, sort=sign + name, limit=3, at=at))
        assert ids(page) == whole[at : at + 3]
        assert bool(page.after) == (at + 3 < len(whole))


def test_what_runs_have_is_known_by_proposal_with_units_and_stays_when_columns_are_sorted_by(store):
    arrive(store, "red/a.nxs", columns={"sample": "LaB6"})
    arrive(store, "red/b.nxs", columns={"sample": None, "energy": 18.0})
    arrive(store, "blue/c.nxs")
    for mine in claim(store):
        publish(store, mine, Rg=2.0)
    found = [(one.kind, one.name) for one in store.headings(RED)]
    assert found == [("column", "energy"), ("column", "sample"), ("parameter", "bins"), ("scalar", "Rg")]
    assert [one.name for one in store.headings(("blue",))] == ["bins", "Rg"]
    assert [run.file.name for run in store.runs(RunQuery(RED, sort="column:sample")).items] == ["a.nxs", "b.nxs"]
    again = store.request("key", "body", "ada", [1], lambda run: PlannedRun("radial", "radial_function", {"mask": 5}))
    assert ids(store.runs(RunQuery(RED, **condition("sample", "column", None, "LaB6"))))[0] == again[0]
    assert ("parameter", "mask") in [(one.kind, one.name) for one in store.headings(RED)]


def test_text_finds_names_columns_rules_and_the_names_of_scalars(store):
    (number,) = arrive(store, "red/Scan_7/LaB6.nxs", columns={"sample": "Silver Behenate", "energy": 18.25})
    finish(store, number, anisotropy=0.5)
    for text in ("scan_7", "lab6", "silver", "18.25", "radial", "anisotropy", "behenate lab6 RADIAL"):
        assert ids(store.runs(RunQuery(RED, text=text))) == [number], text
    assert ids(store.runs(RunQuery(RED, text="silver gold"))) == []


def test_other_proposals_runs_are_in_no_page_count_or_listing(filled):
    for query in (RunQuery(RED, limit=500), RunQuery(RED, limit=500, ids=tuple(range(900, 1100)))):
        assert {run.proposal for run in filled.runs(query).items} == {"red"}
        assert filled.count(query).count == len(filled.runs(query).items)
    assert ids(filled.runs(RunQuery(()))) == ids(filled.runs(RunQuery((), at=1))) == []
    assert filled.count(RunQuery(())).count == 0
    assert {file.proposal for file in filled.files(RED, 10).items} == {"red"}


def test_counts_come_with_the_numbers_by_state(filled):
    runs = filled.runs(RunQuery(ALL, limit=500)).items
    count = filled.count(RunQuery(ALL, function="average", state="done"))
    averages = [run.state for run in runs if run.function == "average"]
    assert count.states == {state: averages.count(state) for state in set(averages)}
    assert count.count == averages.count("done")
    assert count.exact


def test_what_waits_is_the_proposals_whatever_rule_is_looked_at(filled):
    of_all, of_one = filled.count(RunQuery(RED)), filled.count(RunQuery(RED, rule="radial"))
    assert of_one.states == of_all.states
    assert of_one.count < of_all.count
    assert of_one.count == len(ids(filled.runs(RunQuery(RED, rule="radial", limit=500))))


def test_a_count_that_must_be_counted_ends_at_a_bound_and_says_so(filled, monkeypatch):
    monkeypatch.setattr("beamhub.processing.queries.COUNTED_TO", 5)
    count = filled.count(RunQuery(ALL, text="nxs"))
    assert (count.count, count.exact) == (5, False)
    assert filled.count(RunQuery(ALL)).count == FEW


# Cursors


def other_cursor(store: Store, **query) -> str:
    return store.runs(RunQuery(**({"proposals": ALL, "limit": 3} | query))).after


@pytest.mark.parametrize("query", [{"sort": "file"}, {"state": "done"}, {"proposals": RED}, {"text": "a"}], ids=str)
def test_a_cursor_of_another_order_or_filter_is_refused(filled, query):
    with pytest.raises(BadQuery, match="the cursor is of another filter or order; start again without it"):
        filled.runs(RunQuery(ALL, after=other_cursor(filled, **query)))


@pytest.mark.parametrize("cursor", ["", "x", "bm9uZQ", "é", "W10", "WyJhIiwxLDJd" * 50])
def test_what_is_no_cursor_is_refused(filled, cursor):
    with pytest.raises(BadQuery, match=r"is no cursor|of another filter"):
        filled.runs(RunQuery(ALL, after=cursor))


MAKE = """
from beamhub.processing.query import Condition, Range, RunQuery
kinds = frozenset({"column", "scalar", "parameter"})
where = (Condition("chi2", kinds, Range(None, 1.2, False)), Condition("sample", kinds, text="lab6"))
print(RunQuery(("red",), conditions=where).cursor(1, 2))
"""


def test_a_cursor_holds_also_when_the_service_was_started_anew():
    """Each process puts the members of a set in an order of its own."""
    seeds = [environ | {"PYTHONHASHSEED": str(seed)} for seed in range(4)]
    made = {subprocess.check_output([sys.executable, "-c", MAKE], env=env) for env in seeds}
    assert len(made) == 1


def test_a_cursor_holds_for_pages_of_any_size(filled):
    whole = expected(filled, RunQuery(ALL))
    assert ids(filled.runs(RunQuery(ALL, limit=10, after=other_cursor(filled)))) == whole[3:13]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sort": "colour"}, r"sort 'colour' is unknown; possible: queued, .*scalar:NAME"),
        ({"sort": "scalar:"}, "is unknown"),
        ({"sort": "parameter"}, "is unknown"),
        ({"limit": 0}, "limit 0 is not between 1 and 500"),
        ({"limit": LARGEST_PAGE + 1}, "limit 501"),
        ({"at": -1}, "at -1 is no row number"),
        ({"at": 3, "after": "x"}, "exclude each other"),
        ({"text": "a " * 50}, "look for less"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_what_can(given, message):
    with pytest.raises(BadQuery, match=message):
        RunQuery(RED, **given)


# Files


def test_the_newest_files_come_first_and_pages_go_on_below_an_id(store):
    files = store.intake([arrival(f"{name}/{n}.nxs") for n in range(3) for name in ("red", "blue", "green")])
    first = store.files(("red", "blue"), 4)
    second = store.files(("red", "blue"), 4, int(first.after))
    wanted = [number for number in files[::-1] if number % 3 != files[2] % 3]
    assert [file.id for file in first.items + second.items] == wanted
    assert second.after is None


def test_a_file_shows_what_was_read_from_it_and_its_runs(store):
    arrive(store, "red/s/a.nxs", columns={"sample": "LaB6", "energy": 18.0, "motor": None}, rules=("radial", "sector"))
    (file,) = store.find_files("red/s/a.nxs")
    full = store.file(file.id)
    assert (full.name, full.path, full.storage, full.size) == ("a.nxs", "red/s/a.nxs", "beamline", 3)
    assert full.columns == {"sample": "LaB6", "energy": 18.0, "motor": None}
    assert [run.rule for run in full.runs] == ["radial", "sector"]
    assert full.runs[0].columns == full.columns
    assert store.file(77) is None


def test_each_proposal_and_storage_has_a_place(store):
    store.intake([arrival("red/b.nxs"), arrival("red/a.nxs"), arrival("blue/c.nxs")])
    found = sorted(store.places())
    assert [(proposal, storage) for proposal, storage, _, _ in found] == [("blue", "beamline"), ("red", "beamline")]
    newest = max(number for *_, number in found)
    assert store.places(newest) == []


def test_the_mean_duration_is_of_the_newest_done_runs_of_that_function(store, monkeypatch):
    monkeypatch.setattr(means, "KEPT_S", 0)
    assert store.work_until("radial_function", 1, ()) is None
    (number,) = arrive(store, "red/a.nxs")
    finish(store, number)
    with store.writing() as transaction:
        second = schema.run.c.started + 2_000_000
        transaction.execute(schema.run.update().values(finished=second))
    assert store.work_until("radial_function", 1, ()) == 2.0


def test_a_running_run_in_a_listing_says_after_how_many_seconds_it_is_late_where_that_is_known(store, monkeypatch):
    monkeypatch.setattr(means, "KEPT_S", 0)
    arrive(store, "red/a.nxs")
    (mine,) = claim(store)
    assert [run.late_s for run in store.runs(RunQuery(RED)).items] == [None]
    publish(store, mine)
    with store.writing() as transaction:
        transaction.execute(schema.run.update().values(finished=schema.run.c.started + 20_000_000))
    arrive(store, "red/b.nxs")
    claim(store)
    arrive(store, "red/c.nxs")
    found = {run.state: run.late_s for run in store.runs(RunQuery(RED)).items}
    assert found == {"done": None, "running": 60, "queued": None}


def test_a_mean_duration_is_asked_for_once_in_a_few_seconds_also_where_it_is_not_known(store, monkeypatch):
    moment, asked, known = [100.0], [], {"radial_function": 2.0}
    monkeypatch.setattr(means, "mean_seconds", lambda _, name: (asked.append(name), known.get(name))[1])
    store._means = means.Means(lambda: moment[0])
    arrive(store, "red/a.nxs", "red/b.nxs", rules=("radial", "powder"))
    claim(store)
    arrive(store, "red/c.nxs", rules=("powder",))
    for _ in range(3):
        assert {run.late_s for run in store.runs(RunQuery(RED)).items} == {None, 7.0}
        assert store.work_until("radial_function", 1, ["red"]) == 4.0
    assert sorted(asked) == ["powder_function", "radial_function"]
    moment[0], known["powder_function"] = 104.9, 30.0
    assert {run.late_s for run in store.runs(RunQuery(RED)).items} == {None, 7.0}
    moment[0] = 105.0
    assert {run.late_s for run in store.runs(RunQuery(RED)).items} == {None, 7.0, 90.0}
    assert len(asked) == 4


def test_mean_durations_of_a_bounded_number_of_functions_are_kept(store, monkeypatch):
    monkeypatch.setattr(means, "KEPT", 3)
    kept = means.Means()
    with store.reading() as connection:
        for number in range(10):
            assert kept.of(connection, f"function{number}") is None
    assert len(kept._kept) <= 3


def test_times_before_and_after_the_epoch_survive():
    for moment in (datetime(1969, 12, 31, 23, 59, 59, 999999, UTC), datetime(2200, 1, 1, tzinfo=UTC)):
        assert from_micros(to_micros(moment)) == moment


# Indexes


@pytest.mark.parametrize("sort", [sort for sort in EVERY_SORT if "nobody" not in sort and "parameter" not in sort])
@pytest.mark.parametrize("given", [{}, {"state": "done"}, {"function": "average"}, {"text": "a"}], ids=str)
def test_no_page_is_found_by_looking_through_the_table(tmp_path, sort, given):
    """Each part of an order walks an index that begins with the proposal; only the words of text are looked at."""
    store = Store.open(f"sqlite:///{tmp_path}/plans.db")
    order = Order(RunQuery(RED, sort=sort, **given), backward=False)
    for valued in order._parts:
        part = order._part("red", valued)
        if valued:
            part = part.where(order._further(Key("a", 1, 5)))
        sql = str(part.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))
        with store.reading() as connection:
            steps = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}")]
        assert not any("SCAN run" in step or "SCAN scalar" in step for step in steps), steps
        assert "proposal=?" in steps[0], steps
        if not given:
            assert not any("TEMP B-TREE" in step for step in steps), steps
    store.close()


@pytest.mark.parametrize(
    ("proposals", "sort", "at"),
    [(ALL, "queued", 1), (ALL, "-file", 1), (ALL, "scalar:Rg", 1), (ALL, "state", 1), (RED, "-scalar:every", -1)],
)
def test_a_jump_merges_what_indexes_give_in_order_and_nothing_is_sorted(filled, proposals, sort, at):
    """Of several proposals, or of the states whose runs have no such number."""
    asked: list[tuple[str, object]] = []

    def hear(connection, cursor, statement, parameters, context, many) -> None:
        asked.append((statement, parameters))

    event.listen(filled._engine, "before_cursor_execute", hear)
    row = at if at > 0 else filled.count(RunQuery(RED)).count + at
    found = ids(filled.runs(RunQuery(proposals, sort=sort, limit=2, at=row)))
    event.remove(filled._engine, "before_cursor_execute", hear)
    assert found
    (statement, parameters), *more = [one for one in asked if "UNION ALL" in one[0]]
    assert not more
    with filled.reading() as connection:
        if connection.dialect.name == "postgresql":
            for other in ("seqscan", "bitmapscan", "sort"):  # what is as quick where there are so few rows
                connection.exec_driver_sql(f"SET LOCAL enable_{other} = off")
            plan = [row[0] for row in connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)]
            assert any("Merge Append" in step for step in plan), plan
            assert not any("Sort  (" in step for step in plan), plan
        else:
            plan = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
            assert "MERGE (UNION ALL)" in plan
            assert not any("TEMP B-TREE" in step for step in plan), plan


@pytest.mark.parametrize("given", [{}, {"state": "done"}, {"function": "average"}, {"text": "a"}], ids=str)
@pytest.mark.parametrize(
    ("sets", "index"), [([7], "(proposal=? AND parameter_set=? AND queued>?)"), ([7, 8], "(proposal=? AND queued>?)")]
)
def test_no_page_by_a_parameter_is_sorted_by_the_database(tmp_path, sets, index, given):
    store = Store.open(f"sqlite:///{tmp_path}/plans.db")
    query = ByParameter(RunQuery(RED, sort="parameter:bins", **given), backward=False)
    of_sets = query._from_sets("red", sets, Key("a", 1, 5))
    sql = str(of_sets.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))
    with store.reading() as connection:
        (step,) = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}")]
    assert index in step
    store.close()


@pytest.mark.parametrize(
    ("kind", "index"),
    [
        ("parameter", "run_by_parameters (proposal=? AND parameter_set=?)"),
        ("scalar", "scalar_by_value (proposal=? AND name=? AND value>? AND value<?)"),
        ("column", "cell_by_value (proposal=? AND name=? AND value>? AND value<?)"),
    ],
)
@pytest.mark.parametrize("proposals", [RED, "red"], ids=["those", "one"])
def test_what_fulfils_a_condition_is_found_by_an_index(tmp_path, proposals, kind, index):
    store = Store.open(f"sqlite:///{tmp_path}/plans.db")
    numbers = Range(1.0, 7.0, False) if kind == "scalar" else None
    sql = gathered(Condition("bins", frozenset({kind}), numbers, "7"), proposals)
    text = str(sql.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))
    with store.reading() as connection:
        steps = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]
    assert index in steps[0]
    store.close()


def test_runs_are_not_looked_at_for_a_parameter_that_none_has(filled):
    asked = gathered(Condition("bins", frozenset({"parameter"}), None, "7"), "red")
    with filled.reading() as connection:
        text = str(asked.compile(connection, compile_kwargs={"literal_binds": True}))
        if connection.dialect.name != "postgresql":
            assert connection.exec_driver_sql(text).all() == []
            return
        plan = [row[0] for row in connection.exec_driver_sql(f"EXPLAIN (ANALYZE, TIMING OFF) {text}")]
    assert "One-Time Filter" in plan[1]
    assert any(" on run " in step and "(never executed)" in step for step in plan), plan


@pytest.mark.parametrize("sort", EVERY_SORT)
@pytest.mark.parametrize(
    "given", [{"state": "done"}, {"function": "average"}, {"rule": "radial"}, {"state": "done", "function": "Powder"}]
)
def test_a_filtered_page_is_the_same_whether_its_rows_are_gathered_or_walked_to(filled, monkeypatch, sort, given):
    pages = []
    for rare in (Order._rare, lambda *_: dict.fromkeys(ALL, next(iter(given))), lambda *_: {}):
        monkeypatch.setattr(Order, "_rare", rare)
        page = filled.runs(RunQuery(ALL, sort=sort, limit=2, **given))
        pages.append(ids(page) + ids(filled.runs(RunQuery(ALL, sort=sort, limit=2, after=page.after, **given))))
        pages.append(ids(filled.runs(RunQuery(ALL, sort=sort, limit=3, at=1, **given))))
    whole = ids(filled.runs(RunQuery(ALL, sort=sort, limit=500)))
    kept = set(ids(filled.runs(RunQuery(ALL, limit=500, **given))))
    wanted = [number for number in whole if number in kept][:4]
    assert pages == [wanted, wanted[1:]] * 3


def test_few_rows_of_a_state_are_gathered_and_many_walked_to(tmp_path):
    store = Store.open(f"sqlite:///{tmp_path}/rare.db")
    with store.writing() as transaction:
        for name, (done, failed) in {"red": (10_000, 30), "blue": (5_000, 5_000)}.items():
            transaction.count(name, "average", "radial", "done", done)
            transaction.count(name, "average", "radial", "failed", failed)
    with store.reading() as connection:
        rare = Order(RunQuery(ALL, sort="file", state="failed"), False)._rare(connection, 100)
        both = Order(RunQuery(ALL, sort="file", state="failed", function="average"), False)._rare(connection, 100)
        assert rare == both == {"red": "state"}
        assert Order(RunQuery(ALL, sort="queued", state="failed"), False)._rare(connection, 100) == {}
        sql = Order(RunQuery(RED, sort="file", state="failed"), False)._part("red", True, "state")
        text = str(sql.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))
        steps = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]
    assert "run_by_state (proposal=? AND state=?)" in steps[0]
    store.close()
