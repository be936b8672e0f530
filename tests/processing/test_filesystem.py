"""The watched folder: each file once, when it is complete, whatever the kernel tells or forgets."""

import asyncio
import contextlib
import os
import random
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from watchdog.observers.inotify import InotifyObserver
from watchdog.observers.inotify_c import InotifyConstants, InotifyEvent, InotifyFD

from beamhub.processing.event import FileEvent, identity
from beamhub.processing.sources import filesystem
from beamhub.processing.sources.filesystem import FilesystemSource
from beamhub.processing.sources.kernel import KernelNews

SETTLE_S = 0.15
SHORT_S = 5.0


class Told:
    """A sink that remembers, and can be away."""

    def __init__(self) -> None:
        self.events: list[FileEvent] = []
        self.away = False

    async def __call__(self, events, position=None) -> list[int]:
        if self.away:
            raise ConnectionError("the store is away")
        self.events += events
        return []

    def paths(self, kind: str = "closed") -> list[str]:
        return [event.path for event in self.events if event.kind == kind]

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(SHORT_S):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.01)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "raw/red").mkdir(parents=True)
    return tmp_path / "raw"


@contextlib.asynccontextmanager
async def watching(root: Path, told: Told | None = None, **more) -> AsyncIterator[Told]:
    """A source that has made its first scan."""
    sink = told or Told()
    source = FilesystemSource("watched", "beamline", "demo", root, SETTLE_S, **({"rescan": 60.0} | more))
    running = asyncio.create_task(source.run(sink))
    while source._scans.get(str(root), 0.0) <= time.monotonic() and not running.done():  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    try:
        yield sink
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


def write(path: Path, text: str = "counts") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


async def test_a_file_is_told_of_when_its_writer_closes_it_and_not_before(root):
    async with watching(root) as told:
        with (root / "red/a.nxs").open("w") as file:
            file.write("half")
            file.flush()
            await asyncio.sleep(0.2)
            assert told.events == []
        await told.until(told.paths)
        (event,) = told.events
    found = (root / "red/a.nxs").stat()
    assert (event.source, event.instance, event.storage, event.path) == ("watched", "demo", "beamline", "red/a.nxs")
    assert (event.size, event.time) == (4, datetime.fromtimestamp(found.st_mtime, UTC))
    assert event.file_id == f"red/a.nxs|4|{found.st_mtime_ns}|{found.st_ino}"


@pytest.mark.parametrize("name", ["a.nxs.tmp", ".a.nxs.x7Gh"], ids=["tmp", "hidden"])
async def test_a_file_renamed_from_its_temporary_name_is_told_of_once(root, name):
    async with watching(root) as told:
        write(root / "red" / name).rename(root / "red/a.nxs")
        await told.until(told.paths)
        await asyncio.sleep(2 * SETTLE_S)
        assert [(event.kind, event.path) for event in told.events] == [("closed", "red/a.nxs")]


async def test_a_file_moved_into_the_folder_from_elsewhere_is_told_of_at_once(root, tmp_path):
    async with watching(root) as told:
        write(tmp_path / "elsewhere.nxs").rename(root / "red/a.nxs")
        await told.until(lambda: told.paths() == ["red/a.nxs"])


async def test_a_folder_moved_into_place_is_told_of_with_all_its_files(root, tmp_path):
    for name in ("a.nxs", "deep/b.nxs", "c.tmp"):
        write(tmp_path / "scan" / name)
    async with watching(root) as told:
        (tmp_path / "scan").rename(root / "red/scan")
        await told.until(lambda: sorted(told.paths()) == ["red/scan/a.nxs", "red/scan/deep/b.nxs"])


async def test_files_in_new_folders_are_told_of_also_those_written_before_the_kernel_watched_them(root):
    names = sorted(f"red/scan{scan}/deep/{number}.nxs" for scan in range(10) for number in range(3))
    async with watching(root) as told:
        for name in names:
            write(root / name)
        await told.until(lambda: sorted(set(told.paths())) == names)


async def test_a_file_rewritten_is_a_new_version(root):
    async with watching(root) as told:
        write(root / "red/a.nxs")
        await told.until(told.paths)
        write(root / "red/a.nxs", "more counts")
        await told.until(lambda: len({event.file_id for event in told.events}) == 2)


