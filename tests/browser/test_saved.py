"""The table that the notebook saves: of the proposal that the page shows, as it shows it, renewed without a trace."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from browser.test_access import MINUTE, files, in_two_groups, live, log_in
from browser.tools import READY, kernel_idle, run_cell
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from playwright.sync_api import Locator, Page, expect
from services.facility import Facility
from services.sight import IN_SIGHT, OUT_OF_SIGHT

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
ROOT = Path(__file__).parents[2]
RULES = """
functions: [functions]
rules:
  curves: {when: {storage: beamline, path: "*/*/*.raw"}, function: curve}
"""
FUNCTION = """
from pathlib import Path
from typing import Annotated
import h5py
import numpy as np
from pydantic import Field
from beamhub.processing.functions import Scalar, Summary, function

@function(title="Curve", version="1", timeout="20s", memory="1G")
def curve(raw: Path, out: Path, height: Annotated[float, Field(gt=0)] = 1) -> Summary:
    with h5py.File(out, "w") as file:
        file.attrs["default"] = "data"
        data = file.create_group("data")
        data.attrs.update({"NX_class": "NXdata", "signal": "I", "axes": ["Q"]})
        data["Q"] = np.linspace(1, 10, 50)
        data["I"] = height * np.linspace(1, 10, 50) ** 2
    return Summary(scalars={"height": Scalar(value=height, unit="mm")})
"""
DOCUMENTS = "@jupyterlab/docmanager-extension/plugin.jupyterlab-settings"
VIEWS = "[...globalThis[Symbol.for('beamhub.views')].values()].map((table) => table.views.size)"


@pytest.fixture(scope="module")
def here(tmp_path_factory) -> Iterator[Facility]:
    """A facility in which ada, in the groups red and green, has a server with a notebook."""
    names = (("red", "a.raw"), ("red", "b.raw"), ("green", "c.raw"))
    with in_two_groups(tmp_path_factory.mktemp("facility"), RULES, FUNCTION, names) as made:
        settings = made.folder / "home/ada/.jupyter/lab/user-settings" / DOCUMENTS
        settings.parent.mkdir(parents=True, exist_ok=True)
        settings.write_text('{"autosave": false}')  # only the test saves, and knows what
        yield made


@pytest.fixture(scope="module")
def page(here, browser) -> Iterator[Page]:
    """Ada's page with her table."""
    page = browser.new_context(viewport={"width": 1280, "height": 1000}, timezone_id="Asia/Kolkata").new_page()
    page.set_default_timeout(60_000)
    log_in(page, here, "ada")
    page.goto(f"{here.hub.url}user/ada/lab/tree/tutorial.ipynb")
    kernel_idle(page)
    run_cell(page, 0)
    expect(files(page)).to_have_text(["c.raw"], timeout=MINUTE)
    expect(live(page)).to_have_text("● live")
    yield page
    page.context.close()


def kernel_has(page: Page) -> Locator:
    """What the kernel says of the table's proposal, and of whose runs it finds."""
    run_cell(page, 1, "print(data.proposal, sorted({run.proposal for run in data.catalog.runs()}))")
    return page.locator(".jp-Notebook .jp-CodeCell").nth(1).locator(".jp-OutputArea-output")


def renew(page: Page) -> None:
    """The page goes out of sight, its table is painted anew, and it is looked at again."""
    page.evaluate(OUT_OF_SIGHT)
    expect(page.locator("[data-seen]")).to_have_count(0)
    page.evaluate(IN_SIGHT)
    expect(live(page)).to_have_text("● live")


def saved(page: Page, here: Facility) -> str:
    """The static table in the notebook as it is saved now."""
    page.locator(".jp-Notebook .jp-CodeCell").nth(0).locator(".jp-InputPrompt").click()
    with page.expect_response(lambda answer: answer.request.method == "PUT" and "tutorial.ipynb" in answer.url):
        page.keyboard.press("Control+S")
    notebook = json.loads((here.folder / "home/ada/tutorial.ipynb").read_text())
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", ()) if "data" in output]
    (html,) = ["".join(output["data"]["text/html"]) for output in outputs if "text/html" in output["data"]]
    return html


def test_the_kernel_knows_the_proposal_that_the_page_decided_on_by_itself(page, here):
    expect(kernel_has(page)).to_have_text("green ['green']")
    html = saved(page, here)
    assert "1 of 1 runs of green" in html
    assert "a.raw" not in html


