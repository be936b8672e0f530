"""The wheel, built from a clean clone and installed into an environment of its own, has everything and works."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = [pytest.mark.wheel, pytest.mark.timeout(900)]


def run(*command: str | Path, **options: object) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run("git", "clone", "--quiet", "--no-hardlinks", ROOT, folder / "clone")
    run(sys.executable, "-m", "build", "--wheel", "--outdir", folder / "dist", folder / "clone")
    return next((folder / "dist").glob("*.whl"))


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that has the wheel as installed; what it builds on is seen through from ours."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    ours = next(path for path in sys.path if path.endswith("site-packages"))
    site = next(folder.glob("lib/*/site-packages"))
    run(sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps", "--prefix",
        folder, "--ignore-installed", wheel)  # fmt: skip
    # A plain path entry makes packages visible but does not run the development install's import hook.
    (site / "ours.pth").write_text(ours + "\n")
    return folder / "bin/python"


def test_the_wheel_carries_bundle_templates_migrations_and_jupyter_configuration(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for wanted in (
        "beamhub/widgets/static/widget.js",
        "beamhub/spawner/templates/",
        "beamhub/processing/migrations/versions/",
        "beamhub/processing/openapi.json",
        "data/etc/jupyter/jupyter_server_config.d/beamhub.json",
        "data/share/jupyter/labextensions/@beamhub/session/static/remoteEntry.js",
        "beamhub/spawner/bootstrap.py",
    ):
        assert any(wanted in name for name in names), f"{wanted} is missing from the wheel"
    assert not any(name.startswith(("tests/", "examples/", "docs/")) for name in names)


def test_the_installed_wheel_is_what_is_imported(python):
    code = "import beamhub.spawner, beamhub.widgets; print(beamhub.spawner.__file__)"
    assert str(python.parent.parent) in run(python, "-c", code, cwd="/")


def test_the_installed_command_checks_the_demos_files(python):
    demo = ROOT / "examples/demo"
    run(python.parent / "beamhub", "check", demo / "compute.yaml", demo / "processing.yaml", cwd="/")


def test_the_installed_store_makes_its_schema(python, tmp_path):
    code = (
        "from beamhub.processing.store import Store; import sys;"
        "store = Store.open(sys.argv[1]); print(store.head()); store.close()"
    )
    assert run(python, "-c", code, f"sqlite:///{tmp_path}/beamhub.db", cwd="/").strip() == "0"


def test_the_installed_extension_is_enabled(python):
    found = list(python.parent.parent.glob("etc/jupyter/jupyter_server_config.d/beamhub.json"))
    assert json.loads(found[0].read_text()) == {
        "ServerApp": {"jpserver_extensions": {"beamhub.server_extension": True}}
    }
