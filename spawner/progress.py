"""What is said to a person who waits for a server."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

REMIND = 10.0  # seconds without news until the time that passed is said


@dataclass(frozen=True)
class Step:
    """How far it is, of 100, and a sentence."""

    percent: int
    message: str


class Progress:
    """The steps of one start, for any number of pages that follow, also those that come late."""

    def __init__(self) -> None:
        self.begun = time.monotonic()
        self.steps = [Step(5, "Getting your server ready")]
        self._news = asyncio.Event()

    def say(self, percent: int, message: str) -> None:
        """A new step."""
        self.steps.append(Step(percent, message))
        self._news.set()
        self._news = asyncio.Event()

    async def follow(self) -> AsyncIterator[Step]:
        """All steps so far, then each new one, and the time that passed when there is nothing new; never ends."""
        said = 0
        while True:
            for step in self.steps[said:]:
                yield step
            said = len(self.steps)
            try:
                await asyncio.wait_for(self._news.wait(), REMIND)
            except TimeoutError:
                passed = time.monotonic() - self.begun
                yield Step(self.steps[-1].percent, f"{self.steps[-1].message} ({passed:.0f} s so far)")
