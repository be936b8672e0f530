"""What setup.cfg says of the packages is what there is."""

import configparser
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

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
