"""Images of results and the frames of stacks, in a real browser."""

import re

import h5py
import numpy as np
import pytest
from browser.tools import row, search, shown, write_file
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
expect.set_options(timeout=40_000)


def test_image_and_provenance_are_there(page, demo):
    search(page, "appears")
    row(page, "sans2d_33837_appears").first.click()
    page.get_by_role("tab", name="Image").click()
    expect(page.locator(".bh-images img")).to_be_visible()
    assert page.evaluate("document.querySelector('.bh-images img').naturalWidth") > 100
    page.get_by_role("tab", name="About this run").click()
    facts = page.locator(".bh-facts")
    for said in ("radial_average", "direction = 160", "rule magnet", "scan_0001_sans2d_33837", "version 1"):
        expect(facts).to_contain_text(said)


def magnified(page: Page) -> set[str]:
    return set(page.locator(".bh-lens img").evaluate_all("all => all.map((one) => one.style.transform)"))


def test_scale_limits_colours_and_zoom_of_images_stay_from_row_to_row_and_are_the_same_for_several(page, demo):
    names = [write_file(demo, f"screen-{number}") for number in (1, 2, 3)]
    search(page, "screen")
    for name in names:
        expect(row(page, name)).to_have_attribute("data-state", "done")
    shown(page, "screen-1")
    tab = page.locator(".bh-panel")
    tab.get_by_label("scale").select_option("log")
    tab.get_by_label("colours").select_option("cividis")
    tab.get_by_label("high").fill("4.5")
    tab.get_by_label("high").press("Enter")
    expect(page.get_by_alt_text(re.compile("150 by 150 pixels, cividis from .* to 4.5, logarithmic"))).to_be_visible()
    page.get_by_role("button", name="zoom in").click()
    assert magnified(page) == {"scale(2) translate(-25%, -25%)"}
    shown(page, "screen-2")
    expect(page.get_by_alt_text(re.compile("screen-2.*cividis from .* to 4.5, logarithmic"))).to_be_visible()
    assert magnified(page) == {"scale(2) translate(-25%, -25%)"}
    shown(page, "screen-1", "screen-2")
    expect(page.locator(".bh-lens")).to_have_count(2)
    page.locator(".bh-lens").first.hover()
    page.mouse.wheel(0, -100)
    page.wait_for_function("document.querySelector('.bh-lens img').style.transform.startsWith('scale(2.5)')")
    assert len(magnified(page)) == 1
    page.locator(".bh-lens").last.dblclick()
    assert magnified(page) == {"scale(1) translate(0%, 0%)"}


def test_an_image_tells_the_value_under_the_pointer_and_in_the_middle_for_the_keyboard(page):
    shown(page, "screen-1")
    lens = page.locator(".bh-lens")
    expect(lens).to_have_count(1)
    lens.hover(position={"x": 100, "y": 100})
    expect(page.locator(".bh-read")).to_have_text(re.compile(r"^x \d+, y \d+: (\d|no value)"))
    lens.focus()
    page.keyboard.press("+")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".bh-read")).to_have_text(re.compile(r"^middle: x \d+, y \d+: "))
    assert magnified(page) == {"scale(1.25) translate(-18%, -10%)"}
    page.keyboard.press("0")
    assert magnified(page) == {"scale(1) translate(0%, 0%)"}


def test_the_frames_of_a_stack_are_walked_with_the_keyboard(page, demo):
    (output,) = (demo.folder / "results").rglob("*screen-3-radial_average.nxs")
    with h5py.File(output, "w") as file:  # the demo's own functions write no stack
        file["entry/stack/counts"] = np.arange(5 * 20 * 30).reshape(5, 20, 30)
        file["entry/stack"].attrs.update(NX_class="NXdata", signal="counts")
    shown(page, "screen-3")
    slider = page.get_by_role("slider", name="frame")
    expect(slider).to_be_visible()
    slider.press("ArrowRight")
    slider.press("ArrowRight")
    expect(page.get_by_alt_text(re.compile("frame 2 of 0 to 4"))).to_be_visible()
    page.get_by_label("number of the frame").fill("4")
    page.get_by_label("number of the frame").press("Enter")
    expect(page.get_by_alt_text(re.compile("frame 4 of 0 to 4"))).to_be_visible()
    expect(slider).to_have_value("4")
