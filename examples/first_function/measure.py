"""Measure: writes one raw file into the running demo, as a beamline would."""

import sys
from pathlib import Path

import h5py

folder = Path(".demo/raw/demo-2026/my_scan")
folder.mkdir(parents=True, exist_ok=True)
with h5py.File(folder / f"{sys.argv[1]}.nxs", "w") as file:
    file["entry/data/data"] = [1, 6, 10]
