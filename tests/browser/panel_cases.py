"""What is shown below the table of the selected runs, in a real browser."""

import json
import re

import h5py
import numpy as np
import pytest
from browser.tools import choose_theme, held_workers, kernel_idle, row, run_cell, search, widget, write_file
from playwright.sync_api import Page, expect
from services.javascript import evaluate
from services.workbench import wait_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
expect.set_options(timeout=40_000)
MANY = 13
ASK = """async (path) => (await fetch(location.pathname.replace(/lab.*/, "beamhub/api/v1/" + path), {headers:
         {"X-XSRFToken": document.cookie.match(/_xsrf=([^;]+)/)[1]}})).json()"""
COLOURED = """() => { const canvas = document.querySelector(".bh-plot canvas");
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let seen = 0;
  for (let i = 0; i < data.length; i += 4) {
    const colour = data.slice(i, i + 3);
    if (Math.max(...colour) - Math.min(...colour) > 40) seen++;
  }
  return seen; }"""

LIGHT = """() => { const canvas = document.querySelector(".bh-plot canvas");
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width / 20, canvas.height).data;  // beside the axis
  const inks = []; for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 200) inks.push(data[i]);
  return inks.length > 20 && inks.filter((ink) => ink > 128).length > inks.length / 2; }"""
OPEN = "(tab) => { document.querySelector('.bh-tab > *')?.classList.add('before'); tab.click(); }"


@pytest.fixture(scope="module")
def panel(page, demo) -> Page:
    """The table anew, and below it the curves of a run that is done."""
    page.reload()
    kernel_idle(page)
    run_cell(page, 0)
    expect(widget(page)).to_be_visible()
    search(page, "state:done sans2d_33837_0000")
    expect(row(page, "33837_00002")).to_have_attribute("data-state", "done", timeout=120_000)
    return page


def choose(page: Page, tab: str, *names: str) -> None:
    """Rows of these files are selected, and a tab of theirs is open."""
    for number, name in enumerate(names):
        row(page, name).first.click(modifiers=["Control"] if number else [])
    page.get_by_role("tab", name=tab, exact=True).evaluate(OPEN)
    page.wait_for_function("!document.querySelector('.bh-tab > .before') && document.querySelector('.bh-tab > *')")


def plot_of(page: Page, name: str) -> dict:
    """The curves of a file's row, as the service gives them."""
    return page.evaluate(ASK, f"results/{row(page, name).first.get_attribute('data-id')}/plot")


def seen(page: Page) -> list[float]:
    """The ends of the x axis."""
    return [float(end) for end in page.locator(".bh-plot").get_attribute("data-x").split()]


def x_read(page: Page) -> float:
    read = page.locator(".bh-read").first
    expect(read).to_have_text(re.compile("^Q = "))
    return float(re.match(r"Q = (\S+) 1/A; ", read.inner_text())[1])


def to_plot(page: Page) -> None:
    """From the tab to the plot with the keyboard, which then reads aloud."""
    page.get_by_role("tab", name="Curve", exact=True).focus()
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.locator(".bh-plot:focus").count():
            return
    pytest.fail("Tab does not lead to the plot")


def nearest(points: list[float], x: float) -> float:
    return min(points, key=lambda one: abs(one - x))


def test_under_the_pointer_the_nearest_point_of_each_curve_is_read_with_its_error(panel):
    choose(panel, "Curve", "33837_00001")
    read, (circle, *_) = panel.locator(".bh-read"), plot_of(panel, "33837_00001")["curves"]
    expect(read).to_have_text("")
    panel.locator(".bh-plot .u-over").hover()
    expect(read).to_have_text(re.compile(r"^Q = \S+ 1/A; circle: \S+ ± \S+ 1/cm; .*the facility's own curve: "))
    expect(read).to_have_attribute("aria-live", "off")
    at = circle["x"].index(pytest.approx(x_read(panel), rel=1e-5))
    (said,) = evaluate("readout.ts", [f"m.measured({circle['y'][at]}, {circle['error'][at]})"])
    expect(read).to_contain_text(f"circle: {said} 1/cm; ")
    panel.locator(".bh-search").first.hover()
    expect(read).to_have_text("")


