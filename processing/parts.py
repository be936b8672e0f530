"""Long lists of ids in parts, since a database bounds what one query may hold."""

from collections.abc import Iterator, Sequence


def parts(ids: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Up to ``size`` at a time, in their order.

    >>> list(parts([1, 2, 3], 2))
    [[1, 2], [3]]
    """
    for begin in range(0, len(ids), size):
        yield ids[begin : begin + size]
