"""On what a folder lies, asked of the kernel."""

import os
import subprocess
from pathlib import Path

import pytest

from beamhub.processing.sources.mounts import untold, untold_among

LINES = """1 0 8:1 / / rw - ext4 /dev/sda rw
2 1 0:9 / /beamline/p03 rw - nfs4 server:/ rw
3 1 0:8 / /beamline/scratch rw - xfs /dev/sdb rw
"""


@pytest.mark.parametrize(
    ("folder", "found"),
    [
        ("/beamline", {"/beamline/p03": "nfs4"}),
        ("/beamline/p03/raw", {"/beamline/p03/raw": "nfs4"}),
        ("/beamline/p0", {}),
        ("/beamline/scratch", {}),
    ],
    ids=["below", "around", "beside", "tells"],
)
def test_a_network_file_system_is_found_around_a_folder_and_below_it(folder, found):
    assert untold_among(Path(folder), LINES) == {Path(place): kind for place, kind in found.items()}


@pytest.mark.promise("bad input")
@pytest.mark.root
def test_a_mount_of_any_name_keeps_no_folder_from_being_looked_at(tmp_path):
    mounted = tmp_path / os.fsdecode(b"\xff\n \xc2\x85")
    mounted.mkdir()
    subprocess.run(["mount", "-t", "ramfs", "none", mounted], check=True)
    try:
        assert untold(tmp_path) == {}
    finally:
        subprocess.run(["umount", mounted], check=True)
