"""Watching a file that people write: a right change is taken, a wrong one leaves the last good one in force."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from beamhub.config.document import Document, read
from beamhub.config.mistakes import Mistakes

Model = TypeVar("Model", bound=BaseModel)


async def watch(
    path: Path,
    model: type[Model],
    on_change: Callable[[Document[Model]], None],
    on_mistakes: Callable[[Mistakes], None],
    interval: float = 2.0,
    known: str | None = None,
) -> None:
    """Look every ``interval`` seconds whether the file changed; runs until cancelled.

    Args:
        path: the file.
        model: what it is read as.
        on_change: gets each new right content.
        on_mistakes: gets the mistakes of each new wrong one, once.
        interval: seconds; a stat() each.
        known: the text that is in force, which may be older than the file; None is what the file holds now.
    """
    seen = await asyncio.to_thread(_stamp, path)  # a file system may hang; the loop must not
    if known is not None and await asyncio.to_thread(_text, path) != known:
        seen = ()
    while True:
        await asyncio.sleep(interval)
        now = await asyncio.to_thread(_stamp, path)
        if now == seen:
            continue
        seen = now
        try:
            document = await asyncio.to_thread(read, path, model)
        except Mistakes as error:
            on_mistakes(error)
        else:
            on_change(document)


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _stamp(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
