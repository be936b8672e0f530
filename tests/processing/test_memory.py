import asyncio
import subprocess
import sys

import psutil

from beamhub.processing.memory import give_back

MB = 10**6
HEAPS = """
import ctypes, threading
from beamhub.processing.memory import keep_together
{first}
threads = [threading.Thread(target=lambda: bytes(10_000)) for _ in range(8)]
for thread in threads:
    thread.start()
    thread.join()
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
libc.malloc_info(0, ctypes.c_void_p(libc.fdopen(1, b"w")))
libc.fflush(None)
"""


async def test_memory_that_is_free_between_pieces_in_use_goes_back_to_the_computer():
    process = psutil.Process()
    pieces = [bytes(2000) for _ in range(100_000)]
    used = pieces[::50]
    before = process.memory_info().rss
    del pieces
    kept = process.memory_info().rss
    giving = asyncio.create_task(give_back(0.01))
    await asyncio.sleep(0.5)
    giving.cancel()
    after = process.memory_info().rss
    assert len(used) == 2000
    assert before - kept < 20 * MB, "nothing was kept that could be given back"
    assert before - after > 150 * MB


def test_threads_share_one_heap():
    def heaps(first: str) -> int:
        run = [sys.executable, "-c", HEAPS.format(first=first)]
        return subprocess.run(run, capture_output=True, text=True, check=True).stdout.count("<heap nr=")

    assert heaps("pass") > 1
    assert heaps("keep_together()") == 1
