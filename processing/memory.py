"""Memory that is free in this process goes back to the computer; the C library would keep pieces of it for each thread.

What stays are pages that are used in part: a service that takes five files a second still grows by some MB an hour.
"""

import asyncio
import ctypes

EVERY_S = 60.0


async def give_back(every_s: float = EVERY_S) -> None:
    """Give back what is free, again and again; where the C library is not glibc, it is left to what that does."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    while True:
        await asyncio.sleep(every_s)
        if trim is not None:
            await asyncio.to_thread(trim, 0)
