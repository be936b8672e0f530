import os
import shutil
from pathlib import Path

import pytest

from beamhub.processing.raw_file import RawFileKept, kept


@pytest.fixture
def raw(tmp_path):
    made = tmp_path / "scan/a.nxs"
    made.parent.mkdir()
    made.write_text("measured")
    return made


def by_folder_handle(raw):
    folder = os.open(raw.parent, os.O_RDONLY)
    try:
        os.unlink(raw.name, dir_fd=folder)
    finally:
        os.close(folder)


def truncated_by_handle(raw):
    handle = os.open(raw, os.O_RDONLY)
    try:
        os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def through_a_link(raw):
    link = raw.parents[1] / "link"
    link.symlink_to(raw.parent)
    (link / raw.name).unlink()


def by_a_relative_path(raw):
    before = Path.cwd()
    os.chdir(raw.parent)
    try:
        os.remove("a.nxs")
    finally:
        os.chdir(before)


WAYS = {
    "unlink": Path.unlink,
    "folder": by_folder_handle,
    "handle": truncated_by_handle,
    "link": through_a_link,
    "relative": by_a_relative_path,
    "bytes": lambda raw: os.remove(os.fsencode(raw)),
    "rename": lambda raw: raw.rename(raw.with_name("b.nxs")),
    "over": lambda raw: shutil.copy(__file__, raw.with_name("b")) and os.replace(raw.with_name("b"), raw),
    "move": lambda raw: shutil.move(raw, raw.parents[1] / "b.nxs"),
    "tree": lambda raw: shutil.rmtree(raw.parents[1], ignore_errors=True),
    "append": lambda raw: raw.open("a"),
    "update": lambda raw: raw.open("r+b"),
    "truncate": lambda raw: os.truncate(raw, 0),
}


@pytest.mark.promise("user code")
@pytest.mark.parametrize("way", WAYS)
def test_a_raw_file_is_neither_removed_nor_moved_nor_written_to(raw, way):
    with kept(raw), pytest.raises(RawFileKept, match=r"a\.nxs is raw data, which a function only reads"):
        WAYS[way](raw)
    assert raw.read_text() == "measured"


def test_it_is_read_and_what_lies_beside_it_is_the_functions_affair(raw):
    with kept(raw):
        assert raw.read_text() == "measured"
        raw.with_name("b").write_text("beside")
        raw.with_name("b").rename(raw.with_name("c"))
        raw.with_name("c").unlink()
        shutil.copy(raw, raw.with_name("d"))
    raw.unlink()
