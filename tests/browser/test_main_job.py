"""The main job as a scientist does it, in a real browser: log in, choose, start, see data, load it."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from browser.tools import (
    READY,
    choose_theme,
    held_workers,
    kernel_idle,
    painted,
    row,
    run_cell,
    search,
    service_of,
    shown,
    widget,
    write_file,
)
from playwright.sync_api import Page, expect
from services.demo import ROOT, RunningDemo
from services.living import with_words
from services.workbench import wait_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
expect.set_options(timeout=40_000)
FIRST_FUNCTION = ROOT / "examples/first_function"
TUTORIAL = ROOT / "docs/tutorials/your-first-function.md"


@pytest.fixture(scope="module")
def page(demo, browser) -> Iterator[Page]:
    """A page that is logged in, with the tutorial open in Lab."""
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.set_default_timeout(60_000)
    page.goto(demo.url)
    page.fill("#username_input", demo.user)
    page.fill("#password_input", demo.password)
    page.click("#login_submit")
    expect(page.get_by_role("heading", name="Start your server")).to_be_visible()
    expect(page.get_by_text("you need to be in the group imaging")).to_be_visible()
    page.get_by_role("radio", name=re.compile("Small analysis")).check()
    page.locator("select[name='small.cores']").select_option("2")
    page.get_by_role("button", name="Start").click()
    page.wait_for_url(re.compile(r"/user/demo/lab"))
    kernel_idle(page)
    yield page
    page.close()


def test_the_table_fills_while_the_beamline_writes(page, demo):
    run_cell(page, 0)
    expect(widget(page)).to_be_visible()
    assert widget(page).get_attribute("data-transport") == "direct"
    expect(widget(page).locator(".bh-live")).to_contain_text("live")
    before = int(re.sub(r"\D", "", widget(page).locator(".bh-count").inner_text()))
    expect(row(page, write_file(demo, "appears"))).to_have_attribute("data-state", "done")
    after = int(re.sub(r"\D", "", widget(page).locator(".bh-count").inner_text()))
    assert after > before


def test_a_click_shows_the_curve_with_the_facilitys_own_and_the_arrow_keys_go_on(page, demo):
    name = write_file(demo, "clicked")
    search(page, "sans2d_33837")
    row(page, name).click()
    expect(page.locator(".bh-plot canvas")).to_be_visible()
    expect(page.locator(".bh-plot[data-curves='4']")).to_be_visible()
    assert painted(page) > 3
    expect(page.locator(".bh-plot")).to_contain_text("the facility's own curve")
    page.keyboard.press("ArrowDown")
    expect(row(page, name)).to_have_attribute("aria-selected", "false")
    expect(widget(page).locator(".bh-row[aria-selected='true']")).to_have_count(1)


def test_a_row_is_chosen_although_the_table_is_painted_anew_between_press_and_release(page, demo):
    search(page, "press-")  # which no other file matches: none moves the row before it is pressed
    pressed = row(page, write_file(demo, "press-held"))
    expect(pressed).to_have_attribute("data-state", "done")
    pressed.hover(position={"x": 20, "y": 10})
    page.mouse.down()
    expect(row(page, write_file(demo, "press-between"))).to_have_attribute("data-state", "done")
    page.mouse.up()
    expect(pressed).to_have_attribute("aria-selected", "true")


def test_rows_that_did_not_change_stay_the_same_elements_while_others_arrive_above_them(page, demo):
    search(page, "state:done stays-")
    rows = widget(page).locator(".bh-row")
    for number in range(3):
        write_file(demo, f"stays-{number}")
        expect(rows).to_have_count(number + 1)
        if number == 1:
            rows.evaluate_all("(all) => all.forEach((each) => { each.marked = true; })")
    assert rows.evaluate_all("(all) => all.filter((each) => each.marked).length") > 0
    places = rows.evaluate_all("(all) => all.map((each) => each.getAttribute('aria-rowindex'))")
    assert places == ["2", "3", "4"]


def test_several_rows_are_laid_over_each_other_and_loaded_as_one_dataset(page):
    search(page, "state:done sans2d_33837_0000")
    row(page, "33837_00002").click()  # by name: others arrive above them
    row(page, "33837_00001").click(modifiers=["Control"])
    expect(page.locator(".bh-plot[data-curves='3']")).to_be_visible()
    run_cell(page, 1)
    output = page.locator(".jp-Notebook .jp-CodeCell").nth(1).locator(".jp-OutputArea-output")
    expect(output).to_contain_text("xarray.Dataset")
    expect(output).to_contain_text("run: 2")
    expect(output).to_contain_text("I_errors")


@pytest.mark.parametrize("rows", [1, 2])
def test_the_line_that_is_copied_loads_what_is_selected_in_a_cell_where_nothing_is_named(page, rows):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    search(page, "state:done sans2d_33837_0000")
    row(page, "33837_00002").click()
    if rows == 2:
        row(page, "33837_00001").click(modifiers=["Control"])
    page.get_by_role("button", name="copy code").click()
    expect(page.get_by_role("button", name="copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    run_cell(page, 2, copied)  # neither catalog nor Catalog is named in the notebook yet
    output = page.locator(".jp-Notebook .jp-CodeCell").nth(2).locator(".jp-OutputArea-output")
    expect(output).to_contain_text("xarray.Dataset")
    expect(output).to_contain_text("run: 2" if rows == 2 else "I_errors")
    expect(page.get_by_role("button", name="copy code")).to_be_visible()


from browser.image_cases import *  # noqa: E402, F403 - in their place among the others, which is their order


def test_curves_are_compared_and_their_view_stays_from_row_to_row(page):
    shown(page, "screen-1", tab="Curve")
    plot, tab = page.locator(".bh-plot"), page.locator(".bh-panel")
    expect(plot).to_have_attribute("data-curves", "4")
    whole = plot.get_attribute("data-x")
    page.get_by_role("button", name="zoom in").click()
    seen = plot.get_attribute("data-x")
    assert seen != whole
    tab.get_by_role("checkbox", name="sector 160°").uncheck()
    expect(plot).to_have_attribute("data-curves", "3")
    shown(page, "screen-2", tab="Curve")
    expect(plot).to_have_attribute("data-curves", "3")
    expect(plot).to_have_attribute("data-x", seen)
    page.get_by_role("button", name="show the whole curves").click()
    expect(plot).to_have_attribute("data-x", whole)
    tab.get_by_role("checkbox", name="sector 160°").check()
    shown(page, "screen-1", "screen-2", tab="Curve")
    expect(plot).to_have_attribute("data-curves", "3")
    for mode, sign in (("ratio", "÷"), ("difference", "−")):
        tab.get_by_label("rows").select_option(mode)
        expect(plot.get_by_role("img", name=re.compile(f"{sign} the first .interpolated."))).to_be_visible()
        expect(plot).to_have_attribute("data-curves", "1")
    expect(tab).to_contain_text(re.compile("difference to the first, sans2d_33837_screen-1.nxs: .*errors propagated"))
    tab.get_by_label("rows").select_option("overlay")
    expect(plot).to_have_attribute("data-curves", "3")


def test_runs_are_done_again_with_other_parameters(page, demo):
    search(page, "appears")
    row(page, "sans2d_33837_appears").first.click()
    page.get_by_role("tab", name="Again").click()
    form = page.locator(".bh-form")
    expect(form).to_contain_text("1 run of Radial and sector average")
    expect(form.get_by_label(re.compile(r"all runs that match the search \(1\)"))).to_be_enabled()
    expect(form.get_by_label(re.compile(r"all failed runs that match the search \(0\)"))).to_be_disabled()
    form.get_by_label("direction").fill("500")
    form.get_by_role("button").click()
    expect(form.locator(".bh-field-error", has_text=re.compile("180"))).to_be_visible()
    form.get_by_label("direction").fill("30")
    form.get_by_role("button").dblclick()
    batch = page.locator(".bh-batch")
    expect(batch).to_contain_text("1 of 1 ended")
    expect(batch).to_contain_text("160 → 30")
    expect(batch.locator("progress")).to_have_js_property("value", 1)
    expect(row(page, "sans2d_33837_appears")).to_have_count(2)
    batch.get_by_role("button", name="Show what is different", exact=True).click()
    expect(widget(page).locator(".bh-row[aria-selected='true']")).to_have_count(2)
    expect(page.locator(".bh-plot[data-curves='1'][data-mode='versions']")).to_be_visible()
    expect(page.locator(".bh-caption")).to_contain_text("difference to the version before, direction: 160 → 30: interp")
    page.locator(".bh-panel").get_by_label("rows").select_option("overlay")
    expect(page.locator(".bh-plot[data-curves='3']")).to_contain_text(
        re.compile(r"\(run \d+, the newest, direction 30\)")
    )


def test_all_that_a_search_finds_is_done_again_and_what_waits_of_it_is_cancelled(page, demo):
    search(page, "all-of")
    for number in range(5):  # more than are handed out at once
        expect(row(page, write_file(demo, f"all-of-{number}"))).to_have_attribute("data-state", "done")
    search(page, "state:done all-of")
    row(page, "all-of").first.click()
    page.get_by_role("tab", name="Again").click()
    form, batch = page.locator(".bh-form"), page.locator(".bh-batch")
    form.get_by_label(re.compile("all runs that match the search")).check()
    form.get_by_label("direction").fill("45")
    expect(form.get_by_role("button")).to_have_text("Run 5 again")
    with held_workers(demo):
        form.get_by_role("button").click()
        batch.get_by_role("button", name="Cancel what still waits").click()
        expect(batch).to_contain_text("cancelled")
    expect(batch).to_contain_text("5 of 5 ended")


def test_the_broken_files_say_why(page):
    search(page, "state:failed")
    expect(widget(page).locator(".bh-row[data-state='failed']").first).to_be_visible(timeout=120_000)
    expect(row(page, "no_centre")).to_be_visible(timeout=120_000)
    row(page, "no_centre").click()
    page.get_by_role("tab", name="About this run").click()
    expect(page.locator(".bh-panel")).to_contain_text("no beam centre")
    expect(page.locator(".bh-sentences")).to_contain_text("The rule magnet took the file")
    expect(page.locator(".bh-sentences strong")).to_contain_text("To do: look at the file")
    expect(page.locator(".bh-tab mark").first).to_contain_text("sans.py:")


from browser.find_cases import *  # noqa: E402, F403


@pytest.mark.parametrize("theme", ["Dark", "Light"])
def test_axe_finds_nothing_wrong_in_light_and_dark_with_a_failed_row_focused_and_each_tab_open(page, theme):
    choose_theme(page, theme)
    search(page, "no_centre state:failed")
    expect(widget(page).locator(".bh-row")).to_have_count(1)
    row(page, "no_centre").click()
    wrong = {}
    for tab in page.locator(".bh-tabs [role=tab]").all_inner_texts():
        page.get_by_role("tab", name=tab, exact=True).click()
        row(page, "no_centre").click()
        page.wait_for_timeout(500)
        found = Axe().run(page, context=".bh-root")
        wrong |= {
            f"{tab}: {one['id']}": [node["html"] for node in one["nodes"]] for one in found.response["violations"]
        }
    search(page, "")
    assert wrong == {}


@pytest.mark.promise("load")
def test_the_header_of_the_table_says_how_many_run_and_wait_and_for_how_long(page, demo):
    for number in range(40):
        write_file(demo, f"many-{number:02}")
    queue = widget(page).locator(".bh-queue")
    expect(queue).to_have_text(re.compile(r"^\d+ running, \d+ waiting, (less than a minute|about \d+ (s|min))$"))
    expect(queue).to_have_text("", timeout=180_000)


@pytest.mark.promise("user code")
def test_a_function_that_was_edited_into_a_syntax_error_leaves_the_last_good_one_in_force_and_the_table_says_so(
    page, demo
):
    module = demo.folder / "functions/sans.py"
    good = module.read_text()
    line = len(good.splitlines()) + 1
    try:
        module.write_text(f"{good}oops(\n")
        note = widget(page).get_by_text(f"sans.py:{line}: '(' was never closed")
        for number in range(10):  # files go on to arrive, and are processed
            expect(row(page, write_file(demo, f"broken-{number}"))).to_have_attribute("data-state", "done")
            if note.count():
                break
        expect(note).to_be_visible()
    finally:
        module.write_text(good)
    for number in range(10):
        expect(row(page, write_file(demo, f"mended-{number}"))).to_have_attribute("data-state", "done")
        if not note.is_visible():
            break
    expect(note).to_be_hidden()


@pytest.mark.promise("bad input")
def test_a_mistake_in_an_edited_processing_yaml_is_told_in_the_table_until_it_is_mended(page, demo):
    rules = demo.folder / "processing.yaml"
    good = rules.read_text()
    line = len(good.splitlines()) + 1
    note = widget(page).get_by_text(f"processing.yaml:{line}: unknown key 'ruls' @ ruls; did you mean rules?")
    try:
        rules.write_text(f"{good}ruls: {{}}\n")
        expect(note).to_be_visible()
    finally:
        rules.write_text(good)
    expect(note).to_be_hidden()


def test_a_search_that_takes_long_says_so_and_can_be_stopped(page, demo):
    with page.expect_response("**/v1/runs/count*search=state*"):
        search(page, "state:done")
    expect(widget(page).locator(".bh-row").first).to_be_visible()
    page.wait_for_timeout(300)
    table, newest = widget(page).get_by_role("grid"), widget(page).locator(".bh-row .bh-tail").first.inner_text()
    page.route("**/v1/runs*search=slow*", lambda route: None)  # which is never answered
    search(page, "slow")
    expect(widget(page).get_by_text("searching …")).to_be_visible()
    expect(table).to_have_attribute("aria-busy", "true")
    widget(page).get_by_role("button", name="Stop").click()
    expect(widget(page).get_by_text("searching …")).to_be_hidden()
    expect(table).to_have_attribute("aria-busy", "false")
    assert page.locator(".bh-search").first.input_value() == "state:done"
    expect(row(page, newest)).to_be_visible()
    page.unroute("**/v1/runs*search=slow*")
    search(page, "")


# The tutorial of the first function, word for word


class Author:
    """Somebody who follows the tutorial, in a folder in which the demo's is named as there."""

    def __init__(self, folder: Path, demo: RunningDemo) -> None:
        self.folder, self.told = folder, TUTORIAL.read_text()
        (folder / ".demo").symlink_to(demo.folder)
        self.function, self.rules = folder / ".demo/functions/total.py", folder / ".demo/processing.yaml"

    def run(self, program: str, *words: str) -> str:
        command = [str(Path(sys.executable).with_name(program)), *words]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True).stdout

    def check(self, expected: str) -> None:
        """See that beamhub check says what the tutorial says that it does."""
        assert ".venv/bin/beamhub check .demo/processing.yaml\n" in self.told
        assert f"\n{expected}\n" in self.told
        said = self.run("beamhub", "check", ".demo/processing.yaml")
        assert expected in said.replace(f"{(self.folder / '.demo').resolve()}", "/…/.demo").splitlines()

    def measure(self, name: str) -> str:
        self.run("python", str(FIRST_FUNCTION / "measure.py"), name)
        return f"{name}.nxs"