@pytest.mark.parametrize("name", ["red/a.tmp", "red/.a.nxs", "red/.cache/a.nxs", "red/x.tmp/a.nxs"])
async def test_temporary_and_hidden_names_are_not_told_of(root, name):
    write(root / name)
    async with watching(root) as told:
        write(root / name, "again")
        write(root / "red/last.nxs")
        await told.until(told.paths)
        await asyncio.sleep(3 * SETTLE_S)
        assert set(told.paths()) == {"red/last.nxs"}


async def test_what_is_ignored_can_be_said(root):
    async with watching(root, ignore=("*.log",)) as told:
        write(root / "red/a.log")
        write(root / "red/a.tmp")
        await told.until(told.paths)
        assert told.paths() == ["red/a.tmp"]


@pytest.mark.promise("bad input")
async def test_links_are_not_followed(root, tmp_path):
    outside = write(tmp_path / "outside/a.nxs")
    (root / "red/link.nxs").symlink_to(outside)
    (root / "red/folder").symlink_to(outside.parent)
    async with watching(root) as told:
        write(root / "red/last.nxs")
        await asyncio.sleep(3 * SETTLE_S)
        assert set(told.paths()) == {"red/last.nxs"}


@pytest.mark.promise("bad input")
async def test_a_name_that_is_not_utf8_is_told_in_text_whether_the_kernel_or_a_scan_found_it(root):
    (root / os.fsdecode(b"red/before \xff.nxs")).write_text("counts")
    async with watching(root) as told:
        write(root / os.fsdecode(b"red/\xfe/after.nxs"))
        await told.until(lambda: len(told.paths()) == 2)
        assert set(told.paths()) == {r"red/before \xff.nxs", r"red/\xfe/after.nxs"}


@pytest.mark.promise("bad input")
async def test_a_path_too_long_for_the_store_is_said_in_the_log(root, caplog):
    deep = root.joinpath(*["d" * 200] * 10)
    async with watching(root) as told:
        write(deep / "a.nxs")
        write(deep / "a.nxs", "again")
        await told.until(lambda: "longer than 2000 bytes" in caplog.text)
        await asyncio.sleep(2 * SETTLE_S)
        assert caplog.text.count("longer than 2000 bytes") == 1
        assert told.events == []


# Removal


async def test_a_removed_file_is_told_of(root):
    write(root / "red/a.nxs")
    async with watching(root) as told:
        (root / "red/a.nxs").unlink()
        await told.until(lambda: told.paths("removed") == ["red/a.nxs"])


async def test_a_renamed_file_is_removed_there_and_new_here(root):
    async with watching(root) as told:
        write(root / "red/a.nxs").rename(root / "red/b.nxs")
        await told.until(lambda: told.paths("removed") == ["red/a.nxs"] and "red/b.nxs" in told.paths())


async def test_a_file_that_is_there_again_is_not_told_of_as_removed(root):
    async with watching(root) as told:
        for _ in range(5):
            write(root / "red/a.nxs").unlink()
        write(root / "red/a.nxs")
        await told.until(lambda: told.events and told.events[-1].kind == "closed")
        await asyncio.sleep(0.2)
        assert told.events[-1].kind == "closed"


@pytest.mark.parametrize("how", ["deleted", "moved out"])
async def test_a_folder_that_goes_is_told_of(root, tmp_path, how):
    write(root / "red/scan/a.nxs")
    async with watching(root) as told:
        if how == "deleted":
            shutil.rmtree(root / "red/scan")
        else:
            (root / "red/scan").rename(tmp_path / "elsewhere")
        await told.until(lambda: "red/scan" in told.paths("removed"))


async def test_of_a_folder_that_was_moved_away_and_made_anew_at_once_the_old_files_are_gone(root, tmp_path):
    async with watching(root) as told:
        write(root / "red/scan/old.nxs")
        await told.until(told.paths)
        (root / "red/scan").rename(tmp_path / "archive")
        write(root / "red/scan/new.nxs")
        await told.until(lambda: "red/scan/new.nxs" in told.paths() and "red/scan" in told.paths("removed"))
        order = [(event.kind, event.path) for event in told.events]
        assert order.index(("closed", "red/scan/old.nxs")) < order.index(("removed", "red/scan"))
        assert order[-1] == ("closed", "red/scan/new.nxs")


