"""Source: something that tells when files are complete."""

from collections.abc import Sequence
from typing import Protocol

from beamhub.processing.event import FileEvent, Position


class Sink(Protocol):
    """Takes events in; they are in the store when it returns, and only then may a source forget them."""

    async def __call__(self, events: Sequence[FileEvent], position: Position | None = None) -> list[int]:
        """Take events and the source's position in; the ids of files that were new."""
        ...


class Source(Protocol):
    """Tells of every file at least once, also of those that came while it was not running."""

    name: str

    async def run(self, sink: Sink) -> None:
        """Tell until cancelled."""
        ...
