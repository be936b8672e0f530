"""ImageReader: pictures and values of outputs, made in processes of their own and kept for a while."""

import asyncio
import json
import queue
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from beamhub.processing.reading_child import Answer, ReadingChild

READERS = 2  # a file that hangs leaves one to the others
WITHIN_S = 20.0
MOST_WAITING = 40  # questions; more are refused, so that those who wait are answered in time
KEPT = 64 * 2**20  # bytes of answers
EACH = 1000  # bytes that an answer takes besides its content


class Busy(Exception):
    """Too many questions wait."""


class ImageReader:
    """Answers of :mod:`beamhub.processing.images`; the processes are started with the first questions."""

    def __init__(self, most_bytes: int = KEPT) -> None:
        self._most = most_bytes
        self._pool = ThreadPoolExecutor(READERS, "beamhub images")  # its own: others must not wait behind a file
        self._children = [ReadingChild("beamhub.processing.images") for _ in range(READERS)]
        self._free: queue.SimpleQueue[ReadingChild] = queue.SimpleQueue()
        for child in self._children:
            self._free.put(child)
        self._kept: OrderedDict[str, Answer] = OrderedDict()
        self._bytes = self._waiting = 0

    async def ask(self, make: str, path: Path, **how: Any) -> Answer:
        """What a function of ``images`` makes of an output; ``{"wrong": why}`` where it cannot be made.

        Raises:
            Busy: too many wait.
            NoAnswer: it took more than 20 s, or ended the process.
        """
        question = {"make": make, "path": str(path), **how}
        key = json.dumps(question)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        if self._waiting >= MOST_WAITING:
            raise Busy(f"{self._waiting} others wait for pictures; try again")
        self._waiting += 1
        try:
            answer = await asyncio.get_running_loop().run_in_executor(self._pool, self._read, question)
        finally:
            self._waiting -= 1
        self._keep(key, answer)
        return answer

    def close(self) -> None:
        """End the processes."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for child in self._children:
            child.close()

    def _read(self, question: dict[str, Any]) -> Answer:
        child = self._free.get()
        try:
            return child.ask(question, WITHIN_S)
        finally:
            self._free.put(child)

    def _keep(self, key: str, answer: Answer) -> None:
        if key in self._kept:
            return
        self._kept[key] = answer
        self._bytes += EACH + len(answer[1])
        while self._bytes > self._most:
            self._bytes -= EACH + len(self._kept.popitem(last=False)[1][1])