def test_the_keyboard_reads_from_point_to_point_and_aloud(panel):
    choose(panel, "Curve", "33837_00001")
    points = sorted(plot_of(panel, "33837_00001")["curves"][0]["x"])
    to_plot(panel)
    expect(panel.locator(".bh-read")).to_have_attribute("aria-live", "polite")
    before = points.index(pytest.approx(x_read(panel), rel=1e-5))
    for key, moved in (("Shift+ArrowRight", 1), ("Shift+ArrowRight", 2), ("Shift+ArrowLeft", 1)):
        panel.keyboard.press(key)
        assert x_read(panel) == pytest.approx(points[before + moved], rel=1e-5)
    panel.keyboard.press("ArrowRight")  # another middle
    assert x_read(panel) > points[before + 1]
    panel.keyboard.press("0")


def test_an_axis_is_logarithmic_where_it_is_said_to_be(panel):
    choose(panel, "Curve", "33837_00001")
    circle, box = plot_of(panel, "33837_00001")["curves"][0], panel.locator(".bh-panel input[name='log x']")
    points = [x for x, y in zip(circle["x"], circle["y"], strict=True) if (y or 0) > 0]
    middles = {}
    for log in (True, False):
        box.set_checked(log)
        to_plot(panel)
        low, high = seen(panel)
        middles[log] = x_read(panel)
        middle = np.sqrt(low * high) if log else (low + high) / 2
        assert middles[log] == pytest.approx(nearest(points, middle), rel=0.05)
    assert middles[True] < 0.7 * middles[False]


def test_a_curve_is_drawn_anew_in_the_colours_of_another_theme(panel):
    choose(panel, "Curve", "33837_00001")
    expect(panel.locator(".bh-plot canvas")).to_be_visible()
    assert not panel.evaluate(LIGHT)
    choose_theme(panel, "Dark")
    panel.wait_for_function(LIGHT)
    choose_theme(panel, "Light")
    panel.wait_for_function(f"!({LIGHT})()")


def test_error_bars_are_drawn_and_can_be_left_out(panel):
    choose(panel, "Curve", "33837_00001")
    expect(panel.locator(".bh-plot canvas")).to_be_visible()
    box = panel.locator(".bh-panel input[name='errors']")
    box.check()
    drawn = panel.evaluate(COLOURED)
    box.uncheck()
    assert panel.evaluate(COLOURED) < 0.9 * drawn
    box.check()
    assert panel.evaluate(COLOURED) == drawn


@pytest.mark.parametrize("mode", ["difference", "ratio"])
def test_a_difference_and_a_ratio_are_those_of_the_two_curves(panel, mode):
    choose(panel, "Curve", "33837_00001", "33837_00002")
    panel.locator(".bh-panel").get_by_label("rows").select_option(mode)
    to_plot(panel)
    first, other = (plot_of(panel, name)["curves"][0] for name in ("33837_00001", "33837_00002"))
    (found,) = evaluate("compare.ts", [f"m.compare({json.dumps(other)}, {json.dumps(first)}, '{mode}')"])
    at = found["x"].index(pytest.approx(x_read(panel), rel=1e-5))
    (said,) = evaluate("readout.ts", [f"m.measured({found['y'][at]}, {found['error'][at]})"])
    unit = " 1/cm" if mode == "difference" else ""
    expect(panel.locator(".bh-read")).to_have_text(re.compile(rf"; \S+_00002\.nxs: {re.escape(said)}{unit}$"))
    panel.locator(".bh-panel").get_by_label("rows").select_option("overlay")


def test_the_limits_of_a_picture_leave_out_what_is_masked(panel, demo):
    name = write_file(demo, "masked")
    search(panel, "masked")
    expect(row(panel, name)).to_have_attribute("data-state", "done")
    (output,) = (demo.folder / "results").rglob("*masked-radial_average.nxs")
    values = np.arange(4000.0).reshape(50, 80)
    mask = np.zeros(values.shape, np.uint8)
    values[::7], mask[::7] = 1e9, 1
    with h5py.File(output, "w") as file:
        file["entry/detector/counts"], file["entry/detector/pixel_mask"] = values, mask
        file["entry/detector"].attrs.update(NX_class="NXdata", signal="counts")
    choose(panel, "Image", name)
    limits = panel.locator(".bh-colours > span:not(.bh-gradient)")
    expect(limits).to_have_count(2)
    shown = [float(text.split()[0]) for text in limits.all_inner_texts()]
    assert shown == pytest.approx(np.percentile(values[mask == 0], [1, 99]), rel=0.01)


