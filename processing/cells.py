"""What a file's column says of each of its runs, as a key that sorts: numbers first, then texts."""

import struct
from collections.abc import Iterator

from beamhub.processing.columns import Cell

LONGEST = 100  # characters of a text that it is sorted by
LAST = "\U0010ffff"  # sorts behind all others
NUMBER, TEXT = "0", "1"


def key_of(cell: Cell) -> str | None:
    """A text whose order among others is that of the cells; None where there is nothing.

    >>> sorted([2.5, "LaB6", -3.0, "agbh", 10.0], key=key_of)
    [-3.0, 2.5, 10.0, 'agbh', 'LaB6']
    """
    if cell is None:
        return None
    return number_key(cell) if isinstance(cell, int | float) else TEXT + cell.lower()[:LONGEST]


def number_key(number: float) -> str:
    """A number's bits in the order of the numbers: the sign is turned round, and of a negative one all else too."""
    (bits,) = struct.unpack(">Q", struct.pack(">d", number + 0.0))
    return f"{NUMBER}{bits ^ (2**64 - 1) if bits >> 63 else bits | 2**63:016x}"


def beginning(text: str) -> tuple[str, str]:
    """The first and the last key of texts that begin with one."""
    begin = TEXT + text.lower()[:LONGEST]
    return begin, begin + LAST


def keys(columns: dict[str, Cell]) -> Iterator[tuple[str, str]]:
    """Name and key of each column that has something."""
    return ((name, key) for name, cell in columns.items() if (key := key_of(cell)) is not None)
