"""Ways to raw files that are other ones for a moment."""

import ctypes
import errno
from pathlib import Path
from types import SimpleNamespace

import pytest

from beamhub.processing import raw_way
from beamhub.processing.child import check_raw
from beamhub.processing.functions import DataError
from beamhub.processing.raw_way import Ways


class Kernel:
    """The kernel's own watches; while the one at a path is asked for, something else happens."""

    def __init__(self, path: Path, during) -> None:
        self._libc, self._path, self._during = ctypes.CDLL(None, use_errno=True), path, during

    def inotify_add_watch(self, news: int, path: bytes, mask: int) -> int:
        if path == bytes(self._path):
            return self._during(lambda: self._libc.inotify_add_watch(news, path, mask))
        return self._libc.inotify_add_watch(news, path, mask)


@pytest.fixture
def raw(tmp_path):
    folder = tmp_path / "scan1"
    folder.mkdir()
    (folder / "a.nxs").write_bytes(b"measured")
    return folder / "a.nxs"


def way(raw: Path, path: Path, during) -> str:
    """What is said of the way to a file, once it was added while something happened at a path."""
    with raw_way.watched() as ours:
        ways = Ways(Kernel(path, during), ours._news)
        ways.add(raw)
        return ways.changed()


def test_nothing_is_said_of_a_way_that_stays_as_it_is(raw):
    assert way(raw, raw, lambda watch: watch()) == ""


@pytest.mark.promise("bad input")
@pytest.mark.parametrize("which", ["the file", "its folder"])
def test_what_is_away_in_the_moment_in_which_it_would_be_watched_is_noticed(raw, which):
    path = raw if which == "the file" else raw.parent

    def during(watch):
        away = path.rename(path.with_name("away"))
        try:
            return watch()
        finally:
            away.rename(path)

    assert way(raw, path, during) == path.name


@pytest.mark.promise("bad input")
def test_what_is_another_one_in_the_moment_in_which_it_is_watched_is_noticed(raw, tmp_path):
    other = tmp_path / "other"
    other.mkdir()

    def during(watch):
        away = raw.parent.rename(tmp_path / "away")
        raw.parent.symlink_to(other)
        try:
            return watch()
        finally:
            raw.parent.unlink()
            away.rename(raw.parent)

    assert way(raw, raw.parent, during) == "scan1"


@pytest.mark.promise("bad input")
def test_a_folder_that_is_another_one_while_its_file_is_begun_to_be_watched_is_noticed(raw, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / raw.name).write_bytes(b"of another proposal")

    def during(watch):
        away = raw.parent.rename(tmp_path / "away")
        other.rename(raw.parent)
        try:
            return watch()
        finally:
            raw.parent.rename(other)
            away.rename(raw.parent)

    assert way(raw, raw, during) == "scan1"


@pytest.mark.promise("bad input")
def test_a_file_in_a_folder_that_may_not_be_watched_is_not_read_and_who_wrote_it_reads_why(raw, tmp_path):
    def during(watch):
        ctypes.set_errno(errno.EACCES)
        return -1

    task = SimpleNamespace(raw=raw, within=tmp_path, folder=tmp_path / "out")
    with (
        raw_way.watched() as ours,
        pytest.raises(DataError, match=r"^scan1 may not be listed by the account .* while a\.nxs is read\. Let it"),
    ):
        check_raw(task, Ways(Kernel(raw.parent, during), ours._news))
    task.within = raw.parent  # above it nothing is the proposal's own
    with raw_way.watched() as ours:
        check_raw(task, Ways(Kernel(raw.parent, during), ours._news))


def test_a_file_that_is_not_there_and_stays_away_is_no_change(raw):
    with raw_way.watched() as ways:
        ways.add(raw.parent / "not_yet/linked.nxs")
        ways.add(raw.parent / "linked.nxs")
        (raw.parent / "another.nxs").write_bytes(b"")  # arrives meanwhile
        assert ways.changed() == ""


@pytest.mark.promise("access")
@pytest.mark.parametrize("absent", ["linked.nxs", "not_yet/linked.nxs"])
@pytest.mark.parametrize("how", ["a link", "moved there"])
def test_what_is_put_for_a_moment_where_nothing_was_is_noticed(raw, tmp_path, absent, how):
    path = raw.parent / absent.partition("/")[0]
    other = tmp_path / "other"
    other.mkdir()
    with raw_way.watched() as ways:
        ways.add(raw.parent / absent)
        if how == "a link":
            path.symlink_to(other)
            path.unlink()
        else:
            other.rename(path)
            path.rename(other)
        assert ways.changed() == path.name


def test_where_the_kernel_has_no_watch_left_only_what_is_not_as_it_was_is_noticed(raw):
    def during(watch):
        ctypes.set_errno(errno.ENOSPC)
        return -1

    assert way(raw, raw, during) == ""
