"""The files that the how-to on Grid Engine shows are right."""

import subprocess
import sys
from pathlib import Path

from beamhub.config.document import read
from beamhub.spawner.catalogue import Catalogue

EXAMPLE = Path(__file__).parents[2] / "examples/gridengine"
HOW_TO = Path(__file__).parents[2] / "docs/how-to/gridengine.md"


def test_its_catalogue_has_no_mistake():
    command = [Path(sys.executable).parent / "beamhub", "check", EXAMPLE / "compute.yaml"]
    assert subprocess.run(command, capture_output=True, text=True, check=False).returncode == 0
    assert read(EXAMPLE / "compute.yaml", Catalogue).value.sites["grid"].memory_resource == "h_vmem"


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
