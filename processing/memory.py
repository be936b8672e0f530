"""Memory that is free in this process goes back to the computer; the C library would keep pieces of it."""

import asyncio
import ctypes

EVERY_S = 60.0
M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8  # as <malloc.h> has them
LARGE = 128 * 1024  # bytes; what is larger lies in pages of its own, and once it is free they are


def keep_together() -> None:
    """From now on threads share one heap, and what is large lies outside it, so that it does not grow by gaps.

    Where the C library is not glibc, it is left to what that does. Threads that allocated before keep their heaps.
    """
    option = getattr(ctypes.CDLL(None), "mallopt", None)
    if option is not None:
        option(M_ARENA_MAX, 1)
        option(M_MMAP_THRESHOLD, LARGE)


async def give_back(every_s: float = EVERY_S) -> None:
    """Give back what is free, again and again; where the C library is not glibc, it is left to what that does."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    while True:
        await asyncio.sleep(every_s)
        if trim is not None:
            await asyncio.to_thread(trim, 0)
