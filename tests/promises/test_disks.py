"""Full disks: what cannot be written is written later, once there is room, and nothing is lost meanwhile."""

import contextlib
import subprocess
from pathlib import Path

import pytest
from services.service import CONFIG, hub_api, processing
from services.workbench import wait_for

pytestmark = [
    pytest.mark.promise("power, disks, clocks"),
    pytest.mark.timeout(240),
    pytest.mark.root,
]
FILES = 12


@contextlib.contextmanager
def disk(at: Path, size: str):
    """A small disk of its own."""
    at.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", at], check=True)
    try:
        yield at
    finally:
        subprocess.run(["umount", "--lazy", at], check=True)


def fill(at: Path) -> Path:
    """Take all room that there is."""
    ballast = at / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    return ballast


@pytest.fixture(scope="module")
def hub_url():
    with hub_api() as url:
        yield url


def all_are_done_once(service, names) -> None:
    wait_for(lambda: {run["file"]["name"] for run in service.runs(state="done", limit=500)} >= set(names), 120)
    runs = service.runs(limit=500)
    assert sorted(run["file"]["name"] for run in runs) == sorted(names)
    assert {run["state"] for run in runs} == {"done"}
    for run in runs:
        assert service.ask(f"results/{run['id']}/file").content[:4] == b"\x89HDF"
    assert not list((service.folder / "results").rglob("*.part"))


def drop(service, first: int, number: int) -> list[str]:
    names = [f"file{at:03d}.raw" for at in range(first, first + number)]
    for name in names:
        service.drop(name)
    return names


def test_while_the_disk_of_the_results_is_full_runs_wait_and_are_done_once_there_is_room(tmp_path, hub_url):
    with disk(tmp_path / "disk", "8m") as at, processing(tmp_path / "service", hub_url, CONFIG) as service:
        (service.folder / "results").symlink_to(at / "results")
        (at / "results").mkdir()
        service.start()
        wait_for(lambda: service.logged("functions can run"), 60)
        names = drop(service, 0, 3)
        all_are_done_once(service, names)
        ballast = fill(at)
        names += drop(service, 3, FILES)
        full = lambda: [run for run in service.runs(limit=500) if (run["error"] or {}).get("kind") == "transient"]  # noqa: E731
        wait_for(full, 60)
        assert "No space left" in full()[0]["error"]["message"]
        ballast.unlink()
        all_are_done_once(service, names)
        service.stop()


def test_while_the_disk_of_the_store_is_full_files_wait_and_are_taken_in_once_there_is_room(tmp_path, hub_url):
    with disk(tmp_path / "disk", "16m") as at:
        config = CONFIG.replace("sqlite:///beamhub.db", f"sqlite:///{at}/beamhub.db")
        with processing(tmp_path / "service", hub_url, config) as service:
            service.start()
            wait_for(lambda: service.logged("functions can run"), 60)
            names = drop(service, 0, 3)
            all_are_done_once(service, names)
            ballast = fill(at)
            names += drop(service, 3, FILES)
            wait_for(lambda: service.logged("database or disk is full") or service.logged("disk I/O error"), 60)
            assert service.up()
            ballast.unlink()
            all_are_done_once(service, names)
            service.stop()


def test_while_the_disk_of_the_logs_is_full_everything_goes_on(tmp_path, hub_url):
    with disk(tmp_path / "disk", "256k") as at, processing(tmp_path / "service", hub_url, CONFIG) as service:
        (service.folder / "log").symlink_to(at / "log")
        service.start("--verbose")
        wait_for(lambda: service.logged("functions can run"), 60)
        fill(at)
        names = drop(service, 0, FILES)
        (service.folder / "processing.yaml").write_text(CONFIG.replace("rules:", "rulse:"))  # something to tell
        all_are_done_once(service, names)
        service.stop()
