"""What somebody sees in the page whose group, token or login ends while it is open."""

import re
import shutil
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from browser.tools import READY, kernel_idle, run_cell
from playwright.sync_api import Locator, Page, expect
from services.facility import PROCESSING, Facility
from services.hub import LOCAL, PASSWORD, wait_for
from services.service import FUNCTION

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400), pytest.mark.promise("access")]
ROOT = Path(__file__).parents[2]
RULES = """
functions: [functions]
rules:
  sizes: {when: {storage: beamline, path: "*/*/*.raw"}, function: count}
"""
EXTRA = """
c.Spawner.args = ["--ServerApp.jpserver_extensions={'beamhub.server_extension': True}", "--allow-root"]
c.JupyterHub.load_roles += [{"name": "guests", "users": ["bob"], "scopes": ["access:servers!user=ada"]}]
"""
MINUTE = 60_000  # milliseconds that what the Hub said of somebody may be old
RESTART = "restart your server"


@contextmanager
def in_two_groups(folder: Path, rules: str, function: str, names: Iterable[tuple[str, str]]) -> Iterator[Facility]:
    """A facility in which ada, in the groups red and green, has a server; these files arrived, each of a proposal."""
    made = Facility(folder, command=["jupyterhub-singleuser"], extra=EXTRA)
    (folder / "compute.yaml").write_text(LOCAL)
    (folder / "processing.yaml").write_text(PROCESSING + rules)
    (folder / "functions").mkdir(mode=0o700)
    (folder / "functions/own.py").write_text(function)
    (folder / "home/ada").mkdir(parents=True, mode=0o700)
    shutil.copy(ROOT / "examples/demo/home/tutorial.ipynb", folder / "home/ada")
    with made.hub:
        made.hub.api("POST", "groups/green").raise_for_status()
        made.hub.api("POST", "groups/green/users", json={"users": ["ada"]}).raise_for_status()
        wait_for(made.up, 90, "the service does not answer")
        made.start_server("ada")
        for proposal, name in names:
            made.drop(name, proposal)
            wait_for(lambda name=name: name in made.files("ada"))  # so that they stand in this order
        yield made


@pytest.fixture(scope="module")
def here(tmp_path_factory) -> Iterator[Facility]:
    """A facility in which ada, in the groups red and green, has a server with a notebook; bob may open it too."""
    names = (("green", "a.raw"), ("green", "b.raw"), ("red", "c.raw"))
    with in_two_groups(tmp_path_factory.mktemp("facility"), RULES, FUNCTION, names) as made:
        yield made


@pytest.fixture(scope="module")
def page(here, browser) -> Iterator[Page]:
    """Ada's page with the table of red."""
    page = browser.new_context(viewport={"width": 1280, "height": 1000}).new_page()
    page.set_default_timeout(60_000)
    log_in(page, here, "ada")
    page.goto(f"{here.hub.url}user/ada/lab/tree/tutorial.ipynb")
    kernel_idle(page)
    run_cell(page, 0)
    page.locator(f"{READY} select").select_option("red")
    expect(files(page)).to_have_text(["c.raw"], timeout=MINUTE)
    expect(live(page)).to_have_text("● live")
    yield page
    page.context.close()


def log_in(page: Page, here: Facility, user: str) -> None:
    """Log out whoever is logged in, and log in on the Hub's page."""
    page.goto(f"{here.hub.url}hub/logout")
    page.goto(f"{here.hub.url}hub/login?next=/hub/home")
    page.fill("#username_input", user)
    page.fill("#password_input", PASSWORD)
    page.click("#login_submit")
    expect(page.locator("#logout")).to_be_visible()


def files(page: Page) -> Locator:
    return page.locator(f"{READY} .bh-row .bh-tail")


def live(page: Page) -> Locator:
    return page.locator(f"{READY} .bh-live")


def says_what_to_do(page: Page, here: Facility) -> None:
    """Within a minute from when the Hub does not know the token of the page's server any more."""
    until = time.monotonic() + MINUTE / 1000
    while RESTART not in live(page).inner_text() and time.monotonic() < until:
        here.drop(f"{time.time_ns()}.raw", "green")  # what is heard of may not be had any more
        page.wait_for_timeout(1000)
    expect(live(page)).to_have_text(re.compile(rf"^○ not live since \d\d:\d\d:\d\d: .*{RESTART}"))
    page.wait_for_timeout(6000)


