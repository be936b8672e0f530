"""What setup.cfg says of the packages is what there is."""

import configparser
import re
from importlib.metadata import EntryPoint, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg")
FOLDERS = dict(line.split(" = ") for line in SETUP["options"]["package_dir"].splitlines() if line)
POINTS = [
    EntryPoint(*line.split(" = "), group)
    for group, lines in SETUP["options.entry_points"].items()
    for line in lines.splitlines()
    if line
]


def packages(name: str, folder: Path) -> set[str]:
    """A package and all below it."""
    found = (path.parent.relative_to(folder).parts for path in folder.rglob("__init__.py"))
    return {".".join([name, *parts]) for parts in found}


def test_setup_cfg_names_every_package():
    found = set().union(*(packages(name, ROOT / folder) for name, folder in FOLDERS.items()))
    assert found == set(SETUP["options"]["packages"].split())


def test_every_folder_with_modules_is_a_package():
    modules = {path.parent for folder in FOLDERS.values() for path in (ROOT / folder).rglob("*.py")}
    modules = {folder for folder in modules if "node_modules" not in folder.parts}
    assert [str(folder) for folder in modules if not (folder / "__init__.py").exists()] == []


def test_static_tools_find_each_package_by_its_link():
    links = {path.name: path.resolve() for path in (ROOT / ".typing/beamhub").iterdir()}
    assert links == {name.removeprefix("beamhub."): ROOT / folder for name, folder in FOLDERS.items()}


def test_every_package_says_that_it_is_typed():
    assert [folder for folder in FOLDERS.values() if not (ROOT / folder / "py.typed").exists()] == []


def test_the_arrows_are_checked_for_every_package():
    assert set(SETUP["importlinter"]["root_packages"].split()) == set(FOLDERS)
    layers = SETUP["importlinter:contract:arrows"]["layers"].replace("|", " ").split()
    assert set(layers) == set(FOLDERS)


def test_there_are_entry_points():
    assert len(POINTS) > 5


@pytest.mark.parametrize("point", POINTS, ids=lambda point: f"{point.group}-{point.name}")
def test_entry_points_lead_somewhere(point):
    assert point.load() is not None


def test_the_package_has_no_root_module():
    """A folder or module ``beamhub`` would hide the packages from the tools that check them."""
    assert not any((ROOT / name).exists() for name in ("beamhub", "beamhub.py", "src"))


@pytest.mark.parametrize("extra", ["hub", "processing"])
def test_the_lines_of_jupyterhub_that_may_be_installed_are_those_that_are_tested_and_documented(extra):
    """The rung ``hub`` runs with the newest that may be installed, and with the one that the Makefile names."""
    wanted = [Requirement(line) for line in SETUP["options.extras_require"][extra].split()]
    allowed = next(one.specifier for one in wanted if one.name == "jupyterhub")
    tested = {
        re.search(r'"jupyterhub==(\d+\.\d+)\.\*"', (ROOT / "Makefile").read_text())[1],
        ".".join(version("jupyterhub").split(".")[:2]),
    }
    neighbours = ["5.3", "5.4", "5.5", "6.0", "6.1", "6.2", "7.0"]
    assert {line for line in neighbours if f"{line}.99" in allowed} == tested
    assert f"JupyterHub {' and '.join(sorted(tested))}" in (ROOT / "docs/how-to/run.md").read_text()
