"""A notebook that is read without a kernel: what exporters and GitHub show of the static table."""

import copy
import json
from collections.abc import Iterator

import bleach
import nbformat
import pytest
from lxml import html as lxml_html
from nbclient import NotebookClient
from nbconvert import HTMLExporter, MarkdownExporter
from services.api import Bench, serving

pytestmark = pytest.mark.filterwarnings("ignore")
CODE = "from beamhub.widgets import ProcessedData\ndata = ProcessedData('red')\ndata"
VIEW = "application/vnd.jupyter.widget-view+json"
# what GitHub lets pass, as html-pipeline's SanitizationFilter has it
TAGS = """
h1 h2 h3 h4 h5 h6 br b i strong em a pre code img tt div ins del sup sub p ol ul table thead tbody tfoot blockquote dl
dt dd kbd q samp var hr ruby rt rp li tr td th s strike summary details caption figure figcaption abbr bdo cite dfn mark
small span time wbr"""
OF_ALL = """
abbr accept accept-charset accesskey action align alt aria-describedby aria-hidden aria-label aria-labelledby axis
border cellpadding cellspacing char charoff charset checked clear cols colspan color compact coords datetime dir
disabled enctype for frame headers height hreflang hspace id ismap label lang maxlength media method multiple name
nohref noshade nowrap open progress prompt readonly rel rev role rows rowspan rules scope selected shape size span start
summary tabindex title type usemap valign value width itemprop"""
CITING = {name: ["cite"] for name in ("blockquote", "del", "ins", "q")}
OF_SOME = {"a": ["href"], "img": ["src", "longdesc"], "div": ["itemscope", "itemtype"], **CITING}


@pytest.fixture(scope="module", params=["by a notebook server", "by nbconvert"])
def notebook(request, tmp_path_factory) -> Iterator[nbformat.NotebookNode]:
    """A notebook with a table of two runs, run to its end with its widgets' state."""
    folder = tmp_path_factory.mktemp("notebook")
    with serving(Bench(tmp_path_factory.mktemp("bench"))) as bench, pytest.MonkeyPatch.context() as patch:
        runs = bench.arrive("red/scan1/a.nxs", "red/scan1/<b>&amp;.nxs")
        bench.finish(runs[0], {"<Rg>": 3.14159})
        patch.setenv("BEAMHUB_SERVICE_URL", bench.url.removesuffix("api/v1/"))
        patch.setenv("JUPYTERHUB_API_TOKEN", "alice")
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
            patch.setenv(name, str(folder / name))
        patch.delenv("JPY_SESSION_NAME", raising=False)
        if request.param == "by a notebook server":
            patch.setenv("JPY_SESSION_NAME", "it.ipynb")
        made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CODE)])
        made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        NotebookClient(made, timeout=60, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()
        made.by = request.param
        yield made


def without_state(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """As Lab saves it."""
    plain = copy.deepcopy(notebook)
    del plain.metadata["widgets"]
    return plain


def tables(page: str) -> list[list[list[str]]]:
    """The texts of all cells of all tables."""
    found = lxml_html.fromstring(page).iter("table")
    return [[[cell.text_content() for cell in row] for row in table.iter("tr")] for table in found]


def is_whole(page: str) -> bool:
    """Whether a page has the static table once, with both runs, below its sentence."""
    (table,) = tables(page)
    names = [row[2] for row in table]
    heads = ["scan", "when", "file", "function", "state", "<Rg>"]
    sentences = lxml_html.fromstring(page).xpath("//p[contains(., 'UTC, 2 of 2 runs of red')]")
    return table[0] == heads and set(names[1:]) == {"a.nxs", "<b>&amp;.nxs"} and len(sentences) == 1


def test_a_saved_notebook_is_exported_to_html_with_the_static_table(notebook):
    page, _ = HTMLExporter().from_notebook_node(without_state(notebook))
    assert is_whole(page)
    assert VIEW not in page.partition("<main>")[2]


def test_a_notebook_that_nbconvert_runs_is_exported_with_the_static_table_beside_the_widget(notebook):
    assert len(notebook.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"]) > 0
    page, _ = HTMLExporter().from_notebook_node(notebook)
    assert VIEW in page
    if notebook.by == "by nbconvert":
        assert is_whole(page)
    else:
        assert tables(page) == []  # of one output nbconvert shows the widget alone


@pytest.mark.parametrize("state", [True, False], ids=["with the widgets' state", "without"])
def test_a_notebook_is_exported_to_markdown_with_the_static_table(notebook, state):
    text, _ = MarkdownExporter().from_notebook_node(notebook if state else without_state(notebook))
    assert is_whole(f"<div>{text}</div>")


def test_nothing_of_the_static_table_is_lost_in_what_github_lets_pass(notebook):
    outputs = notebook.cells[0].outputs
    (static,) = [output["data"]["text/html"] for output in outputs if "text/html" in output["data"]]
    passed = bleach.clean(static, tags=TAGS.split(), attributes={"*": OF_ALL.split(), **OF_SOME}, strip=True)
    assert is_whole(passed)
    assert tables(passed) == tables(static)
    assert lxml_html.fromstring(passed).text_content() == lxml_html.fromstring(static).text_content()
    assert json.dumps(outputs).count("as of") == 2  # in the table, and in the line of text
