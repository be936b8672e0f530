"""The rows of the table, by what Node.js makes of the same source and a service of a few runs."""

import json

import pytest
from services.javascript import evaluate

# a service: ``runs`` match, up to ``bound`` are counted, an answer takes ``wait`` ms and a cursor is the id of a row;
# the table is sorted by name if not by ``sort``, ``seen`` is each state painted, ``questions`` are those for pages
SCENE = """(async () => {
  const runs = [], seen = [], asked = [], questions = [], later = (ms) => new Promise((done) => setTimeout(done, ms));
  const service = { wait: 0, more: 0, bound: Infinity, runs, async send(method, path, query, body, headers, signal) {
    asked.push(signal);
    if (!path.endsWith("count") && !query.has("ids")) questions.push(Object.fromEntries(query));
    await later(service.wait);
    const ids = query.get("ids")?.split(",").map(Number), limit = Number(query.get("limit"));
    const place = (name) => query.has(name) ? runs.findIndex((run) => String(run.id) === query.get(name)) : undefined;
    const end = place("before") ?? runs.length, from = place("after") ?? Number(query.get("at") ?? 0) - 1;
    const start = query.has("before") ? Math.max(0, end - limit) : from + 1;
    const items = ids ? runs.filter((run) => ids.includes(run.id)) : runs.slice(start, Math.min(end, start + limit));
    const before = start > 0 && items.length ? String(items[0].id) : null;
    const after = start + items.length < runs.length && items.length ? String(items.at(-1).id) : null;
    const since = runs.findIndex((run) => run.queued === query.get("since"));
    const found = since < 0 ? runs.length + service.more : since + 1, exact = found <= service.bound;
    const count = { count: Math.min(found, service.bound), exact, states: {}, held: 0, seconds: null };
    const answer = path.endsWith("count") ? count : { items, seq: 0, before, after };
    return { status: 200, body: new TextEncoder().encode(JSON.stringify(answer)), type: "" };
  } };
  const shown = () => Array.from({ length: rows.length }, (_, at) => rows.loadedRow(at)?.name ?? null);
  const look = () => ({ total: rows.total, moved: rows.moved, searching: rows.searching, shown: shown() });
  const filter = { proposal: "p", search: "", sort: %s };
  let atTop = true;
  const rows = new m.Rows(service, filter, () => atTop, () => seen.push(look()));
  const arrives = (id, name) => {
    runs.push({ id, name, seq: id });
    runs.sort(filter.sort === "name" ? (a, b) => a.name < b.name ? -1 : 1 : (a, b) => b.id - a.id);
    rows.change(id, id);
  };
  const fill = (first, last) => {
    for (let id = last; id >= first; id--) runs.push({ id, name: String(id), seq: id, queued: `${id}` });
  };
  const until = async (index) => { for (let tries = 0; tries < 99 && !rows.row(index); tries++) await later(5); };
  await rows.reload();
  %s
  rows.end();
  return { seen, questions, now: look(), asked: asked.map((signal) => Boolean(signal?.aborted)) };
})()"""


def played(script: str, sort: str = "name") -> dict:
    """What was painted meanwhile, and what is there at the end."""
    (found,) = evaluate("rows.ts", [SCENE % (json.dumps(sort), script)])
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
    found = played("rows.stop(); service.wait = 0; seen.push(rows.filter.search);")
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
        "asked.length = 0; rows.changedNow = () => void rows.row(120);"  # as a table does that shows this row
        "rows.row(120); await later(400); seen.push(rows.error);"
    )
    assert found["asked"] == [False]
    assert "away" in found["seen"][-1]


# Beyond what is counted


def test_more_rows_than_are_counted_are_scrolled_to_until_their_end_is_found_and_then_it_is_said_how_many():
    found = played(
        "fill(1, 1234); service.bound = 300; await rows.reload();"
        "const state = () => [rows.length >= rows.total, rows.total, rows.exact, rows.open]; seen.push(state());"
        "await until(299); const counted = rows.length; seen.push([counted > 300, ...state()]);"
        "for (let last = 0; last !== rows.length;) await until((last = rows.length) - 1);"
        "seen.push(state(), rows.length, rows.loadedRow(1233).id, rows.loadedRow(1234) ?? null);"
    )
    told = [state for state in found["seen"] if not isinstance(state, dict)]
    assert told == [
        [True, 300, False, True], [True, True, 300, False, True], [True, 1234, True, False], 1234, 1, None
    ]  # fmt: skip