def test_it_is_said_how_many_of_the_curves_and_images_are_shown(panel, demo):
    for number in range(MANY):
        write_file(demo, f"part-{number:02}")
    wait_for(lambda: panel.evaluate(ASK, "runs/count?search=state:done part-")["count"] == MANY, 120)
    search(panel, "state:done part-")
    expect(widget(panel).locator(".bh-count")).to_have_text(f"{MANY} runs")
    widget(panel).locator(".bh-row[data-state='done']").first.click()
    panel.keyboard.press("Shift+End")
    for tab, said in (("Curve", "12 of 13 curves are shown."), ("Image", "6 of 13 images are shown.")):
        panel.get_by_role("tab", name=tab, exact=True).click()
        expect(panel.locator(".bh-tab .bh-note").first).to_have_text(said)
    expect(panel.locator(".bh-images figure")).to_have_count(6)
    panel.get_by_role("tab", name="Curve", exact=True).click()
    expect(panel.locator(".bh-plot")).to_have_attribute("data-curves", "13")  # and the facility's own


# Run again


def open_again(page: Page, *names: str):
    choose(page, "Again", *names)
    form = page.locator(".bh-form")
    expect(form.locator("button[type=submit]")).to_be_enabled()
    return form


def test_the_form_begins_with_what_the_run_was_done_with_last(panel, demo):
    name = write_file(demo, "begins")
    search(panel, "begins")
    expect(row(panel, name)).to_have_attribute("data-state", "done")
    form = open_again(panel, name)
    expect(form.get_by_label("direction")).to_have_value("160")
    expect(form.get_by_role("status")).to_have_text(re.compile(r"^1 run of .*, done in about \d"))
    form.get_by_label("direction").fill("25")
    form.get_by_role("button").click()
    expect(panel.locator(".bh-batch")).to_contain_text("1 of 1 ended")
    search(panel, "begins direction:25")
    expect(row(panel, name)).to_have_count(1)
    expect(open_again(panel, name).get_by_label("direction")).to_have_value("25")


def test_the_selected_or_all_failed_runs_are_counted_before_they_are_done_again(panel):
    search(panel, "no_centre")
    expect(row(panel, "no_centre").first).to_have_attribute("data-state", "failed", timeout=120_000)
    search(panel, "")
    row(panel, "begins").nth(1).click()
    row(panel, "begins").first.click(modifiers=["Control"])
    form = panel.locator(".bh-form")
    selected = form.get_by_label("the selected runs (2)")
    expect(selected).to_be_checked()
    expect(form.get_by_role("status")).to_have_text(re.compile("^1 run of "))
    failed = panel.evaluate(ASK, "runs/count?state=failed&function=radial_average&proposal=demo-2026")["count"]
    assert failed > 0
    form.get_by_label(f"all failed runs of the proposal ({failed})").check()
    expect(form.get_by_role("status")).to_have_text(re.compile(rf"^{failed} runs? of .*, done in about \d"))
    expect(form.get_by_role("button")).to_have_text(f"Run {failed} again")
    form.get_by_role("button").click()
    expect(panel.locator(".bh-batch")).to_contain_text(f"{failed} of {failed} ended", timeout=120_000)


def test_more_than_a_thousand_runs_are_asked_about_once_more(panel):
    sent = []

    def answer(route) -> None:
        asked = route.request.post_data_json if route.request.method == "POST" else None
        if asked is None:
            route.continue_()
        elif asked.get("dry_run"):
            route.fulfill(json={"count": 8412, "seconds": 10_800})
        else:
            sent.append(asked)
            route.fulfill(status=400, json={"message": "seen"})

    panel.route("**/v1/runs", answer)
    search(panel, "begins")
    form = open_again(panel, "begins")
    expect(form).to_contain_text("8,412 runs of Radial and sector average, done in about 3 h")
    form.get_by_role("button", name="Run 8,412 again").dblclick()
    asked = form.get_by_role("group", name="Run 8,412 again, about 3 h?")
    asked.get_by_role("button", name="Not now").press("Enter")
    expect(asked).to_be_hidden()
    expect(form.get_by_role("button", name="Run 8,412 again")).to_be_focused()
    panel.keyboard.press("Enter")
    expect(asked.get_by_role("button", name="Not now")).to_be_focused()
    assert sent == []
    asked.get_by_role("button", name="Run them again").click()
    expect(form).to_contain_text("seen")
    assert len(sent) == 1
    panel.unroute("**/v1/runs", answer)