@pytest.fixture(scope="module")
def author(tmp_path_factory, demo) -> Author:
    return Author(tmp_path_factory.mktemp("author"), demo)


def in_force(page: Page, function: str) -> bool:
    """Whether the service's rule totals has this function."""
    ask = """async () => (await (await fetch(location.pathname.replace(/lab.*/, "beamhub/api/v1/rules"), {headers:
             {"X-XSRFToken": document.cookie.match(/_xsrf=([^;]+)/)[1]}})).json()).items"""
    return any((rule["name"], rule["function"]) == ("totals", function) for rule in page.evaluate(ask))


def test_a_function_and_a_rule_that_are_written_into_the_running_demo_process_the_next_file(page, author):
    for snippet in ("functions/total.py", "rule.yaml", "measure.py"):
        assert f"literalinclude}} ../../examples/first_function/{snippet}\n" in author.told
    author.function.write_text((FIRST_FUNCTION / "functions/total.py").read_text())
    author.rules.write_text(author.rules.read_text() + (FIRST_FUNCTION / "rule.yaml").read_text())
    author.check(".demo/processing.yaml: right")
    wait_for(lambda: in_force(page, "total"))
    search(page, "my_scan")
    first = row(page, author.measure("first"))
    expect(first).to_have_attribute("data-state", "done")
    expect(first).to_contain_text("16")