def test_a_row_that_is_jumped_to_beyond_the_end_shows_where_the_end_is():
    found = played(
        "fill(1, 1234); service.bound = 1230; await rows.reload();"
        "await until(1229); await until(rows.length - 1); await later(20); await until(rows.length - 1);"
        "seen.push([rows.length, rows.total, rows.exact, rows.loadedRow(rows.length - 1).id]);"
    )
    assert found["seen"][-1] == [1234, 1234, True, 1]


# Pages beside those that are loaded

SCROLL = """
  fill(1, 5000); await rows.reload(); atTop = false; let next = 5001;
  const walk = async (from, to, step) => {
    const ids = [];
    for (let index = from; index !== to; index += step) {
      rows.look(Math.max(0, index - 20), Math.min(rows.length, index + 20));
      for (let tries = 0; tries < 99 && !rows.loadedRow(index); tries++) {
        await later(2);
        rows.look(Math.max(0, index - 20), Math.min(rows.length, index + 20));
      }
      ids.push(rows.loadedRow(index).id);
      if (index % 20 === 0 && next < 5260) { arrives(next, String(next)); next++; await later(1); }
    }
    return ids;
  };
  const down = await walk(0, 4900, 1), up = await walk(4899, -1, -1);
  await later(250);
"""


def test_while_runs_arrive_each_row_is_seen_once_on_the_way_down_and_once_on_the_way_up():
    found = played(SCROLL + "seen.push(down, up, [rows.moved, rows.length]);", "-queued")
    down, up, (moved, length) = found["seen"][-3:]
    assert down == list(range(5000, 100, -1))
    assert up == down[::-1]
    assert (moved, length) == (259, 5000)
    assert [question for question in found["questions"] if "at" in question] == []


def test_rows_that_were_put_in_before_those_that_are_loaded_have_room_on_the_way_up():
    found = played(
        "fill(1000, 8000); runs.sort((a, b) => a.name < b.name ? -1 : 1); await rows.reload(); atTop = false;"
        "for (let index = 0; index < 5000; index += 50) await until(index);"
        "for (let id = 9000; id < 9250; id++) arrives(id, `1${id}`); await later(300);"  # between 1899 and 1900
        "const ids = []; for (let index = 5000, slid = 0; index >= 0; index--) {"
        "  await until(index); index += rows.slid; rows.slid = 0; ids.push(rows.loadedRow(index)?.id); }"
        "seen.push(ids);"
    )
    ids = found["seen"][-1]
    assert len(ids) == len(set(ids))
    assert ids == sorted(ids, key=lambda number: f"1{number}" if number >= 9000 else str(number), reverse=True)
    assert ids[-1] == 1000
    assert set(range(9000, 9250)) < set(ids)


def test_a_jump_knows_what_came_above_and_rows_go_on_from_there():
    found = played(
        "fill(1, 1500); await rows.reload(); atTop = false;"
        "for (let id = 1501; id <= 1540; id++) arrives(id, String(id)); await later(250);"
        "await until(1000); seen.push([rows.loadedRow(1000).id, rows.moved]);"
        "for (let index = 999; index >= 0; index--) await until(index);"
        "seen.push([rows.loadedRow(0).id, rows.moved, rows.slid]);",
        "-queued",
    )
    states = [state for state in found["seen"] if not isinstance(state, dict)]
    assert states == [[500, 40], [1500, 40, 0]]


def test_who_goes_back_from_a_jump_finds_the_first_rows_and_what_they_have_is_known_meanwhile():
    found = played(
        "fill(1, 1500); await rows.reload(); atTop = false; await until(1000); const before = questions.length;"
        "const known = [...rows.known()].map((run) => run.id); seen.push([known.includes(1500), known.includes(500)]);"
        "runs[1] = { ...runs[1], seq: 3000 }; rows.change(1499, 3000); await later(250); seen.push([rows.moved]);"
        "seen.push([rows.row(0).id, rows.row(1).seq, rows.row(99).id, questions.length - before]);",
        "-queued",
    )
    states = [state for state in found["seen"] if not isinstance(state, dict)]
    assert states == [[True, True], [0], [1500, 3000, 1401, 0]]


def test_at_the_top_new_rows_come_in_and_those_below_stay_loaded():
    found = played(
        "fill(1, 1500); await rows.reload(); await until(150); const before = questions.length;"
        "for (let id = 1501; id <= 1520; id++) arrives(id, String(id)); await later(250);"
        "seen.push([rows.loadedRow(0).id, rows.loadedRow(170).id, rows.length, rows.moved, questions.length - before]);"
        "for (let id = 1521; id <= 2100; id++) { arrives(id, String(id)); if (id % 100 === 0) await later(150); }"
        "await later(300); seen.push([rows.loadedRow(0).id, rows.length, [...rows.known()].length < 700]);",
        "-queued",
    )
    states = [state for state in found["seen"] if not isinstance(state, dict)]
    assert states == [[1520, 1350, 1520, 0, 0], [2100, 2100, True]]


