"""What importing a part brings with it, in an interpreter of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ARRAYS = {"h5py", "matplotlib", "numpy", "pandas", "xarray"}
HUB = {"jupyterhub", "kubespawner", "oauthenticator", "sqlalchemy"}
WORKERS = {"dask", "distributed"}


def imported(code: str) -> set[str]:
    """The packages that are loaded after some code ran, by their first name."""
    code += "\nimport sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    names = done.stdout.split()
    return {name.split(".")[0] for name in names} | {name for name in names if name.startswith("beamhub.")}


@pytest.mark.parametrize(
    ("code", "not_loaded"),
    [
        ("import beamhub.catalog", ARRAYS | HUB | WORKERS | {"httpx", "pydantic", "tornado"}),
        ("import beamhub.catalog.records", ARRAYS | HUB | WORKERS | {"httpx", "tornado"}),
        ("from beamhub.catalog import requests, CatalogError", ARRAYS | HUB | WORKERS | {"httpx", "tornado"}),
        ("from beamhub.catalog import Client, open_result", ARRAYS | HUB | WORKERS | {"tornado"}),
        ("import beamhub.config", ARRAYS | HUB | WORKERS | {"pydantic", "ruamel"}),
        ("from beamhub.config import document, watch", ARRAYS | HUB | WORKERS | {"httpx", "tornado"}),
        ("from beamhub.config.command import main; main([])", ARRAYS | HUB | WORKERS | {"httpx", "tornado"}),
        ("import beamhub.server_extension", ARRAYS | HUB | WORKERS),
        ("import beamhub.widgets", HUB | WORKERS),
        ("import beamhub.spawner", ARRAYS | WORKERS),
        ("import beamhub.processing", ARRAYS | HUB | WORKERS),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_importing_a_part_is_light(code, not_loaded):
    assert imported(code) & not_loaded == set()


def test_the_command_imports_only_what_is_asked_for():
    loaded = imported("from beamhub.config.command import main; main(['--version'])")
    assert not {name for name in loaded if name.startswith(("beamhub.spawner", "beamhub.processing"))}


def test_all_that_the_catalogue_offers_is_there():
    code = "import beamhub.catalog as c; print([getattr(c, name) for name in c.__all__] and None)"
    assert "httpx" in imported(code)


def test_what_the_catalogue_does_not_offer_is_said():
    import beamhub.catalog

    with pytest.raises(AttributeError, match=r"'beamhub\.catalog' has no attribute 'Nonsense'"):
        _ = beamhub.catalog.Nonsense


def test_importing_the_catalogue_takes_less_than_150_ms():
    code = "import time; b = time.process_time(); import beamhub.catalog; print(time.process_time() - b)"
    times = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for _ in range(3)
    ]
    assert min(times) < 0.150


def test_arrows_between_the_packages_point_one_way():
    lint = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout
