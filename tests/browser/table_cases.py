"""The table's columns, copies and links, in a real browser."""

import csv
import io
import json
import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser.tools import FIRST, READY, TOUCH, held_workers, kernel_idle, row, run_cell, search, widget, write_file
from playwright.sync_api import Page, expect
from services.workbench import wait_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
expect.set_options(timeout=40_000)
USUAL = ["scan", "when", "file", "function", "state", "sample", "part"]
STAYS = """() => { const scroll = document.querySelector(".bh-scroll"), at = (each) => each.getBoundingClientRect().x;
  scroll.scrollLeft = 10000;
  const pinned = [...document.querySelectorAll(".bh-head > .bh-pinned, .bh-row > .bh-pinned")];
  return scroll.scrollLeft > 0 && pinned.length > 1 && pinned.every((each) => Math.abs(at(each) - at(scroll)) < 2); }"""
LAYOUT = "Object.keys(localStorage).find((key) => key.startsWith('beamhub.columns '))"


AGAIN = """async (number) => { const api = location.pathname.replace(/lab.*/, "beamhub/api/v1/runs");
  const [, token] = document.cookie.match(/_xsrf=([^;]+)/);
  const headers = { "X-XSRFToken": token, "Content-Type": "application/json" };
  return (await fetch(api, { method: "POST", headers, body: JSON.stringify({ ids: [number] }) })).status; }"""


def titles(page: Page) -> list[str]:
    """The headers from left to right."""
    found = widget(page).locator("[role=columnheader]").all_inner_texts()
    return [re.sub(r"[▾▴\s]+$", "", text) for text in found]


def open_menu(page: Page, name: str):
    widget(page).get_by_role("button", name=name, exact=True).click()
    menu = widget(page).get_by_role("dialog", name=name)
    expect(menu).to_be_visible()
    return menu


def search_one_kind(page: Page) -> None:
    """Files of one rule, which bring the same columns, and no others any more."""
    search(page, "state:done sans2d_33837_0")
    others = widget(page).locator(".bh-row[data-id]").filter(has_not_text="sans2d_33837_0")
    expect(others).to_have_count(0)