@pytest.mark.parametrize("earlier", [True, False], ids=["told of before", "told of together"])
async def test_of_a_folder_that_was_moved_away_and_back_the_files_are_there(root, earlier):
    source = FilesystemSource("watched", "beamline", "demo", root, SETTLE_S)
    closed, removed = ("closed", str(write(root / "red/scan/a.nxs"))), ("removed", str(root / "red/scan"))
    write(root / "red/scan/unfinished.nxs")
    if earlier:
        await source._tell(Told(), source._heard((closed,)))
    events = source._heard((removed,) if earlier else (closed, removed))
    told = [(event.kind, event.path) for event in events[-2:]]
    assert told == [("removed", "red/scan"), ("closed", "red/scan/a.nxs")]


async def test_a_storage_that_goes_away_ends_the_source_so_that_it_is_started_again(root, tmp_path):
    source = FilesystemSource("watched", "beamline", "demo", root, SETTLE_S)
    running = asyncio.create_task(source.run(Told()))
    await asyncio.sleep(0.3)
    root.rename(tmp_path / "unmounted")
    write(tmp_path / "unmounted/red/a.nxs").unlink()
    with pytest.raises(FileNotFoundError):
        await asyncio.wait_for(running, SHORT_S)


async def test_a_storage_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        await FilesystemSource("watched", "beamline", "demo", tmp_path / "gone").run(Told())


async def test_a_source_that_the_kernel_is_not_heard_by_any_more_ends_so_that_it_is_started_again(root, monkeypatch):
    monkeypatch.setattr(filesystem, "CHECK_S", 0.05)
    made: list[KernelNews] = []
    start = KernelNews.start
    monkeypatch.setattr(KernelNews, "start", lambda self: made.append(self) or start(self))
    running = asyncio.create_task(FilesystemSource("watched", "beamline", "demo", root, SETTLE_S).run(Told()))
    await asyncio.sleep(0.3)
    made[0]._observer._inotify_fd.stop()
    with pytest.raises(OSError, match="not heard any more"):
        await asyncio.wait_for(running, SHORT_S)


async def test_a_folder_may_take_the_place_of_one_that_was_moved_away(root, tmp_path):
    before = set(threading.enumerate())
    async with watching(root) as told:
        for name in ("red/next/1.nxs", "red/now/1.nxs"):
            write(root / name)
            await told.until(lambda name=name: name in told.paths())
        (root / "red/now").rename(tmp_path / "archive")
        await told.until(lambda: "red/now" in told.paths("removed"))
        (root / "red/next").rename(root / "red/now")
        await told.until(lambda: "red/next" in told.paths("removed"))
        write(root / "red/now/2.nxs")
        await told.until(lambda: "red/now/2.nxs" in told.paths())
    assert not [
        thread for thread in set(threading.enumerate()) - before if isinstance(thread, InotifyFD | InotifyObserver)
    ]


@pytest.mark.parametrize("seed", range(3))
async def test_after_any_moves_what_is_there_and_only_that_was_told_of_last(root, tmp_path, seed):
    chance, places = random.Random(seed), ("a", "b", "a/x", "b/x")  # noqa: S311

    def step(number: int) -> None:
        folder, file = root / chance.choice(places), chance.choice(places) + f"/{chance.randrange(4)}"
        do = chance.choice(
            [
                *[lambda: write(root / file, "x" * number)] * 4,
                lambda: folder.rename(root / chance.choice(places)),
                lambda: folder.rename(tmp_path / str(number)),
                lambda: write(tmp_path / f"new{number}/deep/f").parent.parent.rename(folder),
                lambda: (root / file).rename(folder / "moved"),
                lambda: shutil.rmtree(folder),
            ]
        )
        with contextlib.suppress(OSError):
            do()

    def holds() -> bool:
        last: dict[str, str] = {}
        for event in told.events:
            below = [path for path in last if f"{path}/".startswith(f"{event.path}/")]
            last |= {event.path: event.file_id} if event.kind == "closed" else dict.fromkeys(below, "")
        return {path: name for path, name in last.items() if name} == {
            path: identity(path, found.st_size, found.st_mtime_ns, found.st_ino)
            for path, found in ((str(one.relative_to(root)), one.stat()) for one in root.rglob("*") if one.is_file())
        }

    async with watching(root) as told:
        for number in range(60):
            await asyncio.to_thread(step, number)
            await asyncio.sleep(chance.choice([0, 0, 0, 0.03]))
        await told.until(holds)


# Scans