def test_a_mistake_in_the_function_is_said_by_check_and_in_the_table_with_its_line(page, author):
    good = author.function.read_text()
    author.function.write_text(good.replace("threshold].sum())", "threshold].sum()"))
    author.check("/…/.demo/functions/total.py:15: '(' was never closed")
    note = widget(page).get_by_text("Total counts: total.py:15: '(' was never closed")
    assert "\nTotal counts: total.py:15: '(' was never closed\n" in author.told
    search(page, "my_scan")
    for number in range(10):
        expect(row(page, author.measure(f"second-{number}"))).to_have_attribute("data-state", "done")
        if note.count():
            break
    expect(note).to_be_visible()
    author.function.write_text(good)


def test_a_mistake_in_the_rule_is_said_by_check_and_in_the_table_and_mended_by_running_again(page, author):
    good = author.rules.read_text()
    author.rules.write_text(good.replace("function: total\n", "function: totl\n"))
    author.check(".demo/processing.yaml:43: there is no function 'totl' @ rules.totals.function; did you mean total?")
    wait_for(lambda: in_force(page, "totl"))
    search(page, "my_scan")
    third = row(page, author.measure("third"))
    expect(third).to_have_attribute("data-state", "failed")
    third.click()
    page.get_by_role("tab", name="About this run").click()
    assert "\nthere is no function totl\n" in author.told
    expect(page.locator(".bh-sentences")).to_contain_text("there is no function totl")
    author.rules.write_text(good)
    wait_for(lambda: in_force(page, "total"))
    page.get_by_role("tab", name="Again").click()
    page.get_by_label("threshold").fill("7")
    page.locator(".bh-form").get_by_role("button").click()
    expect(page.locator(".bh-batch")).to_contain_text("1 of 1 ended")
    expect(row(page, "third.nxs").first).to_contain_text("10")


