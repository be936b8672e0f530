"""KernelNews: what inotify tells of a folder, through watchdog, and that it lost something."""

import errno
import logging
import os
import queue
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.api import EventDispatcher
from watchdog.observers.inotify import InotifyObserver
from watchdog.utils import BaseThread

log = logging.getLogger(__name__)
# watchdog tells of an overflow by a line of this logger only
WATCHDOG = logging.getLogger("watchdog.observers.inotify_c")

# not FileModified and the like: a file that is written in many parts would fill the kernel's queue
WANTED: list[type[FileSystemEvent]] = [
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileDeletedEvent,
    FileMovedEvent,
]
News = tuple[Literal["closed", "removed", "folder", "overflow", "unwatched"], str]


class KernelNews(FileSystemEventHandler):
    """Puts news into a queue, from threads of its own.

    ``closed``: a file was closed after writing, or moved to this path. ``removed``: a file or folder is not at this
    path any more. ``folder``: a folder is new, and what was written into it before it was watched is not told of.
    ``overflow``: news was lost. ``unwatched``: the kernel has no watch left for this folder.
    """

    def __init__(self, root: Path, news: "queue.SimpleQueue[News]", wake: Callable[[], object]) -> None:
        self._root, self._news, self._wake = root, news, wake
        self._observer = InotifyObserver(generate_full_events=True)  # else a move into the folder looks like a creation

    def start(self) -> bool:
        """Begin; False if the kernel cannot watch this folder."""
        WATCHDOG.addFilter(self._hear_of_overflow)
        WATCHDOG.setLevel(logging.WARNING)
        # a new folder that watchdog finds twice is none to warn of, in a line that holds the names of all folders
        warnings.filterwarnings("ignore", "Callback with id", RuntimeWarning)
        self._observer.schedule(self, str(self._root), recursive=True, event_filter=WANTED)
        self._hear_of_missing_watches()
        try:
            self._observer.start()
        except OSError as error:
            log.warning(
                "%s cannot be watched (%s) and is scanned instead, which is slower; "
                "raise fs.inotify.max_user_watches and max_user_instances",
                self._root,
                error,
            )
            return False
        return True

    @property
    def ended(self) -> bool:
        """Whether nobody listens any more; watchdog's threads do not survive all that can happen to folders."""
        return not all(thread.is_alive() for thread in (self._observer, self._reading_thread, *self._observer.emitters))

    def stop(self) -> None:
        """End."""
        WATCHDOG.removeFilter(self._hear_of_overflow)
        try:
            self._observer.stop()
        except KeyError:  # watchdog stumbles over a folder that was moved to where another one had been,
            self._reading_thread.stop()  # before it let go of the kernel and of its own threads
            self._observer.event_queue.put_nowait(EventDispatcher.stop_event)
        for thread in (self._reading_thread, self._observer):
            if thread.is_alive():
                thread.join(5)

    @property
    def _reading_thread(self) -> BaseThread:
        return self._observer._inotify_fd  # noqa: SLF001  # watchdog shows it in no other way

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Pass on what concerns complete files."""
        source, target = os.fsdecode(event.src_path), os.fsdecode(event.dest_path or b"")
        if isinstance(event, FileClosedEvent):
            self._put(("closed", source))
        elif isinstance(event, FileMovedEvent):  # without source or target where that is not in the folder
            self._put(("removed", source), ("closed", target))
        elif isinstance(event, DirMovedEvent):
            self._put(("removed", source), *(("closed", path) for path in _files(target)))
        elif isinstance(event, FileDeletedEvent | DirDeletedEvent):
            self._put(("removed", source))
        elif isinstance(event, DirCreatedEvent):
            self._put(("folder", source))

    def _hear_of_missing_watches(self) -> None:
        """Watchdog passes over folders below the root that cannot be watched, without a word."""
        reader: Any = self._reading_thread
        add, root = reader.add_callback, os.fsencode(self._root)

        def tell(path: bytes, *rest: Any) -> Any:
            try:
                return add(path, *rest)
            except OSError as error:
                if error.errno == errno.ENOSPC and path.startswith(root + b"/"):
                    self._put(("unwatched", os.fsdecode(path)))
                raise

        reader.add_callback = tell

    def _hear_of_overflow(self, record: logging.LogRecord) -> bool:
        if "overflow" in record.getMessage().lower():
            self._put(("overflow", str(self._root)))
        return True

    def _put(self, *news: News) -> None:
        for one in news:
            if one[1]:
                self._news.put(one)
        try:
            self._wake()
        except RuntimeError:  # the loop is closed: nobody waits any more
            return


def _files(folder: str) -> list[str]:
    return [os.path.join(above, name) for above, _, names in os.walk(folder or os.devnull) for name in names]