@contextmanager
def keeping_its_rows_and_asking_nothing(page: Page) -> Iterator[None]:
    """For some seconds after what is done meanwhile, too."""
    shown, asked = files(page).all_inner_texts(), []
    page.on("request", lambda request: asked.append(request.url))
    yield
    page.wait_for_timeout(6000)
    assert [url for url in asked if "/beamhub/api/" in url] == []
    assert len(shown) > 3
    assert files(page).all_inner_texts() == shown


def test_of_a_proposal_whose_group_is_taken_away_the_page_shows_nothing_more_and_says_why(page, here):
    page.locator(f"{READY} .bh-row").click()
    expect(page.locator(".bh-panel")).to_be_visible()
    here.hub.api("DELETE", "groups/red/users", json={"users": ["ada"]}).raise_for_status()
    said = "You cannot see the proposal red any more, since you are in no group that sees it"
    expect(page.locator(f"{READY} .bh-note").first).to_contain_text(said, timeout=MINUTE)
    expect(files(page)).to_have_text(["b.raw", "a.raw"])
    expect(page.locator(".bh-panel")).to_have_count(0)
    here.drop("hidden.raw", "red")
    here.drop("d.raw", "green")
    expect(files(page)).to_have_text(["d.raw", "b.raw", "a.raw"])
    assert page.locator(f"{READY} select option").all_inner_texts() == ["green"]


def test_a_page_whose_token_was_revoked_says_what_to_do_keeps_its_rows_and_asks_no_more(page, here):
    tokens = here.hub.api("GET", "users/ada/tokens").json()["api_tokens"]
    (token,) = [one["id"] for one in tokens if one["note"] == "Server at /user/ada/"]
    here.hub.api("DELETE", f"users/ada/tokens/{token}").raise_for_status()
    says_what_to_do(page, here)
    with keeping_its_rows_and_asking_nothing(page):
        run_cell(page, 1, "data.catalog[1]")
        output = page.locator(".jp-Notebook .jp-CodeCell").nth(1).locator(".jp-OutputArea-output")
        expect(output).to_contain_text(RESTART)


def test_a_page_whose_login_is_over_renews_it_once_and_then_says_what_to_do(page, here):
    tab = page.context.new_page()
    tab.goto(f"{here.hub.url}hub/logout")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    here.hub.stop_server("ada")
    expect(live(page)).to_contain_text("your login here is over: log in to the Hub in another tab")
    here.hub.start_server("ada")
    count = lambda path: sum(urlsplit(url).path == path for url in asked)  # noqa: E731
    before = count("/user/ada/beamhub/api/changes")
    for _ in range(3):
        page.evaluate("dispatchEvent(new Event('online'))")
        page.wait_for_timeout(1000)
    assert count("/user/ada/beamhub/api/changes") - before >= 3
    expect(live(page)).to_contain_text("your login here is over")
    assert count("/user/ada/files/none") == 1

    log_in(tab, here, "bob")
    tab.goto(f"{here.hub.url}user/ada/lab")
    tab.get_by_role("button", name="Authorize").click()  # which a frame out of sight cannot
    tab.wait_for_url(re.compile("/user/ada/lab"))
    page.evaluate("dispatchEvent(new Event('focus'))")
    expect(live(page)).to_contain_text("this server belongs to ada: its processed data is shown to ada only")
    frames = count("/user/ada/files/none")
    for _ in range(3):
        page.evaluate("dispatchEvent(new Event('focus'))")
        page.wait_for_timeout(500)
    assert count("/user/ada/files/none") == frames

    tab.close()
    tab = page.context.new_page()
    log_in(tab, here, "ada")
    page.evaluate("dispatchEvent(new Event('focus'))")
    expect(live(page)).to_have_text("● live")
    page.locator(f"{READY} select").select_option("green")
    here.drop("last.raw", "green")
    expect(files(page).first).to_have_text("last.raw")
    names = files(page).all_inner_texts()
    assert len(names) == len(set(names))


def test_a_page_whose_token_expired_says_what_to_do_keeps_its_rows_and_asks_no_more(page, here):
    here.hub.kill()  # which keeps what it knows of a token in its memory; servers and pages stay
    with closing(sqlite3.connect(here.folder / "jupyterhub.sqlite")) as database, database:
        over = datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=15)
        of_server = "UPDATE api_tokens SET expires_at = ? WHERE note = 'Server at /user/ada/'"
        assert database.execute(of_server, [over.isoformat(" ")]).rowcount == 1
    here.hub.start()
    wait_for(here.up, 90, "the service does not answer")
    while datetime.now(UTC).replace(tzinfo=None) < over:
        page.wait_for_timeout(500)
    says_what_to_do(page, here)
    with keeping_its_rows_and_asking_nothing(page):
        here.drop("unseen.raw", "green")
