"""Restarts of the kernel and of the notebook server while files arrive: no row is missing, and none is there twice."""

import contextlib
import re
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from urllib.parse import quote, unquote

import psutil
import pytest
from browser.tools import READY, kernel_idle, run_cell, search, write_file
from playwright.sync_api import Page, expect
from services.demo import RunningDemo
from services.living import gone, with_words

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600), pytest.mark.promise("kills of the service")]
expect.set_options(timeout=40_000)
ASK = """async ([method, path]) => {
  const token = decodeURIComponent(document.cookie.match(/_xsrf=([^;]+)/)[1]);
  const answer = await fetch(path, {method, headers: {"X-XSRFToken": token, "Content-Type": "application/json"}});
  return answer.json(); }"""


@pytest.fixture(scope="module")
def page(demo, browser) -> Iterator[Page]:
    """The tutorial in Lab, its first cell run."""
    page = browser.new_context(viewport={"width": 1280, "height": 1000}).new_page()
    page.set_default_timeout(60_000)
    enter_lab(page, demo)
    kernel_idle(page)
    run_cell(page, 0)
    expect(page.locator(READY).first).to_be_visible()
    yield page
    page.context.close()


def enter_lab(page: Page, demo: RunningDemo) -> None:
    """Log in, and start the server where it does not run."""
    page.goto(demo.url)
    page.fill("#username_input", demo.user)
    page.fill("#password_input", demo.password)
    page.click("#login_submit")
    page.wait_for_url(re.compile(r"/hub/spawn|/user/demo/lab"))
    if "/lab" not in page.url:
        start(page)
    page.wait_for_url(re.compile(r"/user/demo/lab"))


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


def process(demo: RunningDemo, *words: str) -> psutil.Process:
    """The demo's process whose command line holds these words."""
    (found,) = with_words(demo.processes(), *words)
    return found


def test_a_page_says_since_when_the_service_is_away_and_shows_every_file_once_when_it_is_back(page, demo):
    search(page, "sans2d_33837_service")
    names = [write_file(demo, "service-before")]
    shows(page, "sans2d_33837_service", names)
    parent = process(demo, "processing", "--supervise")
    (child,) = parent.children()
    parent.suspend()  # so that nobody starts it again yet
    try:
        child.kill()
        live = page.locator(".bh-live")
        expect(live).to_have_text(re.compile(r"^○ not live since \d\d:\d\d.*processing service"))
        names.append(write_file(demo, "service-away"))
        run_cell(page, 0)  # a table that is opened meanwhile says what it waits for
        expect(page.locator(".bh-note").first).to_contain_text("processing service")
    finally:
        parent.resume()
    names.append(write_file(demo, "service-starting"))
    expect(page.locator(".bh-live")).to_have_text("● live")
    shows(page, "sans2d_33837_service", names)


def test_after_the_proxy_was_killed_the_page_goes_on_by_itself(page, demo):
    search(page, "sans2d_33837_proxy")
    names = [write_file(demo, "proxy-before")]
    shows(page, "sans2d_33837_proxy", names)
    process(demo, "traefik", "--configfile").kill()
    live = page.locator(".bh-live")
    expect(live).to_contain_text("waiting for the notebook server")
    names.append(write_file(demo, "proxy-away"))
    expect(live).to_have_text("● live", timeout=90_000)
    names.append(write_file(demo, "proxy-after"))
    shows_now(page, names)


def test_a_page_that_stays_open_while_its_server_is_restarted_waits_and_shows_every_file_once(page, demo):
    search(page, "sans2d_33837_server")
    names = [write_file(demo, "server-before")]
    shows(page, "sans2d_33837_server", names)
    ask_hub(page, "DELETE")
    live = page.locator(".bh-live")
    expect(live).to_contain_text("waiting for the notebook server")
    since = live.inner_text().partition(": ")[0]
    names.append(write_file(demo, "server-away"))
    page.wait_for_timeout(6000)
    assert live.inner_text().startswith(f"{since}: waiting for the notebook server, which does not run")
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


def leave_behind(page: Page, server: psutil.Process) -> list[psutil.Process]:
    """Start a kernel, a shell, and a program that only the server's mark tells of; all that the server has then."""
    for kind in ("kernels", "terminals"):
        page.evaluate(ASK, ["POST", f"/user/demo/api/{kind}"])
    forgotten = ["sh", "-c", "sleep 600 > /dev/null 2>&1 & echo $!"]
    left = subprocess.run(forgotten, env=server.environ(), start_new_session=True, capture_output=True, check=True)
    every = [server, *server.children(recursive=True), psutil.Process(int(left.stdout))]
    assert len(every) >= 4
    return every


@pytest.mark.parametrize("killed", ["the server alone", "with all that it started"])
def test_after_the_server_was_killed_nothing_of_it_stays_and_the_page_goes_on_when_it_was_started_again(
    page, demo, killed
):
    words = f"sans2d_33837_{len(killed)}"
    search(page, words)
    names = [write_file(demo, f"{len(killed)}-before")]
    shows(page, words, names)
    server = process(demo, "jupyterhub-singleuser")
    every = leave_behind(page, server)
    for one in every if killed == "with all that it started" else [server]:
        with contextlib.suppress(psutil.NoSuchProcess):  # it ended with the one before it
            one.kill()
    live = page.locator(".bh-live")
    expect(live).to_have_text(
        re.compile(r"^○ not live since \d\d:\d\d:\d\d: waiting for the notebook server, which does not run: start it")
    )
    names.append(write_file(demo, f"{len(killed)}-away"))
    assert [one for one in every if not gone(one, 20)] == []
    tab = page.context.new_page()
    tab.goto(f"{demo.url}/hub/spawn")
    said = tab.locator(".alert")
    expect(said).to_contain_text("It was killed from outside (SIGKILL)")
    expect(said.locator("pre")).to_be_hidden()
    said.get_by_text("Its last lines").click()
    expect(said.locator("pre")).to_contain_text("ServerApp")
    start(tab)
    names.append(write_file(demo, f"{len(killed)}-starting"))
    expect(live).to_have_text("● live")
    names.append(write_file(demo, f"{len(killed)}-after"))
    shows_now(page, names)
