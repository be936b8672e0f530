import asyncio

import psutil

from beamhub.processing.memory import give_back

MB = 10**6


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