@pytest.mark.promise("bad input")
@pytest.mark.parametrize(("written", "year"), [(1e12, 9999), (-1e9, 1970)], ids=["in 33658", "before 1970"])
async def test_a_file_that_says_it_was_written_at_no_time_keeps_no_other_from_being_told(written, year):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        root = Path(folder)
        os.utime(write(root / "red/a.nxs"), (written, written))
        write(root / "red/b.nxs")
        async with watching(root) as told:
            await told.until(lambda: sorted(told.paths()) == ["red/a.nxs", "red/b.nxs"])
    assert {event.path: event.time.year for event in told.events}["red/a.nxs"] == year


@pytest.mark.promise("power, disks, clocks")
async def test_a_restart_misses_nothing_that_came_meanwhile(root):
    write(root / "red/before.nxs")
    async with watching(root) as told:
        await told.until(told.paths)
    write(root / "red/meanwhile.nxs")
    async with watching(root) as told:
        await told.until(lambda: sorted(told.paths()) == ["red/before.nxs", "red/meanwhile.nxs"])


async def test_a_file_that_still_grows_is_found_complete_by_looking_twice_and_not_by_the_storages_clock(root):
    path = write(root / "red/a.nxs")
    source = FilesystemSource("watched", "beamline", "demo", root, SETTLE_S)
    for size in range(5):
        path.write_text("x" * size)
        os.utime(path, (1, 1))  # a clock that is far behind, so that every file seems to be old
        assert source._look([str(path)]) == []
        await asyncio.sleep(SETTLE_S / 2)
    assert source._look([str(path)]) == []
    await asyncio.sleep(SETTLE_S)
    complete = source._look([str(path)])
    assert [event.path for event in complete] == ["red/a.nxs"]


@pytest.mark.promise("power, disks, clocks")
async def test_where_the_kernel_tells_nothing_scans_find_the_files(root, monkeypatch):
    monkeypatch.setattr(KernelNews, "on_any_event", lambda *_: None)
    async with watching(root, rescan=0.05) as told:
        write(root / "red/scan/a.nxs")
        await told.until(lambda: told.paths() == ["red/scan/a.nxs"])
        await asyncio.sleep(4 * SETTLE_S)
        assert told.paths() == ["red/scan/a.nxs"]


@pytest.mark.promise("power, disks, clocks")
async def test_where_the_kernel_cannot_watch_scans_do_and_the_log_says_what_to_raise(root, monkeypatch, caplog):
    def no_space_left(*_, **__):
        raise OSError(28, "inotify watch limit reached")

    monkeypatch.setattr("watchdog.observers.inotify.InotifyObserver.start", no_space_left)
    async with watching(root, rescan=None) as told:
        write(root / "red/a.nxs")
        await told.until(told.paths)
    assert "fs.inotify.max_user_watches" in caplog.text


@pytest.mark.promise("power, disks, clocks")
async def test_after_an_overflow_of_the_kernels_queue_the_folder_is_scanned(root, monkeypatch, caplog):
    made: list[KernelNews] = []
    start = KernelNews.start
    monkeypatch.setattr(KernelNews, "start", lambda self: made.append(self) or start(self))
    async with watching(root) as told:
        with monkeypatch.context() as deaf:
            deaf.setattr(KernelNews, "on_any_event", lambda *_: None)
            write(root / "red/lost.nxs")
            await asyncio.sleep(0.2)
        assert told.events == []
        lost = InotifyEvent(-1, InotifyConstants.IN_Q_OVERFLOW, 0, b"")
        made[0]._observer._inotify_fd.handle_event(lost)
        await told.until(lambda: told.paths() == ["red/lost.nxs"])
    assert f"the kernel lost news of {root}" in caplog.text


@pytest.mark.promise("power, disks, clocks")
async def test_in_a_flood_of_overflows_the_folder_is_watched_anew_once_and_said_to_be_scanned_once(
    root, monkeypatch, caplog
):
    made: list[KernelNews] = []
    start = KernelNews.start
    monkeypatch.setattr(KernelNews, "start", lambda self: made.append(self) or start(self))
    async with watching(root) as told:
        for _ in range(20):
            made[-1]._put(("overflow", str(root)))
            await asyncio.sleep(0.03)
        write(root / "red/a.nxs")
        await told.until(lambda: "red/a.nxs" in told.paths())
    assert len(made) == 2
    assert caplog.text.count("the kernel lost news") <= 2


async def test_lost_news_ends_a_long_scan(root, monkeypatch):
    monkeypatch.setattr(filesystem, "BATCH", 1)
    for number in range(9):
        write(root / f"red/{number}.nxs")
    source = FilesystemSource("watched", "beamline", "demo", root, 60)
    source._news.put(("overflow", str(root)))
    await source._look_through(str(root), Told())
    assert len(source._settling) == 1


