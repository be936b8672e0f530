"""A watched folder: files are complete when their writer closes them or moves them into place.

The kernel's news can be lost (its queue overflows, the service was not running, the file system gives none), so a scan
finds what was missed: a file that two looks, ``settle`` seconds apart, find unchanged is complete. Both ways name a
file version alike, so a file that both find is taken in once.
"""

import asyncio
import fnmatch
import logging
import os
import queue
import stat
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from beamhub.processing.event import LONGEST_PATH, FileEvent, Kind, identity
from beamhub.processing.sources.kernel import KernelNews, News
from beamhub.processing.sources.source import Sink
from beamhub.processing.spelling import spelled

log = logging.getLogger(__name__)
BATCH = 500  # events of one transaction
QUIET_S = 0.02  # how long a batch waits for more events
RESCAN_S = 60.0  # between two scans for what the kernel did not tell
BUSY = 20  # scans take at most one part in so many of the time
CHECK_S = 5.0  # between two looks whether the kernel is listened to
RETRY_S = 2.0  # after the store or the storage refused


class FilesystemSource:
    """Watches a storage's folder and everything below it.

    Args:
        name: of the source.
        storage: of the storage, and its ``instance`` as events name it.
        root: the storage's folder.
        settle: seconds without change after which a scanned file is complete.
        ignore: patterns of file and folder names that are not looked at.
        rescan: seconds between two scans.
    """

    def __init__(
        self,
        name: str,
        storage: str,
        instance: str,
        root: Path,
        settle: float = 2.0,
        ignore: tuple[str, ...] = ("*.tmp", ".*"),
        rescan: float = RESCAN_S,
    ) -> None:
        self.name = name
        self._storage, self._instance, self._root = storage, instance, root
        self._settle, self._ignore, self._rescan = settle, ignore, rescan
        self._news: queue.SimpleQueue[News] = queue.SimpleQueue()
        self._told: set[int] = set()  # hashes of file ids: a million of them must fit
        self._settling: dict[str, tuple[str, float]] = {}
        self._scans: dict[str, float] = {}
        self._links: set[str] = set()  # that were told of

    async def run(self, sink: Sink) -> None:
        """Watch, scan and tell until cancelled; an outage of the store is waited for.

        Raises:
            OSError: the storage's folder is not there, or not any more, or nobody listens to the kernel any more.
        """
        loop, woken = asyncio.get_running_loop(), asyncio.Event()
        os.stat(self._root)
        kernel = KernelNews(self._root, self._news, lambda: loop.call_soon_threadsafe(woken.set))
        watched = await asyncio.to_thread(kernel.start)
        if not watched:
            self._rescan = self._settle
        self._plan(str(self._root), 0.0)
        try:
            while True:
                woken.clear()
                await self._drain(sink)
                await self._scan(sink)
                await self._rest(woken)
                if watched and kernel.ended:
                    raise OSError(f"what the kernel tells of {self._root} is not heard any more; watch it anew")
        finally:
            await asyncio.to_thread(kernel.stop)

    async def _rest(self, woken: asyncio.Event) -> None:
        """Wait for news or the next scan."""
        wait = min(self._scans.values(), default=self._rescan + time.monotonic()) - time.monotonic()
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
                log.warning("the kernel lost news of %s; it is scanned", self._root)
                self._plan(str(self._root), 0.0)
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
        if self._rescan > self._settle:
            told = (
                "the kernel has no watch left for %s; %s is scanned, which is slower; raise fs.inotify.max_user_watches"
            )
            log.warning(told, folder, self._root)
        self._rescan = self._settle
        self._plan(str(self._root), self._settle)

    def _plan(self, folder: str, after_s: float) -> None:
        """Scan a folder by then at the latest."""
        self._scans[folder] = min(self._scans.get(folder, float("inf")), time.monotonic() + after_s)

    async def _scan(self, sink: Sink) -> None:
        """Look through the folders that it is time for, and tell of what is complete and was not told of."""
        for folder in [folder for folder, when in self._scans.items() if when <= time.monotonic()]:
            del self._scans[folder]
            start = time.monotonic()
            complete, settling = await asyncio.to_thread(self._look, folder)
            for begin in range(0, len(complete), BATCH):
                await self._tell(sink, complete[begin : begin + BATCH])
            if settling:
                self._plan(folder, self._settle)
            elif folder == str(self._root):
                self._plan(folder, max(self._rescan, BUSY * (time.monotonic() - start)))

    def _look(self, folder: str) -> tuple[list[FileEvent], bool]:
        """Files below a folder that did not change since an earlier look; and whether others have to be seen again."""
        complete, settling, now = [], False, time.monotonic()
        for path in self._walk(folder):
            event = self._closed(path)
            if event is None or hash(event.file_id) in self._told:
                self._settling.pop(path, None)
                continue
            version, since = self._settling.get(path, ("", now))
            if version != event.file_id:
                self._settling[path] = event.file_id, now
                settling = True
            elif now - since < self._settle:
                settling = True
            else:
                del self._settling[path]
                complete.append(event)
        return complete, settling

    def _walk(self, folder: str) -> Iterator[str]:
        try:
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            log.warning("%s cannot be looked at: %s", folder, error)
            return
        for entry in entries:
            if self._ignored(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from self._walk(entry.path)
            elif entry.is_file(follow_symlinks=False):
                yield entry.path
            elif entry.is_symlink() and entry.path not in self._links:
                self._links.add(entry.path)
                log.warning("%s is a symbolic link and is not looked at; move the file itself into place", entry.path)

    def _closed(self, path: str) -> FileEvent | None:
        """What to tell of a path now; None for what is no file, or is not looked at."""
        relative = self._relative(path)
        if relative is None:
            return None
        try:
            found = os.stat(path, follow_symlinks=False)
        except OSError:
            return None
        if not stat.S_ISREG(found.st_mode):
            return None
        file_id = identity(relative, found.st_size, found.st_mtime_ns, found.st_ino)
        return self._event("closed", relative, file_id, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))

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
            return [gone, *(one for one in there if one.file_id in told or hash(one.file_id) in self._told)]
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
            log.warning(
                "a path in %s is longer than %d bytes and is not looked at: %s…", self._root, LONGEST_PATH, path[:99]
            )
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
                self._told.add(hash(event.file_id))
