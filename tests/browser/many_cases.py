"""A table of far more rows than are loaded, in a real browser; the rows are the demo's first one many times."""

import json
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from browser.panel_cases import ASK
from browser.tools import kernel_idle, run_cell, search, widget, write_file
from playwright.sync_api import Page, Route, expect
from services.sight import IN_SIGHT, OUT_OF_SIGHT
from services.workbench import wait_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
expect.set_options(timeout=40_000)
MANY, COUNTED = 12_345, 10_000
LINKED = 7000
COUNT = "runs/count?search=above-"
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
ASKED = re.compile(rf"/v1/runs(/count)?\?.*(search=many|ids={MANY - LINKED}\b)")


def time_of(number: int) -> str:
    """When a run was queued: each a second after the one before."""
    return (BEGIN + timedelta(seconds=number)).isoformat()


def number_of(time: str) -> int:
    return round((datetime.fromisoformat(time) - BEGIN).total_seconds())


def answered(url: str, like: dict) -> dict:
    """What the service would say of many runs, the newest first."""
    asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    if "since" in asked:
        return {"count": MANY + 1 - number_of(asked["since"]), "exact": True, "states": {}, "held": 0, "seconds": None}
    if "/count" in url:
        return {"count": COUNTED, "exact": False, "states": {}, "held": 0, "seconds": None}
    limit = int(asked.get("limit", 100))
    if "ids" in asked:
        numbers = [MANY - int(one) for one in asked["ids"].split(",") if int(one) <= MANY]
    elif "before" in asked:
        end = int(asked["before"])
        numbers = range(max(0, end - limit), end)
    else:
        start = int(asked["after"]) + 1 if "after" in asked else int(asked.get("at", 0))
        numbers = range(start, min(MANY, start + limit))
    items = [
        like | {"id": MANY - one, "queued": time_of(MANY - one), "file": like["file"] | {"name": f"many_{one:05}.nxs"}}
        for one in numbers
    ]
    before = str(numbers[0]) if numbers and numbers[0] else None
    after = str(numbers[-1]) if numbers and numbers[-1] < MANY - 1 else None
    return {"items": items, "before": before, "after": after, "seq": 0}


@pytest.fixture(scope="module")
def many(page):
    """The table after a search that finds so many."""
    page.reload()
    kernel_idle(page)
    with page.expect_response(lambda answer: re.search(r"/v1/runs\?", answer.url) is not None) as first:
        run_cell(page, 0)
    like = first.value.json()["items"][0]

    def answer(route: Route) -> None:
        route.fulfill(body=json.dumps(answered(route.request.url, like)), content_type="application/json")

    page.route(ASKED, answer)
    expect(widget(page)).to_be_visible()
    search(page, "many")
    expect(named(page, 0)).to_be_visible()
    yield page
    page.unroute(ASKED)
    search(page, "")


def named(page: Page, number: int):
    return widget(page).locator(".bh-row", has_text=f"many_{number:05}.nxs")


def copied(page: Page) -> str:
    """How many rows would be copied as those that are selected."""
    widget(page).get_by_role("button", name="Copy", exact=True).click()
    told = widget(page).get_by_role("dialog", name="Copy").locator("legend").first.inner_text()
    page.keyboard.press("Escape")
    return told


def said(page: Page):
    return widget(page).locator(".bh-note[role=status]", has_text=re.compile(r"selected|asking|begin"))


def test_end_leads_on_beyond_the_rows_that_are_counted_until_the_last_and_then_it_is_said_how_many(many):
    count, grid = widget(many).locator(".bh-count"), widget(many).get_by_role("grid")
    named(many, 0).click()
    expect(count).to_have_text("more than 10,000 runs")
    expect(grid).to_have_attribute("aria-rowcount", "-1")
    many.keyboard.press("End")
    expect(named(many, COUNTED - 1)).to_be_focused()
    expect(count).to_have_text("more than 10,000 runs")
    for _ in range(20):
        if named(many, MANY - 1).count():
            break
        many.keyboard.press("End")
        many.wait_for_timeout(300)
    expect(named(many, MANY - 1)).to_be_focused()
    expect(count).to_have_text("12,345 runs")
    expect(grid).to_have_attribute("aria-rowcount", "12346")
    many.keyboard.press("Home")
    expect(named(many, 0)).to_be_focused()


def test_shift_selects_all_rows_between_also_those_that_are_not_loaded_and_says_where_there_are_too_many(many):
    named(many, 0).click()
    for _ in range(30):
        many.keyboard.press("PageDown")
    expect(named(many, 300)).to_be_focused()
    many.keyboard.press("Shift+Home")
    expect(named(many, 0)).to_be_focused()
    assert copied(many) == "301 selected"
    expect(said(many)).to_have_count(0)
    named(many, 0).click()
    many.keyboard.press("Shift+End")
    expect(said(many)).to_have_text("500 of 12,345 rows are selected, from where you began: more cannot be at once")
    expect(named(many, MANY - 1)).to_be_focused()
    assert copied(many) == "500 selected"
    named(many, MANY - 1).click()
    expect(said(many)).to_have_count(0)
    many.keyboard.press("Shift+Home")
    expect(said(many)).to_have_text(re.compile("500 of 12,345 rows"))
    many.keyboard.press("ArrowDown")
    many.keyboard.press("Shift+ArrowDown")
    expect(said(many)).to_have_count(0)
    assert copied(many) == "2 selected"


