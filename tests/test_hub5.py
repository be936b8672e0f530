"""The whole rung ``hub`` once more, on the older line of JupyterHub; `make test` keeps an environment for it.

It waits more than it works: the first of these tests starts it, other tests run beside it, and the last one waits for
its end (``pytest_collection_modifyitems`` in conftest.py puts them in this order).
"""

import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PYTHON = ROOT / ".venv-hub5/bin/python"
LOOK_S = 0.5
pytestmark = [pytest.mark.hub5, pytest.mark.timeout(3600)]


class Rung:
    """The rung while it runs."""

    def __init__(self, log: Path) -> None:
        self._log = log
        with log.open("w") as out:
            self._run = subprocess.Popen(
                [PYTHON, "-m", "pytest"],
                cwd=ROOT,
                env=os.environ | {"RUNGS": "hub"},
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def lines(self) -> Iterator[str]:
        """What it says, as it comes, to its end."""
        with self._log.open() as said:
            while self._run.poll() is None:
                yield from said
                time.sleep(LOOK_S)
            yield from said

    def end(self) -> int:
        """Its exit code; where nobody waited for it, it is told to end."""
        self._run.terminate()
        return self._run.wait()


@pytest.fixture(scope="session")
def rung(tmp_path_factory) -> Iterator[Rung]:
    running = Rung(tmp_path_factory.mktemp("hub5") / "log")
    yield running
    running.end()


def test_its_environment_has_the_older_jupyterhub_and_the_packages_of_this_checkout(rung):
    code = "import beamhub.spawner as b, jupyterhub as j; print(j.__version__, j.__file__, b.__file__)"
    said = subprocess.run([PYTHON, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    version, jupyterhub, spawner = said.split()
    assert version.startswith("5.5.")
    assert jupyterhub.startswith(f"{ROOT}/.venv-hub5/")
    assert spawner == f"{ROOT}/spawner/__init__.py"
    programs = [path for path in PYTHON.parent.iterdir() if path.name.startswith("jupyterhub")]
    assert {path.read_text().splitlines()[0] for path in programs} == {f"#!{PYTHON}"}


def test_the_whole_rung_hub_passes_on_the_older_line_of_jupyterhub(rung, capfd):
    lines = []
    with capfd.disabled():
        for line in rung.lines():
            lines.append(line)
            if not line.startswith("left out"):
                print(f"JupyterHub 5.5 | {line}", end="", flush=True)
    assert rung.end() == 0
    assert re.search(r"\b[1-9]\d* passed", "".join(lines)), "none of its tests ran"
