"""Several tables at once, the keyboard alone, much magnified: in Lab, in a real browser."""

import platform
import re
from collections.abc import Iterator

import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe
from browser.test_front_ends import ACTIVE, end_kernels, open_notebook, run
from browser.tools import READY, choose_theme, write_file
from playwright.sync_api import Locator, Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
expect.set_options(timeout=40_000)
BEGIN = "from IPython.display import display\nfrom beamhub.widgets import ProcessedData\ndata = ProcessedData()\ndata"
SEVERAL = 5  # with the two others more than a browser has connections to a server that has no HTTPS
TAB = ".lm-DockPanel-tabBar .lm-TabBar-tab"


def write_notebook(demo, name: str, *cells: str) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3 (ipykernel)"}
    nbformat.write(notebook, demo.folder / f"home/{demo.user}/{name}")


@pytest.fixture(scope="module")
def lab(demo, context) -> Iterator[Page]:
    """Lab with two notebooks; `streams` holds the requests for changes that are open."""
    more = f"for _ in range({SEVERAL}):\n    display(data)"
    selected = "print([entry.run.id for entry in data.selected])"
    write_notebook(demo, "one.ipynb", BEGIN, more, selected, "display(data)")
    write_notebook(demo, "two.ipynb", BEGIN)
    page = context.new_page()
    page.streams = set()
    page.on("request", lambda asked: page.streams.add(asked) if "/changes?" in asked.url else None)
    for event in ("requestfinished", "requestfailed"):
        page.on(event, lambda ended: page.streams.discard(ended))
    open_notebook(page, demo, "lab/workspaces/several/tree", "one.ipynb?reset")
    run(page, 0)
    expect(page.locator(READY)).to_be_visible()
    yield page
    end_kernels(page)


def rows(table: Locator, name: str) -> Locator:
    return table.locator(".bh-row", has_text=name)


def test_tables_of_two_notebooks_are_live_on_one_stream_and_each_is_searched_for_itself(lab, demo):
    lab.locator(".jp-DirListing-item", has_text="two.ipynb").dblclick()
    expect(lab.locator(TAB, has_text="two.ipynb")).to_have_class(re.compile("lm-mod-current"))
    lab.wait_for_selector(f"{ACTIVE}.jp-CodeCell")
    run(lab, 0)
    tables = lab.locator(READY)
    expect(tables).to_have_count(2)
    lab.locator(f"{ACTIVE}.bh-search").fill("two-")
    name = write_file(demo, "two-notebooks")
    for table in tables.all():
        expect(table.locator(".bh-live")).to_have_text("● live")
        expect(rows(table, name)).to_have_attribute("data-state", "done")
    one, two = (table.locator(".bh-search").input_value() for table in tables.all())
    assert {one, two} == {"", "two-"}
    assert len(lab.streams) == 1


def test_a_table_goes_on_when_the_notebook_of_another_was_closed(lab, demo):
    lab.locator(TAB, has_text="two.ipynb").locator(".lm-TabBar-tabCloseIcon").click()
    lab.locator(".jp-Dialog button", has_text="Discard").click()
    expect(lab.locator(READY)).to_have_count(1)
    name = write_file(demo, "closed-the-other")
    expect(rows(lab.locator(READY), name)).to_have_attribute("data-state", "done")
    assert len(lab.streams) == 1


def test_a_view_that_is_not_answered_at_first_takes_nothing_from_another_and_goes_on_when_it_is(lab):
    views, asked = lab.locator(READY), "**/beamhub/api/v1/proposals*"
    shown = views.locator(".bh-row[data-id]").count()
    lab.route(asked, lambda route: route.fulfill(status=503, json={"message": "nobody answers"}))
    run(lab, 3)
    expect(views).to_have_count(2)
    expect(views.last.locator(".bh-note").first).to_have_text("nobody answers")
    for view in views.all():
        expect(view.locator(".bh-row[data-id]")).to_have_count(shown)
    lab.unroute(asked)
    lab.evaluate("dispatchEvent(new Event('focus'))")
    for view in views.all():
        expect(view.locator(".bh-note").first).to_be_hidden()
        expect(view.locator(".bh-row[data-id]")).to_have_count(shown)
    run(lab, 3, "pass")
    expect(views).to_have_count(1)


TELL = """(live) => { window.told = []; new MutationObserver(() => window.told.push(live.textContent))
    .observe(live, {childList: true, characterData: true, subtree: true}); }"""


