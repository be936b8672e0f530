"""The files that the how-to on Slurm shows are right."""

import subprocess
import sys
from pathlib import Path

import pytest

from beamhub.config.document import read
from beamhub.spawner.catalogue import NOWHERE, Catalogue
from beamhub.spawner.moving.translation import translate

EXAMPLE = Path(__file__).parents[2] / "examples/slurm"
HOW_TO = Path(__file__).parents[2] / "docs/how-to/slurm.md"


@pytest.mark.parametrize("name", ["compute.yaml", "podman.yaml"])
def test_its_catalogues_have_no_mistake(name):
    command = [Path(sys.executable).parent / "beamhub", "check", EXAMPLE / name]
    assert subprocess.run(command, capture_output=True, text=True, check=False).returncode == 0


def test_its_catalogue_says_how_long_a_start_may_wait():
    assert read(EXAMPLE / "compute.yaml", Catalogue).value.sites["maxwell"].queue_timeout == 7200


def test_the_commands_that_the_how_to_says_make_launcher_and_rule(tmp_path):
    (line,) = [line for line in HOW_TO.read_text().splitlines() if line.startswith("beamhub launcher")]
    words = line.replace("/opt/beamhub", str(tmp_path)).replace("compute.yaml", str(EXAMPLE / "compute.yaml")).split()
    subprocess.run([Path(sys.executable).parent / words[0], *words[1:]], check=True, capture_output=True)
    rule = (tmp_path / "launcher.sudoers").read_text()
    assert f'jupyterhub ALL=(%hubusers) NOPASSWD:NOSETENV: {tmp_path}/launcher ""' in rule


def test_its_hub_configuration_is_python_that_names_its_catalogue():
    text = (EXAMPLE / "jupyterhub_config.py").read_text()
    compile(text, "jupyterhub_config.py", "exec")
    assert 'catalogue="compute.yaml"' in text


def test_the_how_to_shows_what_a_configuration_of_batchspawner_becomes(tmp_path):
    folder = EXAMPLE.parent / "batchspawner"
    text = (folder / "compute.yaml").read_text()
    assert translate(folder / "jupyterhub_config.py") == text.removesuffix("\n")
    (tmp_path / "compute.yaml").write_text(text.replace(NOWHERE, "10.0.0.0/16"))
    assert set(read(tmp_path / "compute.yaml", Catalogue).value.sites) == {"jhub", "gpu"}
