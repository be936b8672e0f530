"""A watched folder: files are complete when their writer closes them or moves them into place.

The kernel's news can be lost (its queue overflows, the service was not running, the file system gives none), so a scan
finds what was missed: a file that two looks, ``settle`` seconds apart, find unchanged is complete. Both ways name a
file version alike, so a file that both find is taken in once.
"""

import asyncio
import contextlib
import fnmatch
import logging
import os
import queue
import stat
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice, takewhile
from pathlib import Path

from beamhub.processing.event import LONGEST_PATH, FileEvent, Kind, identity
from beamhub.processing.sources.kernel import KernelNews, News
from beamhub.processing.sources.mounts import untold
from beamhub.processing.sources.source import Sink
from beamhub.processing.sources.told import ToldFiles
from beamhub.processing.spelling import spelled

log = logging.getLogger(__name__)
BATCH = 500  # events of one transaction
QUIET_S = 0.02  # how long a batch waits for more events
RESCAN_S = 60.0  # between two scans for what the kernel did not tell
BUSY = 20  # scans are that many times their own duration apart
ALONE = 2  # the same where nothing but scans finds files
ANEW_S = 5.0  # between two times that lost news has the folder watched anew, at first
CHECK_S = 5.0  # between two looks whether the kernel is listened to
RETRY_S = 2.0  # after the store or the storage refused
LAST_MOMENT = 253402214399.0  # seconds since 1970; a day later some zone has no date, and a file may say so


