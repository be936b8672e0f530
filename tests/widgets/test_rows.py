"""The rows of the table, by what Node.js makes of the same source and a service of a few runs."""

import pytest
from services.javascript import evaluate

# a service: ``runs`` match, an answer takes ``wait`` ms; the table is sorted by name, ``seen`` is each state painted
SCENE = """(async () => {
  const runs = [], seen = [], asked = [], later = (ms) => new Promise((done) => setTimeout(done, ms));
  const service = { wait: 0, more: 0, runs, async send(method, path, query, body, headers, signal) {
    asked.push(signal);
    await later(service.wait);
    const ids = query.get("ids")?.split(",").map(Number), at = Number(query.get("at") ?? 0);
    const items = ids ? runs.filter((run) => ids.includes(run.id)) : runs.slice(at, at + 100);
    const count = { count: runs.length + service.more, exact: true, states: {}, held: 0, seconds: null };
    const answer = path.endsWith("count") ? count : { items, seq: 0 };
    return { status: 200, body: new TextEncoder().encode(JSON.stringify(answer)), type: "" };
  } };
  const shown = () => Array.from({ length: rows.length }, (_, at) => rows.loadedRow(at)?.name ?? null);
  const look = () => ({ total: rows.total, moved: rows.moved, searching: rows.searching, shown: shown() });
  const filter = { proposal: "p", search: "", sort: "name" };
  const rows = new m.Rows(service, filter, () => true, () => seen.push(look()));
  const arrives = (id, name) => {
    runs.push({ id, name, seq: id });
    runs.sort((a, b) => a.name < b.name ? -1 : 1);
    rows.change(id, id);
  };
  await rows.reload();
  %s
  rows.end();
  return { seen, now: look(), asked: asked.map((signal) => Boolean(signal?.aborted)) };
})()"""


def played(script: str) -> dict:
    """What was painted meanwhile, and what is there at the end."""
    (found,) = evaluate("rows.ts", [SCENE % script])
    return found


def test_the_first_run_that_matches_is_shown_also_where_the_order_is_not_newest_first():
    found = played("arrives(1, 'b'); await later(250);")
    assert found["now"] == {"total": 1, "moved": 0, "searching": False, "shown": ["b"]}
    assert all(None not in state["shown"] for state in found["seen"])


def test_a_run_that_comes_between_the_rows_and_their_number_leaves_no_empty_row():
    found = played("arrives(1, 'b'); await later(250); service.more = 1; await rows.reload();")
    assert (found["now"]["total"], found["now"]["shown"]) == (2, ["b"])


def test_a_run_that_waits_to_be_shown_paints_no_empty_row():
    found = played("arrives(1, 'b'); await later(250); arrives(2, 'a'); await later(250);")
    assert found["now"] == {"total": 2, "moved": 1, "searching": False, "shown": ["b"]}
    found = played("arrives(1, 'b'); await later(250); arrives(2, 'a'); await later(250); await rows.reload();")
    assert found["now"] == {"total": 2, "moved": 0, "searching": False, "shown": ["a", "b"]}


def test_a_search_that_takes_its_time_says_so_and_one_that_does_not_is_silent():
    found = played("await rows.reload(); const before = seen.length; service.wait = 700; await rows.reload();")
    assert [state["searching"] for state in found["seen"]][-3:] == [False, True, False]


def test_a_search_that_is_stopped_leaves_the_table_as_it_was():
    found = played(
        "arrives(1, 'b'); await later(250); service.wait = 900; runs.length = 0;"
        "const slow = rows.reload({ ...rows.filter, search: 'x' }); await later(600); rows.stop(); await slow;"
    )
    assert found["now"] == {"total": 1, "moved": 0, "searching": False, "shown": ["b"]}
    assert found["asked"][-2:] == [True, True]
    (found,) = evaluate("rows.ts", [SCENE % "rows.stop(); service.wait = 0; seen.push(rows.filter.search);"])
    assert found["seen"][-1] == ""


def test_changes_are_asked_for_from_what_is_shown_on_also_in_a_new_store_and_after_a_reset_from_none():
    found = played(
        "seen.push(rows.seq); service.wait = 200; const again = rows.reset(); seen.push(rows.seq); await again;"
        "seen.push(rows.seq);"
    )
    assert [state for state in found["seen"] if not isinstance(state, dict)] == [0, None, 0]


@pytest.mark.parametrize("after_ms", [100, 600])
def test_a_search_in_what_may_not_be_seen_any_more_is_none(after_ms):
    found = played(
        f"service.wait = 900; const old = rows.reload(); await later({after_ms}); rows.clear(); await later(600);"
        "const meanwhile = rows.searching; await old; rows.searching ||= meanwhile;"
    )
    assert found["now"] == {"total": 0, "moved": 0, "searching": False, "shown": []}


def test_what_was_searched_for_before_is_given_up():
    found = played("service.wait = 50; const old = rows.reload(); await rows.reload(); await old;")
    assert found["asked"] == [True] * 4 + [False] * 2


def test_a_page_of_rows_that_was_not_answered_is_not_asked_for_again_at_once():
    found = played(
        "for (let id = 1; id <= 150; id++) runs.push({ id, name: String(id), seq: id }); await rows.reload();"
        "service.send = async () => { asked.push(null);"
        "  return { status: 503, body: new TextEncoder().encode('{\"message\": \"away\"}'), type: '' }; };"
        "asked.length = 0; rows.paint = () => void rows.row(120);"  # as a table does that shows this row
        "rows.row(120); await later(400); seen.push(rows.error);"
    )
    assert found["asked"] == [False]
    assert "away" in found["seen"][-1]