def test_a_range_to_a_row_that_was_let_go_of_is_asked_for(many):
    named(many, 0).click()
    scroll = widget(many).locator(".bh-scroll")
    scroll.evaluate("(one) => { one.scrollTop = 6000 * 26; }")
    expect(named(many, 6005)).to_be_visible()
    named(many, 6005).click()
    scroll.evaluate("(one) => { one.scrollTop = 6600 * 26; }")
    expect(named(many, 6605)).to_be_visible()
    scroll.evaluate("(one) => { one.scrollTop = 9000 * 26; }")
    expect(named(many, 9005)).to_be_visible()
    scroll.evaluate("(one) => { one.scrollTop = 6400 * 26; }")
    expect(named(many, 6404)).to_be_visible()
    named(many, 6404).click(modifiers=["Shift"])
    expect(said(many)).to_have_count(0)
    assert copied(many) == "400 selected"
    scroll.evaluate("(one) => { one.scrollTop = 6003 * 26; }")
    expect(named(many, 6005)).to_have_attribute("aria-selected", "true")
    expect(named(many, 6004)).to_have_attribute("aria-selected", "false")


def test_who_scrolled_stays_there_when_the_table_is_painted_anew(many):
    scroll = widget(many).locator(".bh-scroll")
    scroll.evaluate("(one) => { one.scrollTop = 0; }")
    named(many, 0).click()  # the keyboard is there
    scroll.evaluate("(one) => { one.scrollTop = 3000 * 26; }")
    expect(named(many, 3002)).to_be_visible()
    many.evaluate(OUT_OF_SIGHT)  # what the notebook saves is made anew then, and the table with it
    try:
        expect(many.locator("[data-seen]")).to_have_count(0)
        expect(widget(many)).to_be_visible()
        expect(named(many, 3000)).to_be_in_viewport()
        expect(named(many, 3005)).to_be_in_viewport()
    finally:
        many.evaluate(IN_SIGHT)


TOP = """(scroll) => { const top = scroll.getBoundingClientRect().top;
  const place = (row) => [row.dataset.id, row.getBoundingClientRect().top - top];
  const rows = [...scroll.querySelectorAll(".bh-row[data-id]")].map(place);
  return rows.filter(([, above]) => above >= 0).sort((one, other) => one[1] - other[1])[0]; }"""


def test_what_is_in_sight_stays_there_also_where_rows_came_above_it_meanwhile(many, demo):
    for number in range(24):
        write_file(demo, f"above-{number}")
    search(many, "above-")
    expect(widget(many).locator(".bh-count")).to_have_text("24 runs")
    expect(widget(many).locator(".bh-row[data-state='done'][aria-rowindex='2']")).to_be_visible()
    scroll = widget(many).locator(".bh-scroll")
    scroll.evaluate("(one) => { one.scrollTop = 5 * 26; }")
    before = scroll.evaluate(TOP)
    asked, rows = "**/beamhub/api/v1/proposals*", re.compile(r"/v1/runs(/count)?\?proposal=(?!.*ids=).*search=above-")
    proposals: list[Route] = []
    held: list[Route] = []
    many.route(asked, lambda route: proposals.append(route))
    write_file(demo, "above-later-0")
    expect(widget(many).locator(".bh-new")).to_have_text("1 new or moved: show them")
    many.evaluate(OUT_OF_SIGHT)
    try:
        while not proposals:
            many.wait_for_timeout(50)
        # the new table waits for it, and the one before is out of the page but hears on
        write_file(demo, "above-later-1")
        wait_for(lambda: many.evaluate(ASK, COUNT)["count"] == 26)
        many.wait_for_timeout(1000)  # until then it has heard
        many.unroute(asked)
        many.route(rows, lambda route: held.append(route))
        proposals[0].continue_()
        while not any("/count?" not in route.request.url for route in held):
            many.wait_for_timeout(50)
        # by now the one before has ended, and has not heard of this one
        write_file(demo, "above-later-2")
        wait_for(lambda: many.evaluate(ASK, COUNT)["count"] == 27)
        many.unroute(rows)
        for route in held:
            route.continue_()
        expect(many.locator("[data-seen]")).to_have_count(0)
        expect(widget(many).locator(".bh-count")).to_have_text("27 runs")
        wait_for(lambda: widget(many).locator(".bh-scroll").evaluate(TOP) == before)
    finally:
        many.evaluate(IN_SIGHT)
        search(many, "many")
    expect(named(many, 0)).to_be_visible()


def test_a_row_that_a_link_selects_is_scrolled_to_also_where_it_is_not_loaded(many):
    proposal = widget(many).locator("select").first.input_value()
    many.evaluate(f"location.hash = '#beamhub={proposal}&search=many&runs={MANY - LINKED}'")
    expect(named(many, LINKED)).to_have_attribute("aria-selected", "true")
    expect(named(many, LINKED)).to_be_in_viewport()
    many.evaluate("location.hash = ''")
