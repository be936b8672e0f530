"""The whole rung ``hub`` once more, on the older line of JupyterHub; `make test` keeps an environment for it."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from services.hub import die_with_parent

ROOT = Path(__file__).parent.parent
PYTHON = ROOT / ".venv-hub5/bin/python"
MOST = 100_000  # characters of what it said that are shown when it failed
pytestmark = [pytest.mark.hub5, pytest.mark.timeout(3600)]


def test_its_environment_has_the_older_jupyterhub_and_the_packages_of_this_checkout():
    code = "import beamhub.spawner as b, jupyterhub as j; print(j.__version__, j.__file__, b.__file__)"
    said = subprocess.run([PYTHON, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    version, jupyterhub, spawner = said.split()
    assert version.startswith("5.5.")
    assert jupyterhub.startswith(f"{ROOT}/.venv-hub5/")
    assert spawner == f"{ROOT}/spawner/__init__.py"
    programs = [path for path in PYTHON.parent.iterdir() if path.name.startswith("jupyterhub")]
    assert {path.read_text().splitlines()[0] for path in programs} == {f"#!{PYTHON}"}


def passes(rung: str, *which: str) -> None:
    """Run tests of a rung there."""
    done = subprocess.run(
        [PYTHON, "-m", "pytest", *which], cwd=ROOT, env=os.environ | {"RUNGS": rung}, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=die_with_parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-MOST:]
    assert re.search(r"\b[1-9]\d* passed", done.stdout), f"none of its tests ran: {done.stdout[-MOST:]}"


def test_the_whole_rung_hub_passes_on_the_older_line_of_jupyterhub():
    passes("hub")


@pytest.mark.slurm
def test_servers_on_a_slurm_start_stop_and_outlive_a_hub_of_the_older_line():
    passes("slurm", "tests/spawner/test_kills_with_slurm.py")
