"""The files that the how-to shows, tried as it says."""

import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import pytest

EXAMPLE = Path(__file__).parents[2] / "examples/first_function"
BEAMHUB = Path(sys.executable).with_name("beamhub")


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(EXAMPLE, tmp_path / "first")
    scan = tmp_path / "first/raw/demo-2026/scan_1"
    scan.mkdir(parents=True)
    with h5py.File(scan / "a.nxs", "w") as file:
        file["entry/data/data"] = [1, 6, 10]
    return tmp_path / "first"


def beamhub(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(BEAMHUB), *words], cwd=folder, capture_output=True, text=True)


def test_the_file_is_right(folder):
    assert beamhub(folder, "check", "processing.yaml").stdout.strip() == "processing.yaml: right"


def test_the_rule_takes_the_file_and_says_why(folder):
    told = beamhub(folder, "rules", "explain", "raw/demo-2026/scan_1/a.nxs")
    assert told.returncode == 0
    assert "takes it: totals" in told.stdout
    assert beamhub(folder, "rules", "explain", "raw/demo-2026/notes.txt").returncode == 1


def test_the_function_is_tried_on_one_file(folder):
    told = beamhub(folder, "process", "raw/demo-2026/scan_1/a.nxs", "--rule", "totals")
    assert told.returncode == 0, told.stderr
    assert "16" in told.stdout  # 6 + 10, the pixels above 5


def test_a_mistake_is_told_with_its_line(folder):
    path = folder / "processing.yaml"
    path.write_text(path.read_text().replace("storage: beamline, path", "storage: beamlin, path"))
    told = beamhub(folder, "check", "processing.yaml")
    assert told.returncode == 1
    assert (
        "processing.yaml:8: there is no storage 'beamlin' @ rules.totals.when.storage; did you mean beamline?"
        in told.stdout
    )
