import errno
import os
from pathlib import Path

import pytest

from beamhub.processing import storage as module
from beamhub.processing.storage import OutsideStorage, Storage, open_beneath, resolve_beneath


@pytest.fixture(params=["openat2", "walk"])
def root(request, tmp_path, monkeypatch):
    """A storage with a file, links out of it and inside it; also as on a kernel without openat2."""
    if request.param == "walk":
        monkeypatch.setattr(module, "_openat2", without_openat2)
    made = tmp_path / "storage"
    (made / "proposal/scan").mkdir(parents=True)
    (made / "proposal/scan/raw.nxs").write_bytes(b"raw")
    (tmp_path / "secret").write_bytes(b"secret")
    (made / "proposal/out.nxs").symlink_to(tmp_path / "secret")
    (made / "proposal/folder").symlink_to(tmp_path)
    (made / "proposal/inside.nxs").symlink_to("scan/raw.nxs")
    return made


def without_openat2(folder, path, flags):
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


def test_a_file_beneath_the_root_is_opened(root):
    handle = open_beneath(root, "proposal/scan/raw.nxs")
    assert os.read(handle, 10) == b"raw"
    os.close(handle)
    assert resolve_beneath(root, "proposal/scan/raw.nxs") == root / "proposal/scan/raw.nxs"


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../secret",
        "proposal/../../secret",
        "proposal/out.nxs",
        "proposal/folder/secret",
        "proposal/inside.nxs",
        "",
        "a\0b",
    ],
)
@pytest.mark.promise("bad input")
def test_a_path_that_leaves_the_storage_or_goes_through_a_link_is_refused(root, path):
    with pytest.raises(OutsideStorage):
        resolve_beneath(root, path)


def test_a_file_that_is_not_there_is_named(root):
    with pytest.raises(FileNotFoundError, match=r"proposal/gone\.nxs"):
        resolve_beneath(root, "proposal/gone.nxs")


@pytest.mark.parametrize("name", ["with space.nxs", "ü.nxs", "new\nline.nxs", os.fsdecode(b"\xff.nxs"), "quote'\".nxs"])
def test_names_as_people_write_them_are_opened(root, name):
    (root / "proposal" / name).write_bytes(b"x")
    assert resolve_beneath(root, f"proposal/{name}") == root / "proposal" / name


def test_no_file_is_left_open(root):
    before = os.listdir("/proc/self/fd")
    resolve_beneath(root, "proposal/scan/raw.nxs")
    for path in ("proposal/out.nxs", "../secret"):
        with pytest.raises(OutsideStorage):
            resolve_beneath(root, path)
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.parametrize(
    ("layout", "folder"),
    [
        ("{proposal}/{scan}", "/data/p1"),
        ("{beamline}/{proposal}/{scan}", "/data/p1/s2"),
        ("c{proposal}/{scan}", "/data/p1"),
        ("{beamline}/{scan}", "/data"),
    ],
)
def test_the_folder_of_a_proposal_follows_from_the_layout(layout, folder):
    assert Storage(Path("/data"), layout).proposal_folder("p1/s2/raw.nxs") == Path(folder)