async def test_files_that_were_seen_early_in_a_long_scan_are_told_of_before_it_ends(root, monkeypatch):
    monkeypatch.setattr(filesystem, "BATCH", 1)
    for number in range(4):
        write(root / f"red/{number}.nxs")
    source, told, before = FilesystemSource("watched", "beamline", "demo", root, SETTLE_S), Told(), []
    look = source._look

    def slow(paths):
        before.append(told.paths())
        asyncio.run(asyncio.sleep(1.5 * SETTLE_S))
        return look(paths)

    monkeypatch.setattr(source, "_look", slow)
    await source._look_through(str(root), told)
    assert before[-1][:2] == ["red/0.nxs", "red/1.nxs"]


@pytest.mark.parametrize(("given", "apart"), [(600.0, 600.0), (None, SETTLE_S)], ids=["given", "not given"])
def test_the_time_between_scans_is_the_operators_also_where_a_watch_is_lacking(root, given, apart):
    source = FilesystemSource("watched", "beamline", "demo", root, SETTLE_S, rescan=given)
    source._heard((("unwatched", str(root / "red")),))
    assert source._rescan == apart


def test_scans_that_take_long_are_further_apart_and_the_log_says_so_once(root, caplog):
    source = FilesystemSource("watched", "beamline", "demo", root, SETTLE_S, rescan=10.0)
    assert [source._pause(looked_s) for looked_s in (1.0, 60.0, 61.0)] == [10.0, 120.0, 122.0]
    assert caplog.text.count(f"a scan of {root} takes 60 s, so that the next one begins 120 s later and not 10 s") == 1
    assert "61 s" not in caplog.text
    source._watched = True
    assert source._pause(60.0) == 1200.0


def test_a_folder_that_cannot_be_looked_at_is_said_once_and_again_after_it_was_fine(root, caplog):
    source, folder = FilesystemSource("watched", "beamline", "demo", root, SETTLE_S), root / "late"
    for _ in range(2):
        for _ in range(3):
            assert list(source._walk(str(folder))) == []
        folder.mkdir()
        assert list(source._walk(str(folder))) == []
        folder.rmdir()
    assert caplog.text.count("cannot be looked at") == 2


@pytest.fixture
def elsewhere(root, tmp_path):
    """A server's folder, which is mounted below the root; what is written to it is written by another computer."""
    (tmp_path / "server").mkdir()
    subprocess.run(["bindfs", "-o", "attr_timeout=0", tmp_path / "server", root / "red"], check=True)
    yield tmp_path / "server"
    subprocess.run(["umount", "--lazy", root / "red"], check=True)


@pytest.mark.promise("power, disks, clocks")
@pytest.mark.root
@pytest.mark.fuse
async def test_a_file_that_another_computer_writes_is_told_of_in_its_last_version_once_its_server_was_asked(
    root, elsewhere, monkeypatch
):
    opened, open_ = [], os.open
    monkeypatch.setattr(os, "open", lambda path, *rest, **more: opened.append(path) or open_(path, *rest, **more))
    async with watching(root, rescan=0.05) as told:
        for size in range(1, 11):
            write(elsewhere / "a.nxs", "x" * size)
            await asyncio.sleep(SETTLE_S / 3)
        await told.until(lambda: told.events and told.events[-1].size == 10)
    assert str(root / "red/a.nxs") in opened


# The sink


@pytest.mark.promise("power, disks, clocks")
async def test_what_the_store_did_not_take_is_told_again_until_it_did(root, monkeypatch):
    monkeypatch.setattr(filesystem, "RETRY_S", 0.05)
    told = Told()
    told.away = True
    async with watching(root, told):
        write(root / "red/a.nxs")
        await asyncio.sleep(0.3)
        told.away = False
        await told.until(told.paths)
    assert set(told.paths()) == {"red/a.nxs"}


async def test_many_files_come_in_batches(root):
    class Batches(Told):
        sizes: list[int] = []  # noqa: RUF012

        async def __call__(self, events, position=None) -> list[int]:
            self.sizes.append(len(events))
            return await super().__call__(events, position)

    for number in range(filesystem.BATCH + 20):
        write(root / f"red/{number}.nxs")
    async with watching(root, told := Batches()):
        await told.until(lambda: len(told.events) == filesystem.BATCH + 20)
    assert sorted(told.sizes) == [20, filesystem.BATCH]
