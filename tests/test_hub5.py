"""The whole rung ``hub`` once more, on the older line of JupyterHub; `make test` keeps an environment for it."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PYTHON = ROOT / ".venv-hub5/bin/python"
pytestmark = [pytest.mark.hub5, pytest.mark.timeout(3600)]


def said(*command: str | Path, **environment: str) -> Iterator[str]:
    """The lines that a program says, as they come, and then how it ended."""
    with subprocess.Popen(
        command, cwd=ROOT, env=os.environ | environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as run:
        try:
            yield from run.stdout
            run.wait()
        finally:  # also where nobody listens any more
            run.terminate()
    yield f"it ended with code {run.returncode}\n"


def test_its_environment_has_the_older_jupyterhub_and_the_packages_of_this_checkout():
    code = "import beamhub.spawner as b, jupyterhub as j; print(j.__version__, j.__file__, b.__file__)"
    version, jupyterhub, spawner = next(said(PYTHON, "-c", code)).split()
    assert version.startswith("5.5.")
    assert jupyterhub.startswith(f"{ROOT}/.venv-hub5/")
    assert spawner == f"{ROOT}/spawner/__init__.py"
    programs = [path for path in PYTHON.parent.iterdir() if path.name.startswith("jupyterhub")]
    assert {path.read_text().splitlines()[0] for path in programs} == {f"#!{PYTHON}"}


def test_the_whole_rung_hub_passes_on_the_older_line_of_jupyterhub(capfd):
    lines = []
    with capfd.disabled():
        for line in said(PYTHON, "-m", "pytest", RUNGS="hub"):
            lines.append(line)
            if not line.startswith("left out"):
                print(f"JupyterHub 5.5 | {line}", end="", flush=True)
    assert lines[-1] == "it ended with code 0\n"
    assert re.search(r"\b[1-9]\d* passed", "".join(lines)), "none of its tests ran"
