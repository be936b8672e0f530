"""Waiting for one start: until its server answers, or until there is evidence that it will not."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from beamhub.spawner import moments
from beamhub.spawner.errors import StartFailed
from beamhub.spawner.progress import Progress
from beamhub.spawner.reachable import speaks_http
from beamhub.spawner.sites.site import SiteMixin, Truth

TAKEN = "Somebody else's program listens at port {port} of {title}, which was to be your server's. "
UNREACHED = "Your server's job runs, and the Hub's computer ({host}) gets no answer from it at {place}"
LOADING = "Your server is there, its programs are being loaded"
AGAIN = "Your server runs, the Hub waits until it answers"
LAST_LINES = " Its last lines:\n"
LOOK = 0.5  # seconds between two looks at the snapshot's truth; news from the site come at once


class Bringup:
    """The wait for one start; ``give_up_at`` is a moment of ``moments.now``."""

    def __init__(self, child: SiteMixin, title: str, give_up_at: float) -> None:
        self.child, self.title, self.give_up_at = child, title, give_up_at
        self.steps = Progress()
        self._news = asyncio.Event()
        self._taken = ""
        self._unreached = ""
        self.began = False  # whether the job has: from then on the site's start_timeout counts

    def news(self) -> None:
        """Something changed: look again now."""
        self._news.set()

    def unreached(self, place: str) -> bool:
        """The job runs, and is not reached where it says it is, again and again; whether that is new."""
        said = UNREACHED.format(host=socket.gethostname(), place=place)
        if said == self._unreached:
            return False
        self._unreached = said
        self.steps.say(50, said)
        return True

    async def announcement(self, url: Callable[[], str]) -> str:
        """Wait for the job's address.

        Raises:
            StartFailed: it ended, or took longer than the site allows.
        """
        self.steps.say(30, f"Waiting for {self.title} to bring it up")
        said = ""
        while not url():
            if (waiting := self.child.waiting()) and waiting != said:
                self.steps.say(30, waiting)
                said = waiting
            await self._wait(LOOK)
        self._unreached = ""
        return url()

    async def answer(self, url: Callable[[], str], path: str, said: str = LOADING) -> None:
        """Wait until the server answers, and nobody else in its place.

        Its address may change meanwhile, when its port was lost.

        Raises:
            StartFailed: it ended, or took longer than the site allows.
        """
        self.steps.say(70, said)
        pause = 0.03
        while not await self._is_there(url(), path):
            await self._wait(pause)
            pause = min(pause * 1.3, LOOK)
        self.steps.say(100, "Your server answers")

    async def _is_there(self, url: str, path: str) -> bool:
        """Whether the server answers."""
        own = await is_there(url, path, self.child.listens)
        self._taken = "" if own is not False else TAKEN.format(port=urlsplit(url).port, title=self.title)
        return bool(own)

    async def _wait(self, seconds: float) -> None:
        begun = moments.now()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), seconds)
        self._news.clear()
        if self.child.away():
            self.give_up_at += moments.now() - begun
        if self.child.truth() is Truth.DEAD:
            raise StartFailed(await obituary(self.child, f"{self._taken}Your server ended while it was starting."))
        if not self.began and self.child.began():
            self.began = True
            self.give_up_at = min(self.give_up_at, moments.now() + self.child.site.config.start_timeout)
        if moments.now() > self.give_up_at:
            late = f"Your server did not come up in time at {self.title}. Try again, or choose another place."
            told = f"{self._unreached}. Show this to the operator. " if self._unreached else ""
            raise StartFailed(await obituary(self.child, self._taken + told + late))


async def is_there(url: str, path: str, listens: Callable[[str, int], Awaitable[bool | None]]) -> bool | None:
    """Whether the server answers: None when nothing does, False when it is somebody else.

    Who listens is looked at last: once the server listens, nobody else can.

    Args:
        url: where it should be.
        path: the server's own.
        listens: ``SiteMixin.listens``, of this server.
    """
    if not await speaks_http(url, path):
        return None
    place = urlsplit(url)
    return await listens(place.hostname or "", place.port or 0)


async def obituary(child: SiteMixin, message: str) -> str:
    """What happened, what to do, and the last lines of the server's log."""
    lines = await child.last_lines()
    if child.truth() is Truth.DEAD:
        how = child.end_in_words(lines) or in_words(child.exit_code())
        message += f" {how} Start it again; if it happens again, show this to the operator."
    return f"{message}{LAST_LINES}{lines}" if lines else message


def in_words(code: int) -> str:
    """An exit code; what a signal ended has its number with a minus.

    >>> in_words(7), in_words(-15)
    ('It ended with code 7.', 'It was ended from outside (SIGTERM).')
    """
    if code >= 0:
        return f"It ended with code {code}."
    if -code == signal.SIGKILL:
        return "It was killed from outside (SIGKILL), as the system does with what takes too much memory."
    names = {one.value: one.name for one in signal.Signals}
    return f"It was ended from outside ({names.get(-code, f'signal {-code}')})."
