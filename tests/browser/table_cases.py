"""The table's columns, copies and links, in a real browser."""

import json
import re

import pytest
from browser.test_main_job import kernel_idle, row, run_cell, search, widget
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
expect.set_options(timeout=40_000)
USUAL = ["when", "file", "function", "state", "sample", "part"]
LAYOUT = "Object.keys(localStorage).find((key) => key.startsWith('beamhub.columns '))"


def titles(page: Page) -> list[str]:
    """The headers from left to right."""
    found = widget(page).locator("[role=columnheader]").all_inner_texts()
    return [re.sub(r"[▾▴\s]+$", "", text) for text in found]


def open_menu(page: Page, name: str):
    widget(page).get_by_role("button", name=name, exact=True).click()
    menu = widget(page).get_by_role("dialog", name=name)
    expect(menu).to_be_visible()
    return menu


@pytest.fixture(scope="module")
def table(page):
    """The table with rows that are done, and the clipboard allowed."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    run_cell(page, 0)
    expect(widget(page)).to_be_visible()
    search(page, "state:done sans2d_33837_0")
    expect(widget(page).locator(".bh-row[data-state='done']").nth(2)).to_be_visible()
    return page


def test_the_menu_lists_every_column_that_is_known_and_shows_what_is_chosen(table):
    assert titles(table)[:6] == USUAL
    menu = open_menu(table, "Columns")
    listed = menu.locator("li label").all_inner_texts()
    for said in ("file", "sample from the file", "total counts / counts result", "direction parameter"):
        assert said in listed
    menu.get_by_role("checkbox", name="direction").check()
    menu.get_by_role("checkbox", name="function", exact=True).uncheck()
    expect(widget(table).get_by_role("columnheader", name="direction")).to_be_visible()
    assert "function" not in titles(table)
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
    assert titles(table)[:4] == ["file", "when", "state", "sample"]


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
    widget(table).locator(".bh-scroll").evaluate("each => { each.scrollLeft = 10000; }")
    assert widget(table).locator(".bh-scroll").evaluate("each => each.scrollLeft") > 0
    left = widget(table).locator(".bh-scroll").bounding_box()["x"]
    assert abs(header.bounding_box()["x"] - left) < 2
    assert abs(row(table, "sans2d_33837").locator(".bh-pinned").first.bounding_box()["x"] - left) < 2


def test_columns_are_kept_over_a_reload_and_what_is_broken_is_ignored(table):
    chosen = titles(table)
    kept = table.evaluate(f"localStorage.getItem({LAYOUT})")
    assert json.loads(kept)["shown"] == {"parameter:direction": True, "function": False}
    assert "/user/demo/" in table.evaluate(LAYOUT)
    assert "demo-2026" in table.evaluate(LAYOUT)
    table.reload()
    kernel_idle(table)
    run_cell(table, 0)
    expect(widget(table).get_by_role("columnheader", name="direction")).to_be_visible()
    assert titles(table) == chosen
    table.evaluate(f"localStorage.setItem({LAYOUT}, '{{\"shown\": [')")
    run_cell(table, 0)
    expect(widget(table).get_by_role("columnheader", name="function")).to_be_visible()
    assert titles(table)[:4] == USUAL[:4]
    table.evaluate(f"(kept) => localStorage.setItem({LAYOUT}, kept)", kept)


def test_reset_puts_the_usual_columns_back(table):
    run_cell(table, 0)
    expect(widget(table).get_by_role("columnheader", name="direction")).to_be_visible()
    menu = open_menu(table, "Columns")
    menu.get_by_role("button", name="reset").click()
    expect(widget(table).get_by_role("columnheader", name="direction")).to_have_count(0)
    assert titles(table)[:4] == USUAL[:4]
    table.keyboard.press("Escape")
