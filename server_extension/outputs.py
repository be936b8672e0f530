"""A run's output as a file of this machine: where it lies, or fetched through the service for a while."""

import asyncio
import json
import os
import tempfile
from collections import OrderedDict
from pathlib import Path

from beamhub.server_extension.service import ProcessingService

LARGEST = 512 * 2**20  # bytes of one output that is fetched
MOST = 1024 * 2**20  # bytes of all fetched outputs that are kept


class NotThere(Exception):
    """There is no such output that could be read here; ``code`` is what to answer."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Outputs:
    """Finds outputs; what was fetched is kept until newer ones need the room, and gone when the server ends."""

    def __init__(self, service: ProcessingService) -> None:
        self._service = service
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._kept: OrderedDict[int, Path] = OrderedDict()
        self._fetching: dict[int, asyncio.Task[Path]] = {}

    async def path(self, run: int) -> Path:
        """The output of a run; the service is asked each time whether the owner may still see it.

        Raises:
            NotThere: the service does not show the run, or it has no output, or one that is too large to fetch.
            Down: the service does not answer.
        """
        if (place := await self.seen(run)) is not None:
            return place
        if run in self._kept:
            self._kept.move_to_end(run)
            return self._kept[run]
        if run not in self._fetching:
            self._fetching[run] = asyncio.create_task(self._fetch(run))
            self._fetching[run].add_done_callback(lambda _: self._fetching.pop(run))
        return await asyncio.shield(self._fetching[run])

    async def seen(self, run: int) -> Path | None:
        """The output of a run where it lies, if it can be read there; raises as :meth:`path`."""
        answer = await self._service.send("GET", f"runs/{run}")
        if answer.code != 200:
            raise NotThere(answer.code, answer.message)
        place = json.loads(answer.body).get("output", "")
        return Path(place) if place and await asyncio.to_thread(os.access, place, os.R_OK) else None

    async def close(self) -> None:
        """Remove what was fetched."""
        for task in self._fetching.values():
            task.cancel()
        await asyncio.gather(*self._fetching.values(), return_exceptions=True)
        if self._folder is not None:
            self._folder.cleanup()

    async def _fetch(self, run: int) -> Path:
        self._folder = self._folder or tempfile.TemporaryDirectory(prefix="beamhub-outputs-")
        path = Path(self._folder.name) / f"{run}.h5"
        try:
            await self._write(run, path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        self._kept[run] = path
        while sum(kept.stat().st_size for kept in self._kept.values()) > MOST and len(self._kept) > 1:
            self._kept.popitem(last=False)[1].unlink(missing_ok=True)
        return path

    async def _write(self, run: int, path: Path) -> None:
        async with self._service.stream("GET", f"results/{run}/file") as (answer, parts):
            if answer.code != 200:
                raise NotThere(answer.code, answer.message)
            written = 0
            with path.open("wb") as file:
                async for part in parts:
                    written += file.write(part)
                    if written > LARGEST:
                        raise NotThere(
                            413, f"the output of run {run} is larger than {LARGEST} bytes: open it in Python"
                        )