class FilesystemSource:
    """Watches a storage's folder and everything below it.

    Args:
        name: of the source.
        storage: of the storage, and its ``instance`` as events name it.
        root: the storage's folder.
        settle: seconds without change after which a scanned file is complete.
        ignore: patterns of file and folder names that are not looked at.
        rescan: seconds between two scans; by default 60, or ``settle`` if less where the kernel cannot tell of all.
    """

    def __init__(
        self,
        name: str,
        storage: str,
        instance: str,
        root: Path,
        settle: float = 2.0,
        ignore: tuple[str, ...] = ("*.tmp", ".*"),
        rescan: float | None = None,
    ) -> None:
        self.name = name
        self._storage, self._instance, self._root = storage, instance, root
        self._settle, self._ignore = settle, ignore
        self._given = rescan
        self._news: queue.SimpleQueue[News] = queue.SimpleQueue()
        self._told = ToldFiles()
        self._settling: dict[str, tuple[int, float]] = {}  # since when; the earliest first
        self._scans: dict[str, float] = {}
        self._said: set[str] = set()  # paths that the log told of
        self._said_s = 0.0  # the time between scans that the log told of
        self._untold: dict[Path, str] = {}
        self._watched = self._lacking = self._lost = False
        self._anew_at, self._patience_s = 0.0, ANEW_S

    async def run(self, sink: Sink) -> None:
        """Watch, scan and tell until cancelled; an outage of the store is waited for.

        Raises:
            OSError: the storage's folder is not there, or not any more, or nobody listens to the kernel any more.
        """
        woken = asyncio.Event()
        root = await asyncio.to_thread(_which, self._root)
        kernel = self._listener(woken)
        try:
            await self._listen(kernel)
            while True:
                woken.clear()
                await self._drain(sink)
                if self._gives_up():  # perhaps also of new folders, which nobody watches then
                    await asyncio.to_thread(kernel.stop)
                    kernel = self._listener(woken)
                    await self._listen(kernel)
                await self._scan(sink)
                await self._rest(woken)
                if self._watched and kernel.ended:
                    raise OSError(f"what the kernel tells of {self._root} is not heard any more; watch it anew")
                if await asyncio.to_thread(_which, self._root) != root:
                    raise OSError(f"{self._root} is another folder than before; watch it anew")
        finally:
            await asyncio.to_thread(kernel.stop)

    def _listener(self, woken: asyncio.Event) -> KernelNews:
        loop = asyncio.get_running_loop()
        return KernelNews(self._root, self._news, lambda: loop.call_soon_threadsafe(woken.set))

    async def _listen(self, kernel: KernelNews) -> None:
        """Listen from now on, and find what came before."""
        self._watched = await asyncio.to_thread(kernel.start)
        if self._watched:
            log.info("%s is watched", self._root)
        if self._lost:
            self._lost = False
            self._anew_at, self._patience_s = time.monotonic() + self._patience_s, 2 * self._patience_s
        self._plan(str(self._root), 0.0)

    def _gives_up(self) -> bool:
        """News was lost, so that all begins anew; in a flood ever more seldom, until a scan comes to its end."""
        return self._lost and time.monotonic() >= self._anew_at

    @property
    def _alone(self) -> bool:
        """Whether there are files that nothing but scans finds."""
        return bool(self._untold) or self._lacking or not self._watched

    @property
    def _rescan(self) -> float:
        return self._given or (min(RESCAN_S, self._settle) if self._alone else RESCAN_S)

    def _look_at_mounts(self) -> None:
        """What other computers write on a network file system is found by scans alone; it is mounted at any time."""
        before, self._untold = self._untold, untold(self._root)
        for place in self._untold.keys() - before.keys():
            log.warning(
                "nothing tells of what other computers write to %s (%s): %s is scanned %g s after each scan, and files "
                "are found so late; services that know when a file is complete can post events",
                place, self._untold[place], self._root, self._rescan,
            )  # fmt: skip

    async def _rest(self, woken: asyncio.Event) -> None:
        """Wait for news or the next scan."""
        times = [*self._scans.values(), *(since + self._settle for _, since in islice(self._settling.values(), 1))]
        wait = min([*times, *([self._anew_at] if self._lost else [])]) - time.monotonic()
        try:
            async with asyncio.timeout(min(max(QUIET_S, wait), CHECK_S)):
                await woken.wait()
                await asyncio.sleep(QUIET_S)
        except TimeoutError:
            return

    async def _drain(self, sink: Sink) -> None:
        """Tell what the kernel said."""
        while not self._news.empty():
            batch: dict[News, None] = {}
            while not self._news.empty() and len(batch) < BATCH:
                news = self._news.get()
                batch.pop(news, None)  # of two alike the later one counts
                batch[news] = None
            await self._tell(sink, await asyncio.to_thread(self._heard, tuple(batch)))

    def _heard(self, batch: tuple[News, ...]) -> list[FileEvent]:
        found: list[FileEvent] = []
        for kind, path in batch:
            if kind == "overflow":
                if not self._lost:
                    log.warning("the kernel lost news of %s; it is scanned", self._root)
                self._lost = True
            elif kind == "unwatched":
                self._scan_often(path)
            elif kind == "folder":
                self._plan(path, 0.0)
            elif kind == "removed":
                os.stat(self._root)
                found += self._removed(path, found)
            elif (event := self._closed(path)) is not None:
                found.append(event)
        return found

    def _scan_often(self, folder: str) -> None:
        """A folder is not watched: from now on scans find what is new, as where the kernel watches nothing."""
        if not self._lacking:
            told = (
                "the kernel has no watch left for %s; %s is scanned, which is slower; raise fs.inotify.max_user_watches"
            )
            log.warning(told, folder, self._root)
        self._lacking = True
        self._plan(str(self._root), self._rescan)

    def _plan(self, folder: str, after_s: float) -> None:
        """Scan a folder by then at the latest."""
        self._scans[folder] = min(self._scans.get(folder, float("inf")), time.monotonic() + after_s)

    async def _scan(self, sink: Sink) -> None:
        """Look through the folders that it is time for, and tell of what is complete and was not told of."""
        await self._look_again(sink)
        for folder in [folder for folder, when in self._scans.items() if when <= time.monotonic()]:
            if folder == str(self._root):
                await asyncio.to_thread(self._look_at_mounts)
            del self._scans[folder]
            looked_s = await self._look_through(folder, sink)
            if folder == str(self._root):
                self._plan(folder, self._pause(looked_s))
                if not self._gives_up():
                    self._patience_s = max(ANEW_S, looked_s)

    def _pause(self, looked_s: float) -> float:
        """How long to wait after a scan, seconds; the log says it where that is more than was wanted."""
        pause = max(self._rescan, (ALONE if self._alone else BUSY) * looked_s)
        if pause == self._rescan:
            self._said_s = 0.0
        elif not self._said_s / 2 < pause < self._said_s * 2:
            self._said_s = pause
            log.warning(
                "a scan of %s takes %.3g s, so that the next one begins %.3g s later and not %g s",
                self._root, looked_s, pause, self._rescan,
            )  # fmt: skip
        return pause

    async def _look_through(self, folder: str, sink: Sink) -> float:
        """Look at a folder's files, and meanwhile again at those whose time has come; how long it took, seconds."""
        paths, looked_s, count = self._walk(folder), 0.0, 1
        while count and not self._gives_up():
            count, some_s = await self._look_at(paths, sink)
            looked_s += some_s
            await self._look_again(sink)
        return looked_s

    async def _look_again(self, sink: Sink) -> None:
        """Look at the files that were seen ``settle`` ago."""
        until = time.monotonic() - self._settle
        due = [path for path, _ in takewhile(lambda seen: seen[1][1] <= until, self._settling.items())]
        paths = iter(due)
        for _ in range(0, len(due), BATCH):
            await self._look_at(paths, sink)

    async def _look_at(self, paths: Iterator[str], sink: Sink) -> tuple[int, float]:
        """Look at a few, so that the kernel's news does not wait for all; how many, and how long it took, seconds."""
        start = time.monotonic()
        some = await asyncio.to_thread(lambda: tuple(islice(paths, BATCH)))
        complete = await asyncio.to_thread(self._look, some)
        looked_s = time.monotonic() - start
        await self._tell(sink, complete)
        await self._drain(sink)
        return len(some), looked_s

    def _look(self, paths: Iterable[str]) -> list[FileEvent]:
        """Those of these files that did not change since an earlier look; others have to be seen again."""
        complete, seen, now = [], {}, time.monotonic()
        for path in paths:
            version, since = self._settling.get(path, (None, now))
            due = version is not None and now - since >= self._settle
            event = self._closed(path, asked=due and bool(self._untold))
            if event is None or event.file_id in self._told:
                self._settling.pop(path, None)
            elif version != hash(event.file_id):
                self._settling.pop(path, None)
                seen[path] = hash(event.file_id)
            elif due:
                del self._settling[path]
                complete.append(event)
        now = time.monotonic()
        self._settling.update((path, (version, now)) for path, version in seen.items())
        return complete

    def _walk(self, folder: str) -> Iterator[str]:
        """The files in a folder and in those below it, by name."""
        for name in self._names(folder):
            path = os.path.join(folder, name)
            if name.endswith("/"):
                yield from self._walk(path[:-1])
            else:
                yield path

    def _names(self, folder: str) -> list[str]:
        """What lies in a folder, those of folders with a slash: of a huge folder no more than the names is kept."""
        names = []
        try:
            with os.scandir(folder) as found:
                for entry in found:
                    if self._ignored(entry.name):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        names.append(f"{entry.name}/")
                    elif entry.is_file(follow_symlinks=False):
                        names.append(entry.name)
                    elif entry.is_symlink():
                        told = "%s is a symbolic link and is not looked at; move the file itself into place"
                        self._say(entry.path, told, entry.path)
        except OSError as error:
            self._say(folder, "%s cannot be looked at: %s", folder, error)
            return []
        self._said.discard(folder)
        return sorted(names)

    def _say(self, path: str, told: str, *values: object) -> None:
        """Say something of a path in the log, once."""
        if path not in self._said:
            self._said.add(path)
            log.warning(told, *values)

    def _closed(self, path: str, asked: bool = False) -> FileEvent | None:
        """What to tell of a path now, the file server asked or not; None for what is no file, or is not looked at."""
        relative = self._relative(path)
        if relative is None:
            return None
        try:
            found = _asked(path) if asked else os.stat(path, follow_symlinks=False)
        except OSError:
            return None
        if not stat.S_ISREG(found.st_mode):
            return None
        file_id = identity(relative, found.st_size, found.st_mtime_ns, found.st_ino)
        written = datetime.fromtimestamp(min(max(found.st_mtime, 0.0), LAST_MOMENT), UTC)
        return self._event("closed", relative, file_id, found.st_size, written)

    def _removed(self, path: str, before: list[FileEvent]) -> list[FileEvent]:
        """That a path is gone, of a file or of a folder with all in it; nothing if there is a file at it again.

        If there is a folder again, what was told of and is in this one is told of once more.
        """
        relative = self._relative(path)
        if relative is None:
            return []
        gone = self._event("removed", relative, "", 0, datetime.now(UTC))
        if os.path.isdir(path) and not os.path.islink(path):
            told = {event.file_id for event in before}
            there = [event for one in self._walk(path) if (event := self._closed(one)) is not None]
            return [gone, *(one for one in there if one.file_id in told or one.file_id in self._told)]
        return [] if os.path.lexists(path) else [gone]

    def _event(self, kind: Kind, path: str, file_id: str, size: int, when: datetime) -> FileEvent:
        return FileEvent(self.name, self._instance, file_id, self._storage, path, size, when, kind)

    def _relative(self, path: str) -> str | None:
        """A path below the root as events name it; None if it is not looked at."""
        relative = os.path.relpath(path, self._root)
        if any(self._ignored(part) for part in relative.split("/")):
            return None
        relative = spelled(relative)
        if len(relative.encode()) > LONGEST_PATH:
            told = "a path in %s is longer than %d bytes and is not looked at: %s…"
            self._say(path, told, self._root, LONGEST_PATH, path[:99])
            return None
        return relative

    def _ignored(self, name: str) -> bool:
        return any(fnmatch.fnmatchcase(name, ignored) for ignored in self._ignore)

    async def _tell(self, sink: Sink, events: list[FileEvent]) -> None:
        """Tell until it was taken: no event is dropped because the store is away."""
        while events:
            try:
                await sink(events)
            except Exception:  # the store is away or full; what was told has to wait, not to be forgotten
                log.exception("%d events were not taken in; trying again in %g s", len(events), RETRY_S)
                await asyncio.sleep(RETRY_S)
            else:
                break
        for event in events:
            if event.kind == "closed":
                self._told.add(event.file_id)


def _which(folder: Path) -> tuple[int, int]:
    """Tells a folder from another one that was mounted or moved to its place; what the kernel told was of that one."""
    found = os.stat(folder)
    return found.st_dev, found.st_ino


def _asked(path: str) -> os.stat_result:
    """What a file server says of a file now: NFS clients ask it when a file is opened, and else answer from memory."""
    with contextlib.suppress(OSError):  # it may not be read
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            return os.fstat(handle)
        finally:
            os.close(handle)
    return os.stat(path, follow_symlinks=False)
