"""The main job as a scientist does it, in a real browser: log in, choose, start, see data, load it."""

import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from playwright.sync_api import Page, expect
from services.demo import RunningDemo

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
expect.set_options(timeout=40_000)
FIRST = "demo-2026/scan_0001_sans2d_33837/sans2d_33837_00001.nxs"
READY = ".bh-root[data-ready='1']"


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Iterator[RunningDemo]:
    running = RunningDemo(tmp_path_factory.mktemp("demo")).wait_ready()
    yield running
    running.stop()


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


def kernel_idle(page: Page) -> None:
    page.wait_for_selector(".jp-Notebook .jp-CodeCell")
    page.wait_for_selector(r"text=/ipykernel\) \| Idle/")
    time.sleep(1)


def run_cell(page: Page, index: int, code: str = "") -> None:
    cell = page.locator(".jp-Notebook .jp-CodeCell").nth(index)
    cell.locator(".cm-content").click()
    if code:
        page.keyboard.press("Control+A")
        page.keyboard.type(code)
    page.keyboard.press("Control+Enter")


def widget(page: Page):
    return page.locator(READY).first


def write_file(demo: RunningDemo, name: str) -> str:
    """A file arrives as a beamline writes it: under a temporary name, then renamed."""
    source = demo.folder / "raw" / FIRST
    until = time.monotonic() + 60
    while not source.exists() and time.monotonic() < until:
        time.sleep(0.2)
    target = source.with_name(f"sans2d_33837_{name}.nxs")
    shutil.copy(source, target.with_suffix(".tmp"))
    os.replace(target.with_suffix(".tmp"), target)
    return target.name


def row(page: Page, name: str):
    return widget(page).locator(".bh-row", has_text=name)


def search(page: Page, words: str) -> None:
    """Only what matches is shown, so that no newer row pushes it out of sight."""
    page.locator(".bh-search").first.fill(words)


def painted(page: Page) -> int:
    """How many different colours the plot's canvas shows."""
    return page.evaluate(
        """() => { const canvas = document.querySelector(".bh-plot canvas");
                   const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
                   const seen = new Set();
                   for (let i = 0; i < data.length; i += 4)
                     if (data[i + 3] > 200) seen.add(`${data[i]},${data[i + 1]},${data[i + 2]}`);
                   return seen.size; }"""
    )


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
    search(page, "sans2d_33837")
    pressed = row(page, "clicked")
    expect(pressed).to_have_attribute("data-state", "done")
    pressed.hover(position={"x": 20, "y": 10})
    page.mouse.down()
    expect(row(page, write_file(demo, "between"))).to_have_attribute("data-state", "done")
    page.mouse.up()
    expect(row(page, "clicked")).to_have_attribute("aria-selected", "true")


def test_several_rows_are_laid_over_each_other_and_loaded_as_one_dataset(page):
    search(page, "state:done sans2d_33837_0")
    rows = widget(page).locator(".bh-row[data-state='done']", has_text="sans2d_33837_0")
    rows.nth(0).click()
    rows.nth(1).click(modifiers=["Control"])
    expect(page.locator(".bh-plot[data-curves='3']")).to_be_visible()
    run_cell(page, 1)
    output = page.locator(".jp-Notebook .jp-CodeCell").nth(1).locator(".jp-OutputArea-output")
    expect(output).to_contain_text("xarray.Dataset")
    expect(output).to_contain_text("run: 2")
    expect(output).to_contain_text("I_errors")


def test_image_and_provenance_are_there(page, demo):
    search(page, "appears")
    row(page, "sans2d_33837_appears").first.click()
    page.get_by_role("tab", name="Image").click()
    expect(page.locator(".bh-images img")).to_be_visible()
    assert page.evaluate("document.querySelector('.bh-images img').naturalWidth") > 100
    page.get_by_role("tab", name="Provenance").click()
    facts = page.locator(".bh-facts")
    for said in ("radial_average", "direction = 160", "rule magnet", "scan_0001_sans2d_33837", "version 1"):
        expect(facts).to_contain_text(said)


def test_runs_are_done_again_with_other_parameters(page, demo):
    search(page, "appears")
    row(page, "sans2d_33837_appears").first.click()
    page.get_by_role("tab", name="Again").click()
    form = page.locator(".bh-form")
    expect(form).to_contain_text("1 run of Radial and sector average")
    form.get_by_label("direction").fill("500")
    form.get_by_role("button").click()
    expect(form.locator(".bh-field-error", has_text=re.compile("180"))).to_be_visible()
    form.get_by_label("direction").fill("30")
    form.get_by_role("button").click()
    expect(form).to_contain_text("1 of 1 ended")
    expect(row(page, "sans2d_33837_appears")).to_have_count(2)


def test_the_broken_files_say_why(page):
    search(page, "state:failed")
    expect(widget(page).locator(".bh-row[data-state='failed']").first).to_be_visible(timeout=120_000)
    expect(row(page, "no_centre")).to_be_visible(timeout=120_000)
    row(page, "no_centre").click()
    page.get_by_role("tab", name="Provenance").click()
    expect(page.locator(".bh-panel")).to_contain_text("no beam centre")
    search(page, "nothing-is-called-so")
    expect(page.locator(".bh-note").first).to_contain_text("Nothing in demo-2026 matches")
    search(page, "")


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


def test_a_computing_kernel_stops_neither_table_nor_plot(page, demo):
    page.get_by_role("tab", name="Curve").click()
    run_cell(page, 2, "import time; time.sleep(120)")
    page.wait_for_selector("text=/ipykernel\\) \\| Busy/")
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
    child = [
        n for n in demo.processes() if b"beamhub.config.command\0processing" in Path(f"/proc/{n}/cmdline").read_bytes()
    ]
    os.kill(child[0], 9)
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
    server = [n for n in demo.processes() if b"jupyterhub.singleuser" in Path(f"/proc/{n}/cmdline").read_bytes()
              or b"jupyterhub-singleuser" in Path(f"/proc/{n}/cmdline").read_bytes()]  # fmt: skip
    environment = Path(f"/proc/{server[0]}/environ").read_bytes().decode(errors="replace").split("\0")
    token = next(line.partition("=")[2] for line in environment if line.startswith("JUPYTERHUB_API_TOKEN="))
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
    (service,) = [
        one for one in map(psutil.Process, demo.processes())
        if one.cmdline()[1:4] == ["-m", "beamhub.config.command", "processing"]
    ]  # fmt: skip
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


from browser.table_cases import *  # noqa: E402, F403 - more of the same page, after what needs it first
