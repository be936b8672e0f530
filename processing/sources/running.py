"""The sources that run: started, and started anew when their part of processing.yaml changed."""

import asyncio
import logging
import time
from typing import Any

from beamhub.processing.settings import FilesystemSettings, Settings, SourceSettings, StorageSettings
from beamhub.processing.sources.filesystem import FilesystemSource
from beamhub.processing.sources.source import Sink, Source

log = logging.getLogger(__name__)
AGAIN_S = 5.0  # before a source that failed is started again


class RunningSources:
    """Runs what the settings say; sources that are posted to are routes, and need no running.

    Args:
        sink: takes their events in.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._tasks: dict[str, tuple[Any, asyncio.Task[None]]] = {}

    async def follow(self, settings: Settings) -> None:
        """Start what is new, end what is gone, both for what changed."""
        wanted = {
            name: (source, settings.storages[source.storage])
            for name, source in settings.sources.items()
            if isinstance(source, FilesystemSettings)
        }
        for name in [name for name, (parts, _) in self._tasks.items() if wanted.get(name) != parts]:
            await _end(self._tasks.pop(name)[1])
            log.info("source %s was ended", name)
        for name, parts in wanted.items():
            if name not in self._tasks:
                self._tasks[name] = parts, asyncio.create_task(self._run(name, *parts))
                log.info("source %s runs", name)

    async def close(self) -> None:
        """End all of them."""
        for _, task in self._tasks.values():
            await _end(task)
        self._tasks = {}

    async def _run(self, name: str, source: SourceSettings, storage: StorageSettings) -> None:
        said = ""
        while True:
            began = time.monotonic()
            try:
                await _source(name, source, storage).run(self._sink)
            except OSError as error:  # the storage is away: that is said once
                if str(error) != said or time.monotonic() - began > AGAIN_S:
                    log.error("source %s waits: %s; trying again every %g s", name, error, AGAIN_S)
                said = str(error)
            except Exception:  # whatever a source runs into, the others go on and this one is tried again
                log.exception("source %s failed; starting it again in %g s", name, AGAIN_S)
            await asyncio.sleep(AGAIN_S)


def _source(name: str, source: SourceSettings, storage: StorageSettings) -> Source:
    if not isinstance(source, FilesystemSettings):
        raise TypeError(f"source {name} does not run by itself")
    instance = storage.instance or source.storage
    ignore = tuple(source.ignore)
    return FilesystemSource(name, source.storage, instance, storage.root, source.settle, ignore, source.rescan)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
