"""One service for one store: a second copy waits, and opens nothing meanwhile."""

import asyncio
import contextlib
import fcntl
import logging
from collections.abc import AsyncIterator
from pathlib import Path

from sqlalchemy.engine import make_url

from beamhub.processing.settings import Settings

log = logging.getLogger(__name__)
LOOK_S = 0.2  # between two tries


def lock_paths(settings: Settings) -> list[Path]:
    """Beside the database if that is a file, and in the results, which a copy of the store must not use meanwhile."""
    url = make_url(settings.store)
    beside = [Path(url.database + ".lock")] if url.get_backend_name() == "sqlite" and url.database else []
    return [*beside, settings.results / ".lock"]


@contextlib.asynccontextmanager
async def only_one(path: Path) -> AsyncIterator[None]:
    """Hold the lock; wait for whoever holds it. It goes with the process, however that ends."""
    await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
    with await asyncio.to_thread(path.open, "w") as file:
        told = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    log.warning("another copy of the service holds %s; waiting for it to end", path)
                    told = True
                await asyncio.sleep(LOOK_S)
        yield