def test_a_run_that_changes_where_it_is_not_loaded_is_not_called_new_and_one_that_is_new_counts_once():
    found = played(
        "fill(1, 1500); await rows.reload(); atTop = false; rows.change(3, 2000); await later(250);"
        "seen.push([rows.moved]);"
        "arrives(1501, '1501'); await later(250); rows.change(1501, 2001); await later(250); seen.push([rows.moved]);",
        "-queued",
    )
    assert [state for state in found["seen"] if not isinstance(state, dict)] == [[0], [1]]


def test_what_is_found_only_now_is_called_new_between_loaded_rows_and_not_where_others_may_stand():
    found = played(
        "fill(1, 1500); runs.splice(700, 1); runs.splice(50, 1); await rows.reload({ ...filter, search: 'x' });"
        "atTop = false; const shows = (id) => { arrives(id, String(id)); return later(250); };"
        "rows.change(3, 2000); await shows(799); seen.push([rows.moved]); await shows(1450); seen.push([rows.moved]);"
        "await until(700); rows.change(4, 2000); await later(250); seen.push([rows.moved]);"
        "runs.length = 20; const [gone] = runs.splice(10, 1); await rows.reload(); await shows(gone.id);"
        "seen.push([rows.moved, rows.loadedRow(0).id - gone.id]);",
        "-queued",
    )
    assert [state for state in found["seen"] if not isinstance(state, dict)] == [[0], [1], [1], [1, 10]]


def test_where_a_row_is_that_is_not_loaded_is_said_if_it_was_counted():
    found = played(
        "fill(1, 1500); service.bound = 1000; await rows.reload(); atTop = false; rows.length = 1500;"
        "arrives(1501, '1501'); arrives(1502, '1502'); await later(250);"
        "seen.push([await rows.place(700), await rows.place(300), await rows.place(1502), await rows.place(9999)]);",
        "-queued",
    )
    assert found["seen"][-1] == [800, None, None, None]
    found = played("fill(1, 1500); await rows.reload(); seen.push([await rows.place(700)]);")
    assert found["seen"][-1] == [None]


def test_a_cursor_that_holds_no_more_has_all_rows_asked_for_again_once_and_then_waits():
    found = played(
        "fill(1, 300); await rows.reload(); const { send } = service;"
        "service.send = async (method, path, query, ...more) => {"
        "  if (!query.has('after')) return send(method, path, query, ...more);"
        "  questions.push({ after: query.get('after') });"
        "  return { status: 400, body: new TextEncoder().encode('{\"message\": \"of another search\"}'), type: '' }; };"
        "questions.length = 0; rows.changedNow = () => void rows.row(120);"  # as a table does that shows this row
        "rows.row(120); await later(400); seen.push(rows.error);",
        "-queued",
    )
    assert [("after" in asked) for asked in found["questions"]] == [True, False, True]
    assert found["seen"][-1] == "of another search"


def test_in_other_orders_the_first_row_may_have_moved_and_those_above_it_stay():
    found = played(
        "for (let id = 1; id <= 900; id++) runs.push({ id, name: String(id).padStart(3, '0'), seq: id });"
        "await rows.reload(); rows.row(700); await until(700);"
        "const [first] = runs.splice(0, 1); first.name = '620b'; runs.splice(620, 0, first);"
        "for (let at = 700; at >= 560; at -= 20) await until(at);"
    )
    assert len(found["now"]["shown"]) == 900


def test_the_row_of_a_run_is_that_of_its_last_change():
    found = played(
        "arrives(1, 'b'); await later(250); seen.push(rows.byId(1).name); runs[0].name = 'c'; runs[0].seq = 5;"
        "rows.change(1, 5); await later(250); seen.push(rows.byId(1).name, rows.byId(2) ?? null);"
    )
    assert [state for state in found["seen"] if not isinstance(state, dict)] == ["b", "c", None]


@pytest.mark.parametrize(
    ("named", "zone"),
    [("Europe/Berlin", "Europe/Berlin"), ("Etc/Unknown", "UTC"), ("+05:30", "UTC"), ("", "UTC")],
)
def test_where_the_browser_has_no_time_zone_with_a_name_times_are_searched_for_in_utc(named, zone):
    assert evaluate("rows.ts", [f"m.zone('{named}')"]) == [zone]
