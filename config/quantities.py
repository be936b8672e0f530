"""Durations and sizes as people write them: ``90s``, ``1h30m``, ``4G``."""

import re
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
LONGEST_S = 100 * 366 * 86400  # a century; more is a slip of the keyboard
LARGEST_BYTES = 2**63 - 1
BYTES = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?[smhd])+")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)


def parse_duration(value: object) -> float:
    """Seconds of a number, or of text such as ``90s``, ``1h30m``, ``2d``.

    Raises:
        PydanticCustomError: it is neither; a ValueError.

    >>> parse_duration("1h30m")
    5400.0
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= LONGEST_S:
        return float(value)
    if isinstance(value, str) and _DURATION.fullmatch(text := value.replace(" ", "")):
        seconds = sum(float(n) * SECONDS[unit] for n, unit in re.findall(r"([\d.]+)([smhd])", text))
        if seconds <= LONGEST_S:
            return seconds
    raise PydanticCustomError(
        "duration", "{value} is no duration; write it like 90s, 30m, 1h30m or 2d", {"value": repr(value)}
    )


def parse_size(value: object) -> int:
    """Bytes of a number, or of text such as ``512M``, ``4G`` (powers of 1024).

    Raises:
        PydanticCustomError: it is neither; a ValueError.

    >>> parse_size("4G")
    4294967296
    """
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_BYTES:
        return value
    if isinstance(value, str) and (found := _SIZE.fullmatch(value.strip())):
        size = float(found[1]) * BYTES[found[2].upper()]
        if size <= LARGEST_BYTES:
            return int(size)
    raise PydanticCustomError("size", "{value} is no size; write it like 512M, 4G or 1T", {"value": repr(value)})


def format_duration(seconds: float) -> str:
    """Text that :func:`parse_duration` reads back; below a minute with milliseconds, above in whole seconds.

    >>> format_duration(5400), format_duration(0.25)
    ('1h30m', '0.25s')
    """
    if seconds < 60:
        return f"{round(seconds, 3):g}s"
    left, parts = round(seconds), []
    for unit in ("d", "h", "m", "s"):
        count, left = divmod(left, SECONDS[unit])
        parts += [f"{count}{unit}"] if count else []
    return "".join(parts)


def format_size(size: int) -> str:
    """The size in the largest unit that it has one of, for people: to four digits.

    >>> format_size(4 * 2**30), format_size(1536 * 2**20)
    ('4G', '1.5G')
    """
    for unit in ("T", "G", "M", "K"):
        if size >= BYTES[unit]:
            return f"{size / BYTES[unit]:.4g}{unit}"
    return f"{size}"


Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "examples": ["90s", "1h30m"]}]}),
]
Size = Annotated[
    int,
    BeforeValidator(parse_size),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "examples": ["512M", "4G"]}]}),
]
