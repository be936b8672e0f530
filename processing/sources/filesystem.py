"""A watched folder: files are complete when their writer closes them or moves them into place.

The kernel's news can be lost (its queue overflows, the service was not running, the file system gives none), so a scan
finds what was missed: a file that has not changed for ``settle`` seconds is complete. Both ways name a file version
alike, so a file that both find is taken in once.
"""

import asyncio
import fnmatch
import logging
import os
import queue
import stat
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from watchdog.events import (
    DirCreatedEvent,
    FileClosedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

from beamhub.processing.event import FileEvent, identity
from beamhub.processing.sources.source import Sink

log = logging.getLogger(__name__)
BATCH = 500  # events of one transaction
QUIET_S = 0.02  # how long a batch waits for more events
RESCAN_S = 60.0  # between two scans for what the kernel did not tell
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
        self._news: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        self._told: dict[str, tuple[int, int, int]] = {}
        self._young: dict[str, float] = {}  # folders whose first files the kernel may not tell of, and when to look

    async def run(self, sink: Sink) -> None:
        """Watch, scan and tell until cancelled; an outage of store or storage is waited for."""
        loop = asyncio.get_running_loop()
        woken = asyncio.Event()
        observer = Observer()
        observer.schedule(
            _Handler(self._news, lambda: loop.call_soon_threadsafe(woken.set)), str(self._root), recursive=True
        )
        await asyncio.to_thread(observer.start)
        next_scan = loop.time()
        try:
            while True:
                if loop.time() >= next_scan:
                    pending = await self._scan(sink, self._root)
                    next_scan = loop.time() + (self._settle if pending else self._rescan)
                await self._drain(sink)
                await self._scan_young(sink)
                woken.clear()
                if self._news.empty():
                    try:
                        next_look = min([next_scan, *self._young.values()])
                        async with asyncio.timeout(max(0.01, next_look - loop.time())):
                            await woken.wait()
                    except TimeoutError:
                        continue
                await asyncio.sleep(QUIET_S)
        finally:
            observer.stop()
            await asyncio.to_thread(observer.join, 5)

    async def _drain(self, sink: Sink) -> None:
        """Tell what the kernel said."""
        while not self._news.empty():
            batch: dict[tuple[str, str], None] = {}
            while not self._news.empty() and len(batch) < BATCH:
                kind, path = self._news.get()
                if kind == "folder":
                    self._young[path] = asyncio.get_running_loop().time() + self._settle
                else:
                    batch[kind, path] = None
            events = await asyncio.to_thread(self._events, tuple(batch))
            await self._tell(sink, events)

    async def _scan_young(self, sink: Sink) -> None:
        """Look into new folders: files closed before the kernel watched a folder were not told of."""
        now = asyncio.get_running_loop().time()
        for folder in [folder for folder, when in self._young.items() if now >= when]:
            del self._young[folder]
            if await self._scan(sink, Path(folder)):
                self._young[folder] = now + self._settle

    async def _scan(self, sink: Sink, folder: Path) -> bool:
        """Tell of complete files below a folder that were not told of; True if some were still changing."""
        events, pending = await asyncio.to_thread(self._look, folder)
        for begin in range(0, len(events), BATCH):
            await self._tell(sink, events[begin : begin + BATCH])
        return pending

    def _look(self, folder: Path) -> tuple[list[FileEvent], bool]:
        found, pending, now = [], False, datetime.now(UTC).timestamp()
        for path in self._walk(folder):
            event = self._event("closed", path)
            if event is None or event.file_id in self._told_ids(path):
                continue
            if now - event.time.timestamp() < self._settle:
                pending = True
            else:
                found.append(event)
        return found, pending

    def _told_ids(self, path: str) -> tuple[str, ...]:
        told = self._told.get(path)
        return (identity(self._relative(path), *told),) if told else ()

    def _walk(self, folder: Path) -> Iterator[str]:
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            log.warning("%s cannot be looked at: %s", folder, error)
            return
        for entry in entries:
            if self._ignored(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from self._walk(Path(entry.path))
            elif entry.is_file(follow_symlinks=False):
                yield entry.path

    def _events(self, told: tuple[tuple[str, str], ...]) -> list[FileEvent]:
        return [event for kind, path in told if (event := self._event(kind, path))]

    def _event(self, kind: str, path: str) -> FileEvent | None:
        """What to tell of a path now; None for what is no file, is ignored, or has a name that is not UTF-8."""
        relative = self._relative(path)
        if any(self._ignored(part) for part in relative.split("/")):
            return None
        if not _is_text(relative):
            log.warning("a file in %s has a name that is not UTF-8 and is not looked at: %r", self._root, relative)
            return None
        if kind == "removed":
            self._told.pop(path, None)
            return self._made("removed", relative, "", 0, datetime.now(UTC))
        try:
            found = os.stat(path, follow_symlinks=False)
        except OSError:
            return None
        if not stat.S_ISREG(found.st_mode):
            return None
        version = (found.st_size, found.st_mtime_ns, found.st_ino)
        when = datetime.fromtimestamp(found.st_mtime, UTC)
        return self._made("closed", relative, identity(relative, *version), found.st_size, when)

    def _made(self, kind: str, path: str, file_id: str, size: int, when: datetime) -> FileEvent:
        return FileEvent(
            self.name,
            self._instance,
            file_id,
            self._storage,
            path,
            size,
            when,
            "removed" if kind == "removed" else "closed",
        )

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
                _, size, mtime, inode = event.file_id.rsplit("|", 3)
                self._told[str(self._root / event.path)] = (int(size), int(mtime), int(inode))

    def _relative(self, path: str) -> str:
        return os.path.relpath(path, self._root)

    def _ignored(self, name: str) -> bool:
        return any(fnmatch.fnmatch(name, ignored) for ignored in self._ignore)


class _Handler(FileSystemEventHandler):
    """Passes on what concerns complete files, from watchdog's thread."""

    def __init__(self, news: "queue.SimpleQueue[tuple[str, str]]", wake: Callable[[], object]) -> None:
        self._news, self._wake = news, wake

    def on_any_event(self, event: FileSystemEvent) -> None:
        if isinstance(event, DirCreatedEvent):
            self._pass("folder", event.src_path)
        if event.is_directory and not isinstance(event, FileMovedEvent):
            return
        if isinstance(event, FileClosedEvent):
            self._pass("closed", event.src_path)
        elif isinstance(event, FileMovedEvent):
            if event.is_directory:
                self._below(os.fsdecode(event.dest_path))
            else:
                self._pass("removed", event.src_path)
                self._pass("closed", event.dest_path)
        elif isinstance(event, FileDeletedEvent):
            self._pass("removed", event.src_path)

    def _below(self, folder: str) -> None:
        for above, _, names in os.walk(folder):
            for name in names:
                self._pass("closed", os.path.join(above, name))

    def _pass(self, kind: str, path: str | bytes) -> None:
        self._news.put((kind, os.fsdecode(path)))
        self._wake()


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
