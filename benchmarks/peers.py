"""The same rows in our table, in ipydatagrid and in itables, in the same Lab, browser and run.

``PEERS_ROWS`` says how many rows, ``PEERS_AGAIN`` how often each is opened, ``PEERS_WITHIN_S`` after how long a peer
has given up. The peers are installed into a folder that goes with the benchmark. Ours gets 100 rows at a time and a
peer all of them, which is what is compared: all rows can be scrolled to in each.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.entering import OURS, TALL, enter, traffic, write
from benchmarks.filled import fill_demo
from benchmarks.steady import megabytes
from benchmarks.workplace import ROOT, read, workplace

ROWS = tuple(int(one) for one in os.environ.get("PEERS_ROWS", "1000 10000 100000").split())
AGAIN = int(os.environ.get("PEERS_AGAIN", "3"))
WITHIN_S = float(os.environ.get("PEERS_WITHIN_S", "120"))
PACKAGES = ("ipydatagrid", "bqplot", "bqscales", "py2vega", "gast", "traittypes", "itables")
PREPARE = """
import sys
sys.path.append({folder!r})
from beamhub.widgets import Catalog, ProcessedData
import itables, ipydatagrid
itables.init_notebook_mode(all_interactive=False)
tables = {{rows: Catalog(f"rows-{{rows}}").table(limit=rows) for rows in {rows!r}}}
print("prepared", [len(one) for one in tables.values()])
"""
CODE = {
    "beamhub": 'ProcessedData("rows-{rows}")',
    "ipydatagrid": 'ipydatagrid.DataGrid(tables[{rows}], layout={{"height": "600px"}})',
    "itables": 'itables.show(tables[{rows}], maxBytes=0, pageLength=25, scrollY="560px")',
}
SELECTORS = {"beamhub": OURS, "ipydatagrid": "", "itables": ".dt-container tbody tr:has(td:nth-child(3))"}
TWENTIETH = "SELECT id FROM run WHERE proposal = ? ORDER BY queued DESC LIMIT 1 OFFSET 19"


def measure() -> dict[str, object]:
    """Seconds from Enter to the twentieth row, kilobytes to the page and in the saved notebook, heap; and ratios."""
    with tempfile.TemporaryDirectory() as text:
        versions = _install(Path(text))
        with workplace(partial(_fill, Path(text))) as (demo, page):
            page.add_style_tag(content=TALL)
            _prepare(page, text)
            found = {f"{rows} rows": _measure(demo, page, rows) for rows in ROWS}
    return {"versions": versions, **found}


def _measure(demo: Any, page: Any, rows: int) -> dict[str, object]:
    found = {name: _open(demo, page, name, rows) for name in CODE}
    ours = found["beamhub"]
    ratios = {
        name: {key: round(value / ours[key], 1) for key, value in one.items() if ours.get(key)}
        for name, one in found.items()
        if name != "beamhub" and "gave up" not in one
    }
    return {**found, "times of ours": ratios}


def _open(demo: Any, page: Any, name: str, rows: int) -> dict[str, Any]:
    """Several times in one cell; what the first one brings (the code of a widget) is not the rows' own."""
    devtools = page.context.new_cdp_session(page)
    code = CODE[name].format(rows=rows)
    drawn = "" if SELECTORS[name] else str(read(demo, TWENTIETH, f"rows-{rows}")[0][0])
    again = partial(enter, page, 1, rows=SELECTORS[name], drawn=drawn, within_s=WITHIN_S)
    before = _clear(demo, page, devtools)
    times: list[float] = []
    try:
        write(page, 1, code)
        again()
        came = traffic(devtools, lambda: times.append(again()))
        times += [again() for _ in range(AGAIN - 1)]
    except TimeoutError:
        return {"gave up": f"no twentieth row within {WITHIN_S:g} s"}
    held = megabytes(demo, devtools)["page"] - before
    return {
        "first_rows_ms": round(sorted(times)[len(times) // 2] * 1000),
        "received_KB": round((came.answers + came.messages) / 1e3),
        "saved_KB": round(_saved(demo, page) / 1e3),
        "heap_MB": round(held, 1),
    }


def _clear(demo: Any, page: Any, devtools: Any) -> float:
    """The page is loaded anew, as is the notebook without outputs; its heap in megabytes."""
    from browser.tools import kernel_idle

    write(page, 1, "None")
    _run(page)
    page.reload()
    kernel_idle(page)
    page.add_style_tag(content=TALL)
    return megabytes(demo, devtools)["page"]


def _run(page: Any) -> None:
    page.keyboard.press("Control+Enter")
    page.wait_for_timeout(1000)
    page.keyboard.press("Control+S")
    page.wait_for_timeout(3000)


def _saved(demo: Any, page: Any) -> int:
    """Bytes of the table's output in the saved notebook."""
    page.wait_for_timeout(2000)
    page.keyboard.press("Control+S")
    path, until = demo.folder / "home/demo/tutorial.ipynb", time.monotonic() + 60
    before = path.stat().st_mtime_ns
    while path.stat().st_mtime_ns == before and time.monotonic() < until:
        time.sleep(0.2)
    time.sleep(2)
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    return len(json.dumps(cells[1]["outputs"]))


def _prepare(page: Any, folder: str) -> None:
    """The peers and the rows are in the kernel; the last output of this cell says so."""
    from browser.tools import run_cell

    write(page, 0, PREPARE.format(folder=str(Path(folder) / "peers"), rows=ROWS))
    run_cell(page, 0)
    page.locator(".jp-OutputArea-output", has_text="prepared [").wait_for(timeout=600_000)


def _install(folder: Path) -> dict[str, str]:
    target = folder / "peers"
    install = ["install", "--quiet", "--no-deps", "--target", str(target), *PACKAGES]
    subprocess.run([sys.executable, "-m", "pip", *install], check=True, cwd=ROOT)
    found = [path.name.removesuffix(".dist-info").split("-") for path in target.glob("*.dist-info")]
    return {name: version for name, version in found if name in ("ipydatagrid", "itables")}


def _fill(folder: Path, demo: Path) -> None:
    """A proposal of each number of rows, which the demo's user sees; Lab finds the peers in that user's folder."""
    parts, last = [], 0
    for rows in ROWS:
        last += rows
        parts.append(f"WHEN i <= {last} THEN 'rows-{rows}'")
    fill_demo(demo, last, f"CASE {' '.join(parts)} END")
    config = (ROOT / "examples/demo/processing.yaml").read_text()
    (demo / "processing.yaml").write_text(config.replace("access:\n", "access:\n  all: [demo-2026]\n"))
    shutil.copytree(ROOT / "examples/demo/home", demo / "home/demo")
    extensions = demo / "home/demo/.local/share/jupyter/labextensions"
    extensions.parent.mkdir(parents=True)
    extensions.symlink_to(folder / "peers/share/jupyter/labextensions")