@pytest.fixture(scope="module")
def table(page):
    """The table with rows that are done, and the clipboard allowed."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.reload()
    kernel_idle(page)
    run_cell(page, 0)
    expect(widget(page)).to_be_visible()
    search_one_kind(page)
    expect(widget(page).locator(".bh-row[data-state='done']").nth(2)).to_be_visible()
    return page


CUT_IN_FRONT = """(column) => { const cell = document.querySelector(`.bh-row[data-id] [data-column=${column}]`);
  const range = document.createRange(); range.selectNodeContents(cell);
  const [text, room] = [range.getBoundingClientRect(), cell.getBoundingClientRect()];
  return text.left < room.left && text.right <= room.right; }"""


def test_names_of_scans_and_files_are_cut_in_front_and_units_never(table):
    for column in ("scan", "file"):
        header = widget(table).get_by_role("columnheader", name=column)
        edge = header.locator(".bh-edge").bounding_box()
        table.mouse.move(edge["x"] + 3, edge["y"] + 5)
        table.mouse.down()
        table.mouse.move(header.bounding_box()["x"] + 60, edge["y"] + 5)
        table.mouse.up()
        table.wait_for_function(CUT_IN_FRONT, arg=column)
        header.locator(".bh-edge").dblclick()
    unit = widget(table).get_by_role("columnheader", name="total counts / counts").locator(".bh-unit")
    expect(unit).to_have_text(" / counts")
    edge = unit.locator("xpath=ancestor::*[@role='columnheader']").bounding_box()
    box = unit.bounding_box()
    assert box["x"] + box["width"] <= edge["x"] + edge["width"]
    expect(widget(table).locator(".bh-row [data-column='when'] > span").first).to_have_attribute(
        "title", re.compile(r"^queued \w+day, .* at .*\nstarted \w+day, (.|\n)*\nfinished ")
    )


def test_a_column_is_dragged_on_while_runs_of_another_kind_come(table):
    header, sample = (widget(table).get_by_role("columnheader", name=name) for name in ("file", "sample"))
    edge, before = header.locator(".bh-edge").bounding_box(), header.bounding_box()["width"]
    table.mouse.move(edge["x"] + 3, edge["y"] + 5)
    table.mouse.down()
    search(table, "state:done my_scan")  # of the tutorial, whose files have no sample
    expect(widget(table).locator(".bh-row[data-id]").filter(has_not_text="my_scan")).to_have_count(0)
    expect(widget(table).locator(".bh-row[data-id]").first).to_be_visible()
    table.mouse.move(edge["x"] + 63, edge["y"] + 5)
    table.mouse.up()
    expect(header).to_have_js_property("offsetWidth", round(before) + 60)
    expect(sample).to_have_count(0)
    header.locator(".bh-edge").dblclick()
    search_one_kind(table)
    expect(sample).to_be_visible()
    table.locator(".bh-search").first.hover()  # out of the header, where a resting mouse calls the sign


def test_a_cell_draws_the_curve(table):
    drawn = widget(table).locator(".bh-row[data-state='done'] [data-column='curve'] > svg.bh-spark > path").first
    expect(drawn).to_have_attribute("d", re.compile(r"^M0\.0 [\d.]+(L[\d.]+ [\d.]+)+"))
    box = drawn.bounding_box()
    assert box["width"] > 20
    assert box["height"] > 4
    assert drawn.evaluate("each => getComputedStyle(each).stroke") not in ("none", "")


def test_a_run_that_hangs_says_each_second_for_how_long_and_in_words_that_it_is_late(table, demo):
    search(table, "hangs")
    expect(row(table, write_file(demo, "hangs"))).to_have_attribute("data-state", "done")
    number = int(row(table, "hangs").get_attribute("data-id"))
    with held_workers(demo):
        table.evaluate(AGAIN, number)
        state = widget(table).locator(".bh-row[data-state='running'] [data-column='state']")
        for said in (r"running 1 s", r"running 2 s", r"running \d+ s, late"):
            expect(state).to_have_text(re.compile(said))
        assert state.locator(".bh-late").evaluate("each => each.scrollWidth <= each.parentElement.clientWidth")
    expect(widget(table).locator(".bh-row[data-state='done']")).to_have_count(2)
    search(table, "state:done sans2d_33837_0")


def test_the_menu_lists_every_column_that_is_known_and_shows_what_is_chosen(table):
    assert titles(table)[:7] == USUAL
    menu = open_menu(table, "Columns")
    for said in ("file", "sample from the file", "total counts / counts result", "direction parameter"):
        expect(menu.get_by_role("checkbox", name=said, exact=True)).to_be_visible()
    menu.get_by_role("checkbox", name="direction").check()
    menu.get_by_role("checkbox", name="function", exact=True).uncheck()
    expect(widget(table).get_by_role("columnheader", name="direction")).to_be_visible()
    expect(widget(table).get_by_role("columnheader", name="function")).to_have_count(0)
    assert "160" in row(table, "sans2d_33837").first.inner_text().split("\n")
    count = int(widget(table).locator(".bh-grid").get_attribute("aria-colcount"))
    header = widget(table).get_by_role("columnheader", name="direction")
    assert count == len(titles(table)) == int(header.get_attribute("aria-colindex"))


def test_the_keyboard_moves_and_pins_and_escape_gives_the_focus_back(table):
    menu = widget(table).get_by_role("dialog", name="Columns")
    before = titles(table)
    menu.get_by_role("button", name="move up state").focus()
    table.keyboard.press("Enter")
    expect(menu.get_by_role("button", name="move up state")).to_be_focused()
    expect(menu.get_by_role("status")).to_have_text(f"{before.index('state')} of {len(before)}")
    menu.get_by_role("button", name="keep at the left file").focus()
    table.keyboard.press("Enter")
    expect(menu.get_by_role("button", name="keep at the left file")).to_have_attribute("aria-pressed", "true")
    table.keyboard.press("Escape")
    expect(menu).to_be_hidden()
    button = widget(table).get_by_role("button", name="Columns")
    expect(button).to_be_focused()
    expect(button).to_have_attribute("aria-expanded", "false")
    assert titles(table)[:5] == ["file", "scan", "when", "state", "sample"]


def test_a_pinned_column_stays_in_sight_and_is_as_wide_as_somebody_made_it(table):
    header = widget(table).get_by_role("columnheader", name="file")
    before = header.bounding_box()
    edge = header.locator(".bh-edge").bounding_box()
    table.mouse.move(edge["x"] + 3, edge["y"] + 5)
    table.mouse.down()
    table.mouse.move(edge["x"] + 63, edge["y"] + 5)
    table.mouse.up()
    expect(header).to_have_js_property("offsetWidth", round(before["width"]) + 60)
    header.get_by_role("button").focus()
    table.keyboard.press("Alt+ArrowLeft")
    expect(header).to_have_js_property("offsetWidth", round(before["width"]) + 44)
    expect(header.get_by_role("button")).to_be_focused()
    for name in ("when", "sample"):  # nothing is narrower than what is beside it
        widget(table).get_by_role("columnheader", name=name).locator(".bh-edge").dblclick()
    table.wait_for_function(STAYS)
    widget(table).locator(".bh-row[data-id] > .bh-pinned").first.hover()
    expect(widget(table).locator(".bh-pinned > .bh-find")).to_be_visible()  # in a cell that stays where it is
    table.wait_for_function(STAYS)


def test_the_table_is_made_higher_by_its_lower_edge_and_by_keyboard(table):
    edge, rows = widget(table).get_by_role("separator", name="height of the table"), widget(table).locator(".bh-scroll")
    expect(rows).to_have_js_property("offsetHeight", 312)
    box, before = edge.bounding_box(), widget(table).locator(".bh-row").count()
    table.mouse.move(box["x"] + 50, box["y"] + 3)
    table.mouse.down()
    table.mouse.move(box["x"] + 50, box["y"] + 133)
    table.mouse.up()
    expect(rows).to_have_js_property("offsetHeight", 442)
    edge.focus()
    table.keyboard.press("ArrowDown")
    expect(rows).to_have_js_property("offsetHeight", 468)
    expect(edge).to_have_attribute("aria-valuenow", "468")
    expect(edge).to_be_focused()
    search(table, "")
    widget(table).locator(".bh-row").nth(before + 5).wait_for(state="attached")
    search(table, "state:done sans2d_33837_0")


def test_columns_are_kept_over_a_reload_and_what_is_broken_is_ignored(table):
    search_one_kind(table)
    chosen = titles(table)
    kept = table.evaluate(f"localStorage.getItem({LAYOUT})")
    assert json.loads(kept)["height"] == 468
    assert json.loads(kept)["shown"] == {"parameter:direction": True, "function": False}
    assert "/user/demo/" in table.evaluate(LAYOUT)
    assert "demo-2026" in table.evaluate(LAYOUT)
    table.reload()
    kernel_idle(table)
    run_cell(table, 0)
    expect(widget(table).get_by_role("columnheader", name="direction")).to_be_visible()
    search_one_kind(table)
    wait_for(lambda: titles(table) == chosen)
    expect(widget(table).locator(".bh-scroll")).to_have_js_property("offsetHeight", 468)
    table.evaluate(f"localStorage.setItem({LAYOUT}, '{{\"shown\": [')")
    run_cell(table, 0)
    expect(widget(table).get_by_role("columnheader", name="function")).to_be_visible()
    wait_for(lambda: titles(table)[:5] == USUAL[:5])  # it may just be painted anew
    table.evaluate(f"(kept) => localStorage.setItem({LAYOUT}, kept)", kept)


def test_reset_puts_the_usual_columns_back(table):
    run_cell(table, 0)
    expect(widget(table).get_by_role("columnheader", name="direction")).to_be_visible()
    menu = open_menu(table, "Columns")
    menu.get_by_role("button", name="reset").click()
    expect(widget(table).get_by_role("columnheader", name="direction")).to_have_count(0)
    expect(widget(table).locator(".bh-scroll")).to_have_js_property("offsetHeight", 312)
    assert titles(table)[:5] == USUAL[:5]
    table.keyboard.press("Escape")


TAPPED_AS_COLUMNS_CHANGE = """(cell, [box, touch]) => { box.click();
  for (const event of ["pointerdown", "pointerup"]) cell.dispatchEvent(new PointerEvent(event, touch)); }"""


def test_a_finger_calls_the_sign_also_where_its_row_is_about_to_be_painted_anew(table):
    menu = open_menu(table, "Columns")
    box = menu.get_by_role("checkbox", name="direction")
    number = widget(table).locator(".bh-row[data-id]").first.get_attribute("data-id")
    cell = widget(table).locator(f".bh-row[data-id='{number}'] > [data-column='file']")
    cell.evaluate(TAPPED_AS_COLUMNS_CHANGE, [box.element_handle(), TOUCH])
    expect(widget(table).get_by_role("columnheader", name="direction")).to_be_visible()
    expect(cell.locator(".bh-find")).to_be_visible()
    menu.get_by_role("button", name="reset").click()
    table.keyboard.press("Escape")


HEADINGS = """async () => (await (await fetch(location.pathname.replace(/lab.*/, "beamhub/api/v1/headings"), {headers:
  {"X-XSRFToken": document.cookie.match(/_xsrf=([^;]+)/)[1]}})).json()).tables"""


SHOWN = "(number) => document.querySelectorAll('.bh-head > [role=columnheader]').length === number"


def test_a_rule_says_what_its_table_shows_at_first_and_the_menu_what_no_row_in_sight_has(table, demo):
    search(table, "state:done sans2d_33837_0")  # of one rule
    rules, table_of = demo.folder / "processing.yaml", "table: [sample, chi², total counts, picture]"
    good = rules.read_text()
    said = ["when", "file", "state", "sample", "chi²", "total counts\n / counts", "picture"]

    def more(route):
        answer = route.fetch()
        further = {"kind": "scalar", "name": "resistance", "unit": "ohm"}
        route.fulfill(json=answer.json() | {"items": [*answer.json()["items"], further]})

    try:
        rules.write_text(good.replace("with: {direction: 160}\n", f"with: {{direction: 160}}\n    {table_of}\n"))
        wait_for(lambda: table.evaluate(HEADINGS))
        table.route("**/v1/headings*", more)
        menu = open_menu(table, "Columns")
        expect(menu.get_by_role("checkbox", name="resistance / ohm result")).not_to_be_checked()
        table.wait_for_function(SHOWN, arg=len(said))
        assert titles(table) == said
        menu.get_by_role("checkbox", name="sample from the file").uncheck()
        table.keyboard.press("Escape")
        run_cell(table, 0)
        expect(widget(table).get_by_role("columnheader", name="chi²")).to_be_visible()
        expect(widget(table).get_by_role("columnheader", name="sample")).to_have_count(0)
        open_menu(table, "Columns").get_by_role("button", name="reset").click()
        expect(widget(table).get_by_role("columnheader", name="sample")).to_be_visible()
        assert set(said) <= set(titles(table))  # rows of other rules, which a table anew shows too, bring theirs
        table.keyboard.press("Escape")
    finally:
        rules.write_text(good)
        table.unroute_all(behavior="wait")
    wait_for(lambda: not table.evaluate(HEADINGS))
    open_menu(table, "Columns")
    expect(widget(table).get_by_role("columnheader", name="function")).to_be_visible()
    table.keyboard.press("Escape")
    assert titles(table)[:5] == USUAL[:5]


def clipboard(page: Page) -> str:
    return page.evaluate("navigator.clipboard.readText()")


def test_the_selection_and_all_that_match_are_copied_as_the_table_shows_them(table):
    search(table, "state:done sans2d_33837_0")
    expect(row(table, "follows")).to_have_count(0)
    expect(widget(table).locator(".bh-row .bh-tail").nth(1)).to_contain_text("sans2d_33837_0")
    names = [text.split("\n")[0] for text in widget(table).locator(".bh-row .bh-tail").all_inner_texts()[:2]]
    row(table, names[0]).click()
    row(table, names[1]).click(modifiers=["Control"])
    menu = open_menu(table, "Copy")
    menu.get_by_role("button", name="2 selected as Markdown").click()
    expect(menu.get_by_role("status")).to_have_text("copied 2 rows")
    lines = clipboard(table).splitlines()
    assert lines[0].startswith("| scan | when | file | function | state |")
    assert "| total counts / counts |" in lines[0]
    assert [name for line in lines[2:] for name in names if name in line] == names
    count = int(re.sub(r"\D", "", widget(table).locator(".bh-count").inner_text()))
    menu.get_by_role("button", name="that match as CSV").click()
    expect(menu.get_by_role("status")).to_have_text(f"copied {count} rows")
    rows = list(csv.DictReader(io.StringIO(clipboard(table), newline="")))
    assert len({each["file"] for each in rows}) == count
    assert float(rows[0]["total counts / counts"]) > 1000
    table.keyboard.press("Escape")


def test_without_a_clipboard_the_rows_are_there_to_be_copied_by_hand(table):
    table.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')); }")
    menu = open_menu(table, "Copy")
    menu.get_by_role("button", name="2 selected as CSV").click()
    expect(menu.get_by_label("rows", exact=True)).to_be_focused()
    assert menu.get_by_label("rows", exact=True).input_value().startswith("scan,when,file,function,state,")
    table.keyboard.press("Escape")
    table.evaluate("() => { delete navigator.clipboard.writeText; }")


def selected(page: Page) -> list[str]:
    return widget(page).locator(".bh-row[aria-selected='true'] .bh-tail").all_inner_texts()


def test_the_newest_run_is_selected_until_somebody_chooses_another(table, demo):
    search(table, "sans2d_33837_f")
    follow = widget(table).get_by_role("button", name="Follow newest")
    follow.click()
    expect(follow).to_have_attribute("aria-pressed", "true")
    for number in range(2):
        name = write_file(demo, f"follows-{number}")
        expect(row(table, name).first).to_have_attribute("aria-selected", "true")
        assert selected(table) == [name]
        expect(table.locator(".bh-plot[data-curves='4']")).to_be_visible()
    row(table, "follows-0").first.click()
    expect(follow).to_have_attribute("aria-pressed", "false")
    expect(row(table, write_file(demo, "follows-2")).first).to_have_attribute("data-state", "done")
    assert selected(table) == ["sans2d_33837_follows-0.nxs"]


def test_a_link_opens_the_same_view_and_one_to_what_nobody_may_see_says_so(table):
    widget(table).get_by_role("columnheader", name="file").get_by_role("button").click()
    expect(row(table, "follows-1").first).to_be_visible()
    widget(table).get_by_role("button", name="Link").click()
    expect(widget(table).get_by_role("button", name="copied")).to_be_visible()
    link = clipboard(table)
    assert re.search(r"/lab/tree/tutorial.ipynb.*#beamhub=demo-2026&search=sans2d_33837_f&sort=-file&runs=\d+$", link)
    table.keyboard.press("Control+S")
    table.wait_for_timeout(2000)  # it is saved, and shown again at once
    table.goto("about:blank")
    table.goto(link)
    kernel_idle(table)
    expect(table.locator(".bh-search").first).to_have_value("sans2d_33837_f")
    expect(row(table, "follows-0").first).to_have_attribute("aria-selected", "true")
    expect(widget(table).get_by_role("columnheader", name="file")).to_have_attribute("aria-sort", "descending")
    expect(table.locator(".bh-plot[data-curves='4']")).to_be_visible()
    table.evaluate("location.hash = '#beamhub=demo-2026&search=state:failed&runs=999999999'")
    expect(table.locator(".bh-search").first).to_have_value("state:failed")
    expect(row(table, "follows-1")).to_have_count(0)
    table.evaluate("location.hash = '#beamhub=somebody-elses'")
    expect(table.locator(f"{READY} .bh-note").first).to_contain_text("somebody-elses, which you do not see")


def test_the_first_row_of_a_scan_names_it_below_a_rule(table, demo):
    raw = demo.folder / "raw/demo-2026"
    for number in (1, 1, 2):
        folder = raw / f"scan_500{number}_sans2d_33837"
        folder.mkdir(exist_ok=True)
        name = f"sans2d_33837_few-of-{len(list(folder.iterdir()))}-{number}.nxs"
        (folder / name).with_suffix(".tmp").write_bytes((raw / FIRST.partition("/")[2]).read_bytes())
        (folder / name).with_suffix(".tmp").rename(folder / name)
        search(table, "sans2d_33837_few-of")
        expect(row(table, name)).to_have_attribute("data-state", "done")
    rows = widget(table).locator(".bh-row")
    expect(rows).to_have_count(3)
    assert [each.split("\n")[0] for each in rows.all_inner_texts()] == [
        f"scan_500{number}_sans2d_33837" for number in (2, 1, 1)
    ]
    marked = "rows => rows.map((row) => getComputedStyle(row).boxShadow !== 'none')"
    assert rows.evaluate_all(marked) == [True, True, False]
    counts = widget(table).locator(".bh-begins > [data-column='scan']")
    assert counts.evaluate_all("all => all.map((each) => getComputedStyle(each, '::after').content)") == [
        '"(1)"',
        '"(2)"',
    ]
    widget(table).get_by_role("columnheader", name="state").get_by_role("button").click()
    expect(widget(table).locator(".bh-begins")).to_have_count(0)


def test_pictures_are_shown_where_they_are_asked_for_and_given_back(table):
    table.evaluate(
        """() => { window.given = 0; const revoke = URL.revokeObjectURL;
             URL.revokeObjectURL = (address) => { window.given++; revoke.call(URL, address); }; }"""
    )
    open_menu(table, "Columns").get_by_role("checkbox", name="picture").check()
    table.keyboard.press("Escape")
    pictures = widget(table).locator(".bh-picture")
    expect(pictures).to_have_count(3)
    expect(pictures.first).to_have_js_property("complete", True)
    assert 0 < pictures.first.evaluate("each => each.naturalWidth") <= 64
    before = table.evaluate("window.given")
    run_cell(table, 0)
    table.wait_for_function(f"window.given >= {before} + 3")
    open_menu(table, "Columns").get_by_role("button", name="reset").click()
    table.keyboard.press("Escape")


@pytest.mark.parametrize("width", [1280, 360])
def test_nothing_hinders_people_who_do_not_see_or_do_not_use_a_mouse(table, width):
    table.set_viewport_size({"width": width, "height": 740})
    if width < 500 and table.locator("#jp-left-stack").is_visible():
        table.keyboard.press("Control+B")
    for name in ("Columns", "Copy"):
        menu = open_menu(table, name)
        box = menu.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert box["y"] + box["height"] <= 740
        found = Axe().run(table, ".bh-root").response["violations"]
        assert [(each["id"], each["nodes"][0]["html"]) for each in found] == []
        table.keyboard.press("Escape")
        expect(widget(table).get_by_role("button", name=name, exact=True)).to_be_focused()
    table.set_viewport_size({"width": 1280, "height": 1000})
