"""FileEvent: what every source says of a file, whatever its own words were."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Kind = Literal["closed", "removed", "restored"]
LONGEST_PATH = 2000  # bytes; an index of PostgreSQL holds 2,700


@dataclass(frozen=True)
class FileEvent:
    """A file version became complete, was removed, or came back online.

    ``instance`` and ``file_id`` are the identity of the file version: the same pair seen twice is the same
    event. Where a storage gives no id, ``file_id`` is what :func:`identity` makes of path, size, time and inode.
    ``path`` is relative to the storage's root, with "/" between its parts, in the spelling of
    :mod:`beamhub.processing.spelling`. ``raw`` is the source's own message.
    """

    source: str
    instance: str
    file_id: str
    storage: str
    path: str
    size: int
    time: datetime
    kind: Kind = "closed"
    raw: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Position:
    """How far a source has been read; stored in the transaction that takes its events in."""

    source: str
    value: str


def identity(path: str, size: int, mtime_ns: int, inode: int) -> str:
    """Name one version of a file on a storage that gives its files no id.

    >>> identity("a/b.nxs", 3, 1700000000000000000, 42)
    'a/b.nxs|3|1700000000000000000|42'
    """
    return f"{path}|{size}|{mtime_ns}|{inode}"