def test_all_views_of_one_table_are_live_on_one_stream_and_show_the_same(lab, demo):
    lab.locator(f"{READY} .bh-live").evaluate(TELL)
    run(lab, 1)
    lab.locator(f"{READY} .bh-bar").first.click(button="right", position={"x": 3, "y": 3})
    lab.locator(".lm-Menu-itemLabel", has_text=re.compile("Create New View for")).click()
    views = lab.locator(READY)
    expect(views).to_have_count(SEVERAL + 2)
    for view in views.all():
        expect(view.locator(".bh-live")).to_have_text("● live")
    assert len(lab.streams) == 1
    assert set(lab.evaluate("window.told")) <= {"● live"}
    name = write_file(demo, "views-1")
    views.nth(1).locator(".bh-search").fill("views-")
    for view in views.all():
        expect(view.locator(".bh-search")).to_have_value("views-")
        expect(rows(view, name)).to_have_attribute("data-state", "done")
        expect(view.locator(".bh-row")).to_have_count(1)


def test_what_is_selected_in_one_view_is_selected_in_all_and_for_the_kernel(lab):
    views = lab.locator(READY)
    apart = lab.locator(f".jp-LinkedOutputView {READY}")
    rows(apart, "views-1").click()
    for view in (views.first, views.nth(1), apart):
        expect(rows(view, "views-1")).to_have_attribute("aria-selected", "true")
        expect(view.locator(".bh-plot[data-curves='4']")).to_be_visible()
    number = rows(apart, "views-1").get_attribute("data-id")
    run(lab, 2)
    output = lab.locator(f"{ACTIVE}.jp-CodeCell").nth(2).locator(".jp-OutputArea-output")
    expect(output).to_have_text(f"[{number}]")
    apart.get_by_role("button", name="Follow newest").click()
    for view in (views.first, views.nth(1)):
        expect(view.get_by_role("button", name="Follow newest")).to_have_attribute("aria-pressed", "true")
    apart.get_by_role("button", name="Follow newest").click()


def test_a_view_that_is_closed_leaves_the_others_live(lab, demo):
    tabs = lab.locator(TAB, has_text="Output View")
    tabs.locator(".lm-TabBar-tabCloseIcon").click()
    views = lab.locator(READY)
    expect(views).to_have_count(SEVERAL + 1)
    name = write_file(demo, "views-2")
    for view in (views.first, views.last):
        expect(rows(view, name)).to_have_attribute("data-state", "done")
    assert len(lab.streams) == 1
    run(lab, 1, "pass")
    expect(views).to_have_count(1)


# From here on no mouse, but for the cell that is run


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def tab_to(page: Page, wanted: Locator) -> Locator:
    """Press Tab until what a locator means (one of them, if it means several) has the focus."""
    for _ in range(99):
        press(page, "Tab")
        if wanted.evaluate_all("(all) => all.includes(document.activeElement)"):
            break
    else:
        pytest.fail(f"Tab does not lead to {wanted}")
    return page.locator(":focus")


def find(page: Page, table: Locator) -> Locator:
    """The second of three runs that a search finds, with its curve; the row has the focus."""
    tab_to(page, table.locator(".bh-search"))
    page.keyboard.type("keys- state:done")
    press(page, "Enter")
    expect(table.locator(".bh-row:focus")).to_have_attribute("aria-rowindex", "2")
    press(page, "ArrowDown", "ArrowDown", "ArrowUp")
    chosen = table.locator(".bh-row[aria-selected='true']")
    expect(chosen).to_be_focused()
    expect(chosen).to_have_attribute("aria-rowindex", "3")
    expect(table.locator(".bh-plot[data-curves='4']")).to_be_visible()
    return chosen


def turn_log_scale(page: Page, table: Locator) -> None:
    press(page, "Enter")
    expect(table.get_by_role("tab", name="Curve")).to_be_focused()
    box = tab_to(page, table.locator(".bh-panel input[name='log x']"))
    before = box.is_checked()
    press(page, "Space")
    expect(box).to_be_checked(checked=not before)


def do_again(page: Page, table: Locator) -> None:
    press(page, "Enter", "ArrowLeft")
    expect(table.get_by_role("tab", name="Again")).to_be_focused()
    expect(table.get_by_role("button", name="Run 1 again")).to_be_enabled()
    tab_to(page, table.locator(".bh-form").get_by_label("direction"))
    press(page, "Control+A")
    page.keyboard.type("35")
    tab_to(page, table.locator(".bh-form button[type=submit]"))
    press(page, "Enter")
    expect(table.locator(".bh-batch")).to_contain_text("1 of 1 ended")
    expect(table.locator(".bh-batch")).to_be_focused()