def test_the_saved_table_is_of_the_proposal_and_as_the_page_shows_it(page, here):
    page.locator(f"{READY} select").select_option("red")
    expect(files(page)).to_have_text(["b.raw", "a.raw"])
    expect(kernel_has(page)).to_have_text("red ['red']")
    page.locator(".bh-search").fill("state:done")
    header = page.get_by_role("columnheader", name="file")
    for order in ("descending", "ascending"):
        header.get_by_role("button").click()
        expect(header).to_have_attribute("aria-sort", order)
    expect(files(page)).to_have_text(["a.raw", "b.raw"])
    page.get_by_role("button", name="Columns").click()
    page.get_by_role("checkbox", name="when").uncheck()
    page.keyboard.press("Escape")
    renew(page)
    html = saved(page, here)
    assert re.search(r"UTC\+05:30, 2 of 2 runs of red, which match state:done, by file, ascending</p>", html)
    assert "<tr><th>scan</th><th>file</th><th>function</th><th>state</th><th>height / mm</th></tr>" in html
    rows = [f"<tr><td>scan1</td><td>{name}.raw</td><td>Curve</td><td>done</td><td>1</td></tr>" for name in "ab"]
    assert f"<tbody>{''.join(rows)}</tbody>" in html


def test_columns_that_somebody_chose_are_saved_once_nobody_is_at_work_in_the_table(page, here):
    page.get_by_role("button", name="Columns").click()
    page.get_by_role("checkbox", name="when").check()
    page.keyboard.press("Escape")
    page.evaluate("document.querySelector('.bh-root').dataset.seen = ''")
    expect(page.locator("[data-seen]")).to_have_count(0, timeout=2 * MINUTE)
    assert "<tr><th>scan</th><th>when</th><th>file</th>" in saved(page, here)


def test_how_a_curve_is_looked_at_outlives_the_renewal_of_the_saved_table(page, here):
    page.locator(f"{READY} .bh-row", has_text="a.raw").click()
    plot = page.locator(".bh-plot[data-curves='1']")
    expect(plot).to_be_visible()
    page.locator("input[name='log y']").check()
    plot.focus()
    for key in ("+", "+", "ArrowRight"):
        page.keyboard.press(key)
    expect(plot).to_have_attribute("data-x", re.compile(r"^(?!1 10$)\d"))
    zoomed = plot.get_attribute("data-x")
    here.drop("d.raw", "red")
    page.get_by_role("button", name="1 new or moved").click()
    expect(files(page)).to_have_text(["a.raw", "b.raw", "d.raw"])
    renew(page)
    assert page.evaluate(VIEWS) == [1]  # of what was painted before nothing stays behind
    expect(plot).to_be_visible()
    expect(page.locator("input[name='log y']")).to_be_checked()
    expect(plot).to_have_attribute("data-x", zoomed)
    page.locator(f"{READY} .bh-row", has_text="b.raw").click()  # it goes on in the table as it is now
    expect(page.locator(".bh-caption")).to_have_text("b.raw")
    expect(plot).to_have_attribute("data-x", zoomed)


def test_what_was_asked_for_again_is_told_of_after_the_renewal(page, here):
    page.get_by_role("tab", name="Again").click()
    page.get_by_role("spinbutton", name="height").fill("2")
    page.get_by_role("button", name="Run 1 again").click()
    expect(page.locator(".bh-batch")).to_contain_text("1 of 1 ended")
    page.get_by_role("tab", name="Curve").click()
    expect(page.locator(".bh-plot")).to_be_visible()
    renew(page)
    page.get_by_role("tab", name="Again").click()
    expect(page.locator(".bh-batch")).to_contain_text("1 of 1 ended")


RENDER = """async (code) => {
  const { default: widget } = await import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
  const kept = { kind: "processed", view_id: "v", options: { proposal: "" }, layout: { comm_live: false } };
  const nothing = () => undefined, model = { get: (name) => kept[name], set: nothing, send: nothing, on: nothing };
  await widget.render({ model: { ...model, off: nothing, save_changes: nothing }, el: document.querySelector("main") });
}"""


def test_in_an_exported_notebook_the_static_table_stands_and_the_widget_waits_for_nobody(
    browser, tmp_path, monkeypatch
):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    for name in ("BEAMHUB_SERVICE_URL", "JUPYTERHUB_SERVICE_URL", "JPY_SESSION_NAME"):
        monkeypatch.delenv(name, raising=False)
    code = "from beamhub.widgets import ProcessedData\nProcessedData()"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    (tmp_path / "it.html").write_text(HTMLExporter().from_notebook_node(notebook)[0])
    page = browser.new_context(offline=True).new_page()
    page.goto((tmp_path / "it.html").as_uri(), wait_until="commit")
    expect(page.locator("main p", has_text="Processed data, as of")).to_be_visible()
    expect(page.locator("script[type='application/vnd.jupyter.widget-state+json']")).to_have_count(1)
    page.evaluate(RENDER, (ROOT / "widgets/static/widget.js").read_text())
    expect(page.locator(".bh-root")).to_have_text(re.compile("^No kernel has this table any more: run this"))
    expect(page.locator("main p", has_text="Processed data, as of")).to_be_visible()
    page.context.close()
