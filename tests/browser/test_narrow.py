"""The table where there is little room: a phone, and a notebook at 200 %."""

import pytest
from browser.test_restarts import enter_lab
from browser.tools import READY, kernel_idle, run_cell, search
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
expect.set_options(timeout=40_000)
BESIDE = """() => { const root = document.querySelector(".bh-root"), edge = root.getBoundingClientRect().right + 1;
  return [...root.querySelectorAll("*")].filter((each) => !each.closest(".bh-scroll") && !each.closest("canvas"))
    .filter((each) => each.getBoundingClientRect().width && each.getBoundingClientRect().right > edge)
    .map((each) => each.className); }"""
CUT = """() => [...document.querySelectorAll(".bh-facts dt, .bh-facts dd, .bh-tabs button")]
  .filter((each) => each.scrollWidth > each.clientWidth + 1).map((each) => each.textContent)"""
UNDER = """() => { const boxes = [...document.querySelectorAll(".bh-facts dt, .bh-facts dd")].map((each) => {
    const range = document.createRange(); range.selectNodeContents(each);
    return [each, range.getBoundingClientRect()]; });
  return boxes.flatMap(([one, a], at) => boxes.slice(at + 1).filter(([, b]) =>
    a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 4 && b.top < a.bottom - 4)
    .map(([other]) => one.textContent + " / " + other.textContent)); }"""


@pytest.fixture(params=[(375, 740, 1), (640, 500, 2)], ids=["phone", "200 %"], scope="module")
def page(request, demo, browser):
    """The tutorial in Lab, in a small window."""
    width, height, scale = request.param
    page = browser.new_context(viewport={"width": 1280, "height": 1000}, device_scale_factor=scale).new_page()
    page.set_default_timeout(60_000)
    enter_lab(page, demo)
    page.wait_for_selector(".jp-Notebook .jp-CodeCell")
    kernel_idle(page)
    run_cell(page, 0)
    expect(page.locator(READY).first).to_be_visible()
    if page.locator("#jp-left-stack").is_visible():
        page.keyboard.press("Control+B")
    page.set_viewport_size({"width": width, "height": height})
    yield page
    page.context.close()


def test_nothing_is_cut_or_lies_over_another(page):
    search(page, "state:done")
    page.locator(f"{READY} .bh-row[data-state='done']").first.click()
    for tab, inside in (("Curve", "canvas"), ("Image", "img"), ("Again", ".bh-field"), ("About this run", ".bh-facts")):
        page.get_by_role("tab", name=tab, exact=True).click()
        expect(page.locator(f".bh-tab {inside}").first).to_be_visible()
        assert page.evaluate(BESIDE) == []
        assert page.evaluate(CUT) == []
        assert page.evaluate(UNDER) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    tops = page.locator(".bh-tabs button").evaluate_all("tabs => tabs.map((tab) => tab.getBoundingClientRect().top)")
    assert len(set(tops)) == 1
