"""Progress: how far something long is, in the log, so that whoever waits for it knows that it goes on."""

import logging
import time

log = logging.getLogger(__name__)
EACH_S = 3.0  # seconds between two lines; what takes less says nothing


class Progress:
    """``what`` is being done to ``total`` things: "adding cells of runs: 120,000 of 1,000,000"."""

    def __init__(self, what: str, total: int) -> None:
        self.what, self.total = what, total
        self._said = time.monotonic()

    def at(self, done: int) -> None:
        """So many are done."""
        if time.monotonic() - self._said >= EACH_S:
            self._said = time.monotonic()
            log.info("%s: %s of %s", self.what, f"{done:,}", f"{self.total:,}")
