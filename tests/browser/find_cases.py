"""Finding runs: by words that are typed, by what stands in cells and headers, with pointer, finger and keyboard."""

import re
from collections.abc import Iterator

import pytest
from browser.tools import TOUCH, held_workers, row, search, widget, write_file
from playwright.sync_api import Locator, expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
expect.set_options(timeout=40_000)


def test_a_search_that_finds_nothing_offers_to_say_why(page, demo):
    search(page, "nothing-is-called-so")
    expect(page.locator(".bh-note").first).to_contain_text("Nothing in demo-2026 matches")
    page.get_by_role("button", name="Why is my file not here?").click()
    path = page.get_by_label("the file's name or path")
    expect(path).to_have_value("nothing-is-called-so")
    path.press("Enter")
    asked = page.locator(".bh-whynot")
    expect(asked).to_contain_text("is the name right?")
    path.fill("demo-2026/scan_0001_sans2d_33837/none.nxs")
    path.press("Enter")
    expect(asked).to_contain_text("There is no such file in the storage.")
    expect(asked).to_contain_text("When it arrives, magnet will take it.")
    search(page, "")
    expect(asked).to_have_count(0)


def test_a_search_is_understood_as_it_is_typed_or_says_what_was_meant(page):
    note = page.locator(".bh-note").first
    search(page, "state:failed no_centre after:yesterday")
    expect(widget(page).locator(".bh-row")).to_have_count(1)
    search(page, "state:faild no_centre")
    expect(note).to_contain_text("there is no state 'faild'; possible: queued, waiting, running, done, failed")
    expect(note).to_contain_text("Shown is what was found before.")
    expect(widget(page).locator(".bh-row")).to_have_count(1)
    search(page, "state:done no_centre")
    expect(note).to_contain_text(re.compile(r"has all of these; each alone: state:done \(\d+\), no_centre \(1\)\."))
    search(page, "")


def test_what_stands_in_a_cell_is_searched_for_by_a_click_and_in_a_header_by_its_name(page):
    table, box = widget(page), page.locator(".bh-search").first
    search(page, "no_centre")
    expect(table.locator(".bh-row")).to_have_count(1)
    table.locator(".bh-row [data-column='state']").hover()
    table.locator(".bh-find").dispatch_event("pointerdown")
    expect(box).to_have_value("no_centre state:failed")
    expect(table.locator(".bh-row")).to_have_count(1)
    table.locator(".bh-head [data-column='state']").hover()
    table.locator(".bh-find").dispatch_event("pointerdown")
    expect(box).to_have_value("no_centre state:failed state:")
    expect(box).to_be_focused()
    row(page, "no_centre").click()
    page.keyboard.press("/")
    expect(box).to_be_focused()
    search(page, "")


AS_IT_CHANGES = """(table) => { window.signs = [];
  const exchanged = (change) => [...change.removedNodes].some((node) => node.dataset?.before);
  const look = (changes) => {
    if (changes.some(exchanged)) window.signs.push(!!table.querySelector(".bh-row .bh-find")); };
  new MutationObserver(look).observe(table, { childList: true, subtree: true }); }"""


@pytest.fixture
def wide(page) -> Iterator[None]:
    """What is said above the table has room in one line, whatever it says, so that no row moves under the pointer."""
    before = page.viewport_size
    page.set_viewport_size({"width": 2000, "height": before["height"]})
    yield
    page.set_viewport_size(before)


def tap(cell: Locator) -> None:
    for event in ("pointerover", "pointerdown", "pointerup", "pointerout"):
        cell.dispatch_event(event, TOUCH)


def test_what_stands_in_a_cell_is_searched_for_by_keyboard_and_by_touch_too(page):
    table, box = widget(page), page.locator(".bh-search").first
    search(page, "no_centre")
    expect(table.locator(".bh-row")).to_have_count(1)
    expect(row(page, "no_centre")).to_have_attribute("data-state", "failed", timeout=120_000)
    row(page, "no_centre").click()
    sign = table.locator(".bh-row .bh-find")
    cells = ("scan", "when", "file", "function", "state")
    for column in cells:
        page.keyboard.press("ArrowRight")
        expect(table.locator(f".bh-row [data-column='{column}'] > .bh-find")).to_be_focused()
    expect(sign).to_have_accessible_name("search for state:failed")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Escape")
    expect(row(page, "no_centre")).to_be_focused()
    expect(sign).to_have_count(0)
    for _ in cells:
        page.keyboard.press("ArrowRight")
    row(page, "no_centre").evaluate("row => { row.dataset.before = '1'; }")
    page.keyboard.press("Enter")
    expect(box).to_have_value("no_centre state:failed")
    expect(row(page, "no_centre")).to_be_focused()
    expect(table.locator("[data-before]")).to_have_count(0)  # what was searched for is there
    box.hover()  # a mouse that rests in a cell would call the sign there
    tap(table.locator(".bh-row [data-column='function']"))
    table.locator(".bh-row [data-column='function'] > .bh-find").dispatch_event("pointerdown", TOUCH)
    expect(box).to_have_value("no_centre state:failed function:radial_average")
    search(page, "")


def test_the_keyboard_stays_in_its_cell_when_the_row_changes(page, demo):
    table, box = widget(page), page.locator(".bh-search").first
    with held_workers(demo):
        write_file(demo, "keyed")
        search(page, "keyed")
        row(page, "keyed").click()
        for _ in range(4):
            page.keyboard.press("ArrowRight")
        expect(table.locator(".bh-row [data-column='function'] > .bh-find")).to_be_focused()
        row(page, "keyed").evaluate("row => { row.dataset.before = '1'; }")
    expect(row(page, "keyed")).to_have_attribute("data-state", "done")
    expect(table.locator("[data-before]")).to_have_count(0)  # it was painted anew
    expect(table.locator(".bh-row [data-column='function'] > .bh-find")).to_be_focused()
    page.keyboard.press("Enter")
    expect(box).to_have_value("keyed function:radial_average")
    expect(row(page, "keyed")).to_be_focused()
    search(page, "")


@pytest.mark.parametrize("pointer", ["touch", "mouse"])
def test_the_sign_that_a_pointer_called_stays_in_its_cell_when_the_row_changes(page, demo, wide, pointer):
    table, box = widget(page), page.locator(".bh-search").first
    box.hover()
    search(page, f"called-by-{pointer}")
    cell = row(page, f"called-by-{pointer}").locator("[data-column='scan']")  # the first, which results move nowhere
    with held_workers(demo):
        write_file(demo, f"called-by-{pointer}")
        expect(cell).to_be_visible()
        if pointer == "touch":
            tap(cell)
        else:
            cell.hover(position={"x": 10, "y": 10})
        expect(cell.locator(".bh-find")).to_be_visible()
        cell.evaluate("cell => { cell.parentElement.dataset.before = '1'; }")
        table.evaluate(AS_IT_CHANGES)
    expect(row(page, f"called-by-{pointer}")).to_have_attribute("data-state", "done")
    expect(table.locator("[data-before]")).to_have_count(0)  # it was painted anew
    assert set(page.evaluate("window.signs")) == {True}
    expect(cell.locator(".bh-find")).not_to_be_focused()
    search(page, "")