def show_column(page: Page, table: Locator, name: str) -> None:
    tab_to(page, table.locator(".bh-bar button[aria-haspopup]"))
    press(page, "Enter")
    box = table.get_by_role("dialog", name="Columns").get_by_role("checkbox", name=name)
    tab_to(page, table.locator(".bh-menu li[data-key='parameter:direction'] input"))
    press(page, "Space")
    expect(box).to_be_checked()
    press(page, "Escape")
    expect(table.get_by_role("columnheader", name=name)).to_be_visible()
    expect(table.get_by_role("button", name="Columns")).to_be_focused()


def copy(page: Page, table: Locator) -> str:
    button = table.get_by_role("button", name="Copy", exact=True)
    press(page, "Tab")
    expect(button).to_be_focused()
    press(page, "Enter")
    menu = table.get_by_role("dialog", name="Copy")
    expect(menu.get_by_role("button", name="1 selected as Markdown")).to_be_focused()
    press(page, "Enter")
    expect(menu.get_by_role("status")).to_have_text("copied 1 rows")
    press(page, "Escape")
    expect(button).to_be_focused()
    return page.evaluate("navigator.clipboard.readText()")


def test_with_the_keyboard_alone_a_run_is_found_looked_at_done_again_and_copied(lab, demo):
    lab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    names = [write_file(demo, f"keys-{number}") for number in range(3)]
    table = lab.locator(READY).first
    run(lab, 0)
    expect(table.locator(".bh-search")).to_have_value("")
    for name in names:
        expect(rows(table, name)).to_have_attribute("data-state", "done")
    chosen = find(lab, table)
    for act in (turn_log_scale, do_again):
        act(lab, table)
        press(lab, "Escape")
        expect(chosen).to_be_focused()
    press(lab, "/")
    expect(table.locator(".bh-search")).to_be_focused()
    show_column(lab, table, "direction")
    assert copy(lab, table).splitlines()[0].startswith("| scan | when | file |")


def test_rows_are_sorted_by_a_parameter(lab):
    table = lab.locator(READY).first
    header = table.get_by_role("columnheader", name="direction")
    column = header.get_attribute("aria-colindex")
    for direction, values in (("descending", ["160", "160", "160", "35"]), ("ascending", ["35", "160", "160", "160"])):
        header.get_by_role("button").click()
        expect(header).to_have_attribute("aria-sort", direction)
        expect(table.locator(f".bh-row [aria-colindex='{column}']")).to_have_text(values)
    table.get_by_role("columnheader", name="when").get_by_role("button").click()


MOVES = """() => [...document.querySelectorAll(".bh-root, .bh-root *")].filter((each) => {
  const { transitionDuration, animationName } = getComputedStyle(each);
  return parseFloat(transitionDuration) > 0 || animationName !== "none"; }).map((each) => each.className)"""


def test_nothing_of_the_table_moves_by_itself_whatever_people_prefer(lab):
    style = lab.add_style_tag(content=".bh-search { transition: color 1s; }")
    assert lab.evaluate(MOVES) == ["bh-search"] * lab.locator(".bh-search").count() != []
    style.evaluate("style => style.remove()")
    for motion in ("reduce", "no-preference"):
        lab.emulate_media(reduced_motion=motion)
        assert lab.evaluate(MOVES) == []
    lab.emulate_media(reduced_motion=None)


@pytest.fixture(scope="module")
def flood(demo) -> None:
    """200 rows, of files that hold nothing."""
    folder = demo.folder / "raw/demo-2026/scan_0001_sans2d_33837"
    for number in range(200):
        (folder / f"sans2d_33837_empty-{number:03}.tmp").write_bytes(b"")
        (folder / f"sans2d_33837_empty-{number:03}.tmp").rename(folder / f"sans2d_33837_empty-{number:03}.nxs")


