"""The table in front ends other than Lab with its page configuration: Notebook 7, and one where the kernel relays."""

import contextlib
import re
from collections.abc import Iterator

import pytest
from browser.test_restarts import ASK, enter_lab
from browser.tools import row, search, widget, write_file
from playwright.sync_api import BrowserContext, Page, Response, expect
from services.demo import RunningDemo
from services.sight import OUT_OF_SIGHT

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
expect.set_options(timeout=40_000)
# the page's configuration is hidden from the widget alone, whose modules come from blobs; the front end needs it
HIDE = """(() => { const get = Document.prototype.getElementById;
  Document.prototype.getElementById = function (id) {
    return id === "jupyter-config-data" && new Error().stack.includes("blob:") ? null : get.call(this, id); }; })()"""
VIEWPORT = {"width": 1280, "height": 1000}
ACTIVE = ".jp-NotebookPanel:not(.lm-mod-hidden) "
FRONT_ENDS = {
    "Notebook 7": ("notebooks", "direct"),
    "Lab by comm": ("lab/tree", "comm"),
}


@pytest.fixture(scope="module")
def context(demo, browser) -> Iterator[BrowserContext]:
    """A browser that is logged in, and whose server runs."""
    context = browser.new_context(viewport=VIEWPORT)
    context.set_default_timeout(60_000)
    page = context.new_page()
    enter_lab(page, demo)
    page.close()
    yield context
    context.close()


def open_notebook(page: Page, demo: RunningDemo, where: str, name: str = "tutorial.ipynb") -> None:
    """A notebook in a front end."""
    page.goto(f"{demo.url}/user/demo/{where}/{name}")
    page.wait_for_selector(f"{ACTIVE}.jp-CodeCell")


def run(page: Page, index: int, code: str = "") -> None:
    """Run a cell, or other code in it, as often as the front end forgets it since its kernel has not begun."""
    cell = page.locator(f"{ACTIVE}.jp-CodeCell").nth(index)
    cell.locator(".cm-content").click()
    if code:
        page.keyboard.press("Control+A")
        page.keyboard.type(code)
    prompt = cell.locator(".jp-InputPrompt")
    begun = re.compile(rf"^(?!{re.escape(prompt.inner_text())}$)\[(\*|\d+)\]")  # forgotten: none, or as it was
    for _ in range(20):
        page.keyboard.press("Control+Enter")
        with contextlib.suppress(AssertionError):
            expect(prompt).to_have_text(begun, timeout=3000)
            return
    pytest.fail(f"cell {index} does not begin")


def end_kernels(page: Page) -> None:
    for session in page.evaluate(ASK, ["GET", "/user/demo/api/sessions"]):
        page.evaluate(ASK.replace("return answer.json();", ""), ["DELETE", f"/user/demo/api/sessions/{session['id']}"])


@pytest.fixture(scope="module", params=FRONT_ENDS)
def page(request, demo, browser, context) -> Iterator[Page]:
    """The tutorial in each front end, its first cell run; a page has `transport`, `mark` and `asked`."""
    where, transport = FRONT_ENDS[request.param]
    its_own = browser.new_context(viewport=VIEWPORT, storage_state=context.storage_state())
    its_own.set_default_timeout(60_000)
    page = its_own.new_page()
    if transport == "comm":
        page.add_init_script(HIDE)
    page.transport, page.asked, page.mark = transport, [], f"front-{request.param.split()[-1].lower()}"
    page.on("request", lambda asked: page.asked.append(asked.url))
    open_notebook(page, demo, where)
    run(page, 0)
    expect(widget(page)).to_be_visible()
    yield page
    end_kernels(page)
    its_own.close()


def test_the_table_appears_is_live_and_shows_a_file_that_arrives(page, demo):
    assert widget(page).get_attribute("data-transport") == page.transport
    expect(page.locator(".bh-live")).to_have_text("● live")
    search(page, page.mark)
    expect(widget(page).locator(".bh-row")).to_have_count(0)
    expect(row(page, write_file(demo, page.mark))).to_have_attribute("data-state", "done")
    by_http = [each for each in page.asked if re.search("/beamhub/api/(hello|v1|changes)", each)]
    assert bool(by_http) == (page.transport == "direct")


def test_a_row_that_is_searched_for_and_selected_shows_its_curve(page):
    search(page, "sans2d_33837_00001 state:done")
    row(page, "33837_00001").first.click()
    expect(page.locator(".bh-plot[data-curves='4']")).to_be_visible()
    expect(page.locator(".bh-plot")).to_contain_text("the facility's own curve")


def test_a_run_is_done_again_with_another_parameter(page):
    search(page, page.mark)
    row(page, page.mark).first.click()
    page.get_by_role("tab", name="Again").click()
    form = page.locator(".bh-form")
    form.get_by_label("direction").fill("500")
    form.get_by_role("button", name="again").click()
    expect(form.locator(".bh-field-error", has_text="180")).to_be_visible()
    form.get_by_label("direction").fill("30")
    form.get_by_role("button", name="again").click()
    expect(page.locator(".bh-batch")).to_contain_text("1 of 1 ended")
    expect(row(page, page.mark).nth(1)).to_have_attribute("data-state", "done")


def test_a_notebook_that_is_opened_again_without_its_kernel_shows_the_table_as_it_was_last_seen(page, demo):
    page.get_by_role("tab", name="Curve").click()  # a form would not be painted anew
    search(page, "")
    last_seen = write_file(demo, f"last-seen-{page.mark}")
    expect(row(page, last_seen)).to_have_attribute("data-state", "done")
    row(page, last_seen).click()
    page.evaluate(OUT_OF_SIGHT)
    expect(page.locator("[data-seen]")).to_have_count(0)
    expect(row(page, last_seen)).to_be_focused()
    page.locator(".jp-Notebook .jp-CodeCell").nth(0).locator(".jp-InputPrompt").click()
    with page.expect_response(lambda answer: is_saved(answer)):
        page.keyboard.press("Control+S")
    shown = page.locator(".jp-Notebook .jp-CodeCell").first.locator(".jp-OutputArea-output")
    end_kernels(page)
    page.reload()
    expect(shown).to_contain_text(re.compile(r"Processed data, as of .* UTC, \d+ of \d+ runs"))
    expect(shown.locator("tr", has_text=last_seen)).to_contain_text("done")
    expect(shown).to_contain_text("Run this cell to see it live.")


def is_saved(answer: Response) -> bool:
    return answer.request.method == "PUT" and "/api/contents/tutorial.ipynb" in answer.url


from browser.lab_cases import *  # noqa: E402, F403 - what is tried in Lab alone, with the same demo
