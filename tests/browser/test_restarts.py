"""Restarts of the kernel and of the notebook server while files arrive: no row is missing, and none is there twice."""

import re
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from urllib.parse import quote, unquote

import pytest
from browser.test_main_job import CHROMIUM, READY, kernel_idle, run_cell, search, write_file
from playwright.sync_api import Browser, Page, expect, sync_playwright
from services.demo import RunningDemo

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
expect.set_options(timeout=40_000)
ASK = """async ([method, path]) => {
  const token = decodeURIComponent(document.cookie.match(/_xsrf=([^;]+)/)[1]);
  const answer = await fetch(path, {method, headers: {"X-XSRFToken": token, "Content-Type": "application/json"}});
  return answer.json(); }"""


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Iterator[RunningDemo]:
    running = RunningDemo(tmp_path_factory.mktemp("demo")).wait_ready()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def page(demo, browser) -> Iterator[Page]:
    """The tutorial in Lab, its first cell run."""
    page = browser.new_context(viewport={"width": 1280, "height": 1000}).new_page()
    page.set_default_timeout(60_000)
    page.goto(demo.url)
    page.fill("#username_input", demo.user)
    page.fill("#password_input", demo.password)
    page.click("#login_submit")
    start(page)
    page.wait_for_url(re.compile(r"/user/demo/lab"))
    kernel_idle(page)
    run_cell(page, 0)
    expect(page.locator(READY).first).to_be_visible()
    yield page
    page.context.close()


def start(page: Page) -> None:
    """Choose the small profile on the Hub's page, and start."""
    page.get_by_role("radio", name=re.compile("Small analysis")).check()
    page.get_by_role("button", name="Start").click()


def shown(page: Page) -> Counter[str]:
    """The files of the rows, and how often each is there."""
    return Counter(page.locator(f"{READY} .bh-row .bh-tail").all_inner_texts())


def shows(page: Page, words: str, names: list[str]) -> None:
    """Each file once, in the end, in the table that is searched for some words."""
    search(page, words)
    shows_now(page, names)


def shows_now(page: Page, names: list[str]) -> None:
    """Each file once, in the end, in the table as it is."""
    until = time.monotonic() + 40
    while shown(page) != Counter(names) and time.monotonic() < until:
        page.wait_for_timeout(200)
    assert shown(page) == Counter(names)
    expect(page.locator(f"{READY} .bh-count")).to_have_text(re.compile(rf"^{len(names)} runs?$"))
    expect(page.locator(f"{READY} .bh-new")).to_be_hidden()


def ask_hub(page: Page, method: str) -> None:
    """Start or stop the server through the Hub's API, as its pages do, with no page of the server's opened anew."""
    cookies = page.context.cookies(f"{page.url.partition('/user/')[0]}/hub/")
    token = unquote(next(cookie["value"] for cookie in cookies if cookie["name"] == "_xsrf"))
    root = page.url.partition("/user/")[0]
    answer = page.context.request.fetch(
        f"{root}/hub/api/users/demo/server?_xsrf={quote(token)}",
        method=method,
        headers={"X-XSRFToken": token, "Referer": f"{root}/hub/home"},
        data={"profile": "small"} if method == "POST" else None,
    )
    assert answer.ok, answer.text()


def test_after_a_restart_of_the_kernel_the_table_shows_every_file_once(page, demo):
    before = write_file(demo, "kernel-before")
    (kernel,) = page.evaluate(ASK, ["GET", "/user/demo/api/kernels"])
    page.evaluate(ASK, ["POST", f"/user/demo/api/kernels/{kernel['id']}/restart"])
    during = write_file(demo, "kernel-during")
    kernel_idle(page)
    run_cell(page, 0)
    expect(page.locator(READY)).to_have_count(1)
    expect(page.locator(".bh-live")).to_have_text("● live")
    after = write_file(demo, "kernel-after")
    shows(page, "sans2d_33837_kernel", [before, during, after])


@pytest.mark.promise("kills of the service")
def test_a_page_that_stays_open_while_its_server_is_restarted_waits_and_shows_every_file_once(page, demo):
    search(page, "sans2d_33837_server")
    names = [write_file(demo, "server-before")]
    shows(page, "sans2d_33837_server", names)
    ask_hub(page, "DELETE")
    live = page.locator(".bh-live")
    expect(live).to_contain_text("waiting for the notebook server")
    said = live.inner_text()
    names.append(write_file(demo, "server-away"))
    page.wait_for_timeout(6000)
    assert live.inner_text() == said  # since when, not since the last try
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.partition("/beamhub/api/")[2]))
    ask_hub(page, "POST")
    names.append(write_file(demo, "server-starting"))
    expect(live).to_have_text("● live")
    names.append(write_file(demo, "server-after"))
    shows_now(page, names)
    streams = [each for each in asked if each.startswith("changes?")]
    assert re.search(r"&last=\d+$", streams[-1])
    assert not [each for each in asked if "limit=100" in each]  # only what changed was asked for
    shows(page, "sans2d_33837_server", names)
