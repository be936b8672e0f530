"""A server whose time runs out says so in Lab, whatever is open, and in the cell that shows the session."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import nbformat
import pytest
from browser.tools import kernel_idle, run_cell
from playwright.sync_api import expect
from services.jupyter import OURS, jupyter

pytestmark = [pytest.mark.browser, pytest.mark.timeout(200)]
CODE = "from beamhub.widgets import Session\nSession()"


def write(folder: Path) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CODE)])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3 (ipykernel)"}
    nbformat.write(notebook, folder / "a.ipynb")


def test_a_server_that_ends_soon_says_so_in_lab_and_in_its_session(tmp_path, browser):
    write(tmp_path)
    ends = datetime.now(UTC) + timedelta(minutes=11, seconds=50)
    more = {"BEAMHUB_ENDS_AT": f"{ends:%Y-%m-%dT%H:%M:%SZ}", "BEAMHUB_SITE": "here", "MEM_LIMIT": str(2**40)}
    with jupyter(tmp_path, **more, BEAMHUB_SERVICE_URL="http://127.0.0.1:9/", program="jupyterlab") as client:
        page = browser.new_context().new_page()
        page.goto(f"http://{client.base_url.netloc.decode()}/lab/tree/a.ipynb?token={OURS}")
        kernel_idle(page)
        toast = page.locator(".jp-Notification-Toast-warning")
        expect(toast).to_contain_text(
            re.compile(r"Your server ends in 1[12] minutes .*: save your work"), timeout=60_000
        )
        toast.locator(".jp-Notification-Toast-Close").click()
        expect(toast).to_have_count(0)
        run_cell(page, 0)
        shown = page.locator(".bh-session")
        expect(shown).to_contain_text(re.compile(r"memory.*\d+ [MG]B in use of 1.1 TB"), timeout=30_000)
        expect(shown).to_contain_text(re.compile(r"cores\d+"))
        said = page.get_by_role("alert").filter(has_text="This server ends at")
        expect(said).to_contain_text("in less than", timeout=120_000)
        # what is said 10 minutes before comes from the server, to whoever is there then
        expect(toast).to_contain_text("Your server ends in 10 minutes", timeout=120_000)
        page.context.close()


def test_a_server_without_a_limit_says_that_it_stays(tmp_path, browser):
    write(tmp_path)
    more = {"BEAMHUB_SITE": "here", "BEAMHUB_SERVICE_URL": "http://127.0.0.1:9/"}
    with jupyter(tmp_path, **more, program="jupyterlab") as client:
        page = browser.new_context().new_page()
        page.goto(f"http://{client.base_url.netloc.decode()}/lab/tree/a.ipynb?token={OURS}")
        kernel_idle(page)
        run_cell(page, 0)
        expect(page.locator(".bh-session")).to_contain_text("no limit: this server stays until it is stopped")
        expect(page.locator(".jp-Notification-Toast-warning")).to_have_count(0)
        page.context.close()