# About this run

SPOKEN = '''
import time
from pathlib import Path

import h5py

from beamhub.processing.functions import Summary, function


@function(title="Spoken", version="1", timeout="60s", memory="1G")
def spoken(raw: Path, out: Path) -> Summary:
    """Say something, and end as the file's name wants it."""
    print("the shutter stood at 3 mm")
    if "fails" in raw.name:
        raise ValueError("no beam")
    if "slow" in raw.name:
        time.sleep(20)
    with h5py.File(out, "w") as file:
        file["entry/said"] = 3
    return Summary()
'''
RULE = """
  spoken:
    when: {storage: beamline, path: "*/spoken/*.nxs"}
    function: spoken
"""


@pytest.fixture(scope="module")
def spoken(panel, demo):
    """Measures into a folder whose files a function that speaks takes; gives the row."""
    folder = demo.folder / "raw/demo-2026/spoken"
    folder.mkdir()
    (demo.folder / "functions/spoken.py").write_text(SPOKEN)
    rules = demo.folder / "processing.yaml"
    rules.write_text(rules.read_text() + RULE)
    wait_for(lambda: "spoken" in [one["name"] for one in panel.evaluate(ASK, "rules")["items"]], 60)

    def measure(name: str):
        search(panel, f"function:spoken {name}")
        (folder / f"{name}.tmp").write_bytes(name.encode())
        (folder / f"{name}.tmp").rename(folder / f"{name}.nxs")
        return row(panel, f"{name}.nxs")

    return measure


def test_what_a_failed_run_printed_is_told(panel, spoken):
    expect(spoken("fails")).to_have_attribute("data-state", "failed", timeout=120_000)
    choose(panel, "About this run", "fails")
    expect(panel.locator(".bh-sentences")).to_contain_text("The last that it printed: the shutter stood at 3 mm")
    printed = panel.locator("details", has_text="what it printed")
    expect(printed.locator("pre")).to_be_hidden()
    printed.locator("summary").click()
    expect(printed.locator("pre")).to_have_text(re.compile("the shutter stood at 3 mm"))


def test_that_a_run_takes_far_longer_than_usual_is_told_without_a_click(panel, spoken):
    expect(spoken("quick")).to_have_attribute("data-state", "done")
    expect(spoken("slow")).to_have_attribute("data-state", "running")
    choose(panel, "About this run", "slow")
    told = panel.locator(".bh-sentences")
    expect(told).to_contain_text("It has been running for")
    expect(told).not_to_contain_text("far longer than usual")
    expect(told).to_contain_text("That is far longer than usual")
    expect(told).to_contain_text("It is done after 2")


def test_how_many_wait_before_a_run_is_told_and_told_anew_as_there_are_fewer(panel, demo):
    search(panel, "waits-")
    with held_workers(demo):
        names = [write_file(demo, f"waits-{number}") for number in range(8)]
        expect(row(panel, "waits-7")).to_have_attribute("data-state", "queued")
        choose(panel, "About this run", names[-1])
        told = panel.locator(".bh-sentences")
        expect(told).to_contain_text(re.compile(r"\d+ runs of demo-2026 wait before it\."))
        before = int(re.search(r"(\d+) runs of demo-2026", told.inner_text())[1])
        assert before >= 2
        expect(told).to_contain_text("To do: nothing; it starts by itself when its turn comes.")
        number = row(panel, "waits-6").get_attribute("data-id")
        panel.evaluate(ASK.replace("{headers", "{method: 'POST', headers"), f"runs/{number}/cancel")
        expect(told).to_contain_text(re.compile(rf"\b{before - 1} runs? of demo-2026 waits? before it"))
    expect(told).to_contain_text("It is done", timeout=120_000)


def test_a_run_that_was_done_again_says_that_it_is_superseded(panel):
    search(panel, "begins")
    expect(row(panel, "begins")).to_have_count(2)
    told = panel.locator(".bh-sentences")
    for place, said in ((1, r"It is superseded: run \d+ of the same"), (0, "It is the newest of 2 runs of this file")):
        row(panel, "begins").nth(place).click()
        panel.get_by_role("tab", name="About this run").click()
        expect(told).to_contain_text(re.compile(said))
