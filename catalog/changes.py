"""A stream of changes that goes on where it was lost: what to ask for next, and how long to wait before it."""

import random
import time
from typing import Any

from httpx import Timeout
from httpx_sse import ServerSentEvent

from beamhub.catalog.errors import ServiceDown

SILENCE_S = 45.0  # the service says something every 20 s; after this the stream is taken for dead
CONNECT_S = 10.0
WAITS_S = (0.5, 1.0, 2.0, 5.0, 10.0)
STEADY_S = 10.0  # a stream that stood this long was no failure


class Follower:
    """The state of following, without the connection.

    Args:
        proposals: whose changes; none named means all that can be seen.
        after: the ``seq`` that is already known; None is from now on.
    """

    def __init__(self, proposals: tuple[str, ...], after: int | None) -> None:
        self._proposals = proposals
        self._last = None if after is None else str(after)
        self._failures = 0
        self._opened: float | None = None

    @property
    def request(self) -> dict[str, Any]:
        """How to ask for the stream now, as arguments for httpx-sse."""
        return {
            "method": "GET",
            "url": "changes",
            "params": [("proposal", name) for name in self._proposals],
            "headers": {} if self._last is None else {"Last-Event-ID": self._last},
            "timeout": Timeout(CONNECT_S, read=SILENCE_S),
        }

    def opened(self) -> ServerSentEvent:
        """The stream stands."""
        self._opened = time.monotonic()
        return ServerSentEvent("open", "")

    def heard(self, event: ServerSentEvent) -> ServerSentEvent:
        """An event came; the stream goes on behind it."""
        self._last = event.id or self._last
        return event

    def wait(self, error: Exception | None = None) -> float:
        """Seconds until the next try: growing, as long as the service asked for, and not the same for everybody."""
        if self._opened is not None and time.monotonic() - self._opened >= STEADY_S:
            self._failures = 0
        self._opened = None
        wait = WAITS_S[min(self._failures, len(WAITS_S) - 1)] * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        self._failures += 1
        asked = error.retry_after if isinstance(error, ServiceDown) else None
        return max(wait, asked or 0.0)