def test_keys_lead_to_a_row_that_is_not_loaded_yet(lab, flood):
    table = lab.locator(READY).first
    table.locator(".bh-search").fill("empty-")
    expect(table.locator(".bh-count")).to_have_text("200 runs")
    expect(table.get_by_role("grid")).to_have_attribute("aria-rowcount", "201")
    table.locator(".bh-row[data-id]").first.click()
    for key, number in (("End", 201), ("PageUp", 191), ("Home", 2)):
        lab.keyboard.press(key)
        row = table.locator(f'.bh-row[aria-rowindex="{number}"]')
        expect(row).to_be_focused()
        expect(row).to_have_attribute("aria-selected", "true")
    lab.keyboard.press("Shift+PageDown")
    selected = table.locator('.bh-row[aria-selected="true"]')
    expect(selected).to_have_count(11)
    table.locator(".bh-search").fill("empty-00")
    expect(table.locator(".bh-row[data-id]")).to_have_count(10)
    table.locator(".bh-row[data-id]").nth(3).click(modifiers=["Shift"])  # where it began is not among these
    expect(selected).to_have_count(1)


def select_done_and_failed(page: Page) -> None:
    """Both are selected, what was done is drawn, and the failed one has the focus, among 200."""
    table = page.locator(READY).first
    table.locator(".bh-search").fill("keys-0")
    rows(table, "keys-0").first.click()
    table.locator(".bh-search").fill("empty-")
    expect(table.locator(".bh-count")).to_have_text("200 runs")
    if table.get_by_role("columnheader", name="when").get_attribute("aria-sort") == "descending":
        table.get_by_role("columnheader", name="when").get_by_role("button").click()
    failed = rows(table, "empty-000")
    expect(failed).to_have_attribute("data-state", "failed")
    failed.click(modifiers=["Control"])
    expect(failed).to_be_focused()


@pytest.mark.parametrize("theme", ["Dark", "Light"])
def test_axe_finds_nothing_wrong_in_200_rows_that_are_magnified_to_200_percent(lab, flood, theme):
    choose_theme(lab, theme)
    select_done_and_failed(lab)
    lab.set_viewport_size({"width": 640, "height": 500})
    wrong = {}
    for tab, shown in (("Again", ".bh-field"), ("Curve", ".bh-plot canvas")):
        lab.locator(READY).first.get_by_role("tab", name=tab).click()
        expect(lab.locator(READY).first.locator(shown).first).to_be_visible()
        found = Axe().run(lab, context=".bh-root").response["violations"]
        wrong |= {f"{tab}: {one['id']}": [node["html"] for node in one["nodes"]] for one in found}
    lab.set_viewport_size({"width": 1280, "height": 1000})
    assert wrong == {}


def test_where_lab_has_h5web_and_the_file_browser_shows_the_output_a_link_opens_it(lab, demo):
    """The last, since Lab shows its file browser from then on."""
    table = lab.locator(READY).first
    link = table.get_by_role("link", name="open in h5web")
    table.locator(".bh-search").fill("keys- direction:160 state:done")
    expect(table.locator(".bh-row")).to_have_count(3)
    table.get_by_role("tab", name="Curve").click()
    with lab.expect_response(re.compile("/beamhub/api/place/")) as place:
        rows(table, "keys-1").click()
    assert place.value.status == 404
    expect(link).to_have_count(0)
    results, below = demo.folder / "results", demo.folder / f"home/{demo.user}/results"
    results.rename(below)
    results.symlink_to(below)
    rows(table, "keys-2").click()
    path = r"/user/demo/lab/tree/results/demo-2026/\d+/1/.*keys-2-radial_average.nxs$"
    expect(link).to_have_attribute("href", re.compile(path))
    link.click()
    expect(lab.get_by_role("treeitem", name="entry")).to_be_visible()


def test_a_session_says_where_its_server_runs_with_what_and_how_long_it_stays(demo, context):
    write_notebook(demo, "session.ipynb", "from beamhub.widgets import Session\nSession()")
    page = context.new_page()
    open_notebook(page, demo, "lab/workspaces/session/tree", "session.ipynb?reset")
    run(page, 0)
    facts = page.locator(".bh-session dd")
    expect(facts).to_have_count(5)
    where, profile, cores, memory, left = facts.all()
    expect(where).to_have_text(f"here, {platform.node()}")
    expect(profile).to_have_text("small")
    expect(cores).to_have_text("1")
    expect(memory).to_have_text(re.compile(r"^\d+(\.\d+)? MB in use of 2.1\d? GB$"))
    expect(left).to_have_text(re.compile(r"^3 h [45]\d min \(until (\d+ \w+ )?\d\d:\d\d"))  # it may be tomorrow
    page.close()