def test_a_computing_kernel_stops_neither_table_nor_plot(page, demo):
    page.get_by_role("tab", name="Curve").click()
    run_cell(page, 2, "import time; time.sleep(120)")
    page.wait_for_selector("text=/ipykernel\\) \\| Busy/")
    search(page, "while-busy")
    name = write_file(demo, "while-busy")
    expect(row(page, name)).to_have_attribute("data-state", "done")
    row(page, name).click()
    expect(page.locator(".bh-plot[data-curves='4']")).to_be_visible()
    assert page.locator("text=/ipykernel\\) \\| Busy/").count() == 1
    page.locator(".jp-Notebook .jp-CodeCell").nth(2).locator(".jp-InputPrompt").click()
    page.keyboard.press("i")
    page.keyboard.press("i")
    kernel_idle(page)


@pytest.mark.promise("kills of the service")
def test_after_a_restart_of_the_service_no_row_is_missing_and_none_is_there_twice(page, demo):
    search(page, "after-the-kill")
    service_of(demo).kill()
    name = write_file(demo, "after-the-kill")
    expect(widget(page).locator(".bh-live")).to_contain_text("● live")
    expect(row(page, name)).to_have_attribute("data-state", "done")
    expect(row(page, name)).to_have_count(1)


def test_the_page_reloaded_shows_the_table_again(page, demo):
    page.keyboard.press("Control+S")
    time.sleep(2)
    page.reload()
    kernel_idle(page)
    expect(widget(page)).to_be_visible()
    search(page, "after-the-kill")
    expect(row(page, "sans2d_33837_after-the-kill")).to_have_count(1)


@pytest.mark.promise("access")
def test_a_notebook_in_which_it_was_shown_holds_no_token_and_a_static_table(page, demo):
    page.keyboard.press("Control+S")
    time.sleep(2)
    text = (demo.folder / f"home/{demo.user}/tutorial.ipynb").read_text()
    assert "Processed data, as of" in text
    server = with_words(demo.processes(), "jupyterhub", "singleuser")[0]
    token = server.environ()["JUPYTERHUB_API_TOKEN"]
    assert len(token) > 20
    assert token not in text
    assert token not in page.content().replace(page.locator("#jupyter-config-data").inner_html(), "")


def test_without_the_page_configuration_the_kernel_relays(page, demo):
    page.evaluate("document.getElementById('jupyter-config-data').remove()")
    run_cell(page, 0)
    expect(page.locator(f"{READY}[data-transport='comm']").first).to_be_visible()
    expect(page.locator(".bh-live").first).to_contain_text("● live")
    name = write_file(demo, "by-comm")
    expect(row(page, name)).to_have_attribute("data-state", "done")
    row(page, name).click()
    expect(page.locator(".bh-plot[data-curves='4']")).to_be_visible()


@pytest.mark.promise("kills of the service")
def test_while_the_service_hangs_cells_run_although_the_kernel_relays(page, demo):
    service = service_of(demo)
    service.suspend()
    try:
        search(page, "by-comm")  # asks the service, through the kernel
        page.wait_for_timeout(1000)
        run_cell(page, 2, "print(6 * 7)")
        output = page.locator(".jp-Notebook .jp-CodeCell").nth(2).locator(".jp-OutputArea-output")
        expect(output).to_have_text("42", timeout=15_000)  # a question waits for 30 s
    finally:
        service.resume()
    expect(row(page, "by-comm")).to_have_count(1)


@pytest.mark.promise("access")
def test_the_service_answers_nobody_without_a_token(demo):
    assert httpx.get(f"{demo.url}/services/beamhub/api/v1/runs").status_code == 401


from browser.many_cases import *  # noqa: E402, F403 - more of the same page, after what needs it first
from browser.panel_cases import *  # noqa: E402, F403
from browser.table_cases import *  # noqa: E402, F403
