"""Jobs that are being cancelled: each by one task, until it is known to have ended."""

import asyncio
import contextlib
import logging
from typing import Any, Protocol

from beamhub.spawner import moments
from beamhub.spawner.errors import CannotLaunch
from beamhub.spawner.sites.commands import SiteDown
from beamhub.spawner.sites.judgement import ABSENT, Known, Verdict

log = logging.getLogger("beamhub.spawner")
# Seconds before each look after the first cancel (a server ends in 0.1 to 1 s), and after the others.
LOOKS: tuple[float, ...] = (0.2, 0.2, 0.2, 0.3, 0.4)
LATER = (0.7, 0.7)
HEARS = 1.0  # seconds before a look while a job still is to say that its server ended
ENDING = 0.1  # seconds that a job goes on after it said that its server ended
SURE = 2.0  # seconds after a cancel that was taken, until which a job that is nowhere may still come into sight
AFTER = 5.0  # seconds between two looks at a job that may end by itself
LOST = 180.0  # seconds after which a submit whose outcome was never known, and whose job is nowhere, did not happen
AT_ONCE = 16  # looks at a time


class Asked(Protocol):
    """The site whose jobs are cancelled."""

    name: str

    async def errand(self, user: str, request: dict[str, Any]) -> dict[str, Any]:
        """Have the launcher do something. Raises CannotLaunch."""

    async def ask_id(self, job: str, user: str) -> str:
        """The id of a job, "" where there is none. Raises SiteDown."""

    async def confirm(self, one: Known, verdict: Verdict) -> bool:
        """Ask for a job by its id."""


class Cancels:
    """The cancels of one site."""

    def __init__(self, site: Asked) -> None:
        self._site = site
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._heard: dict[str, asyncio.Event] = {}
        self._looks = asyncio.Semaphore(AT_ONCE)

    def jobs(self) -> set[str]:
        """Those that are being cancelled."""
        return set(self._tasks)

    def heard(self, job: str) -> None:
        """The job said something of its server: if it is being cancelled, it is looked at now."""
        if heard := self._heard.get(job):
            heard.set()

    def of(self, job: str, one: Known, after: float = 0.0, clean: bool = False) -> "asyncio.Task[None]":
        """The one task that cancels a job, as ``run`` does."""
        if job not in self._tasks:
            task = self._tasks[job] = asyncio.ensure_future(self.run(job, one, after, clean))
            task.add_done_callback(lambda _: (self._tasks.pop(job, None), self._heard.pop(job, None)))
        return self._tasks[job]

    async def run(self, job: str, one: Known, after: float = 0.0, clean: bool = False) -> None:
        """Cancel a job until it is known to have ended, or is nowhere any more; each refusal is said in the log.

        With ``after`` it may end by itself so many seconds long. With ``clean`` its files are removed with the first
        cancel: they were read, or are not to be. Only then: a home that hangs is not to keep the others from it.
        """
        pause, begun, taken, looks = 1.0, moments.now(), float("inf"), LOOKS
        while one.id and not one.dead and moments.now() < begun + after:
            await asyncio.sleep(min(after, AFTER))
            await self._site.confirm(one, Verdict.MISSING)
        heard, hears = self._heard.setdefault(job, asyncio.Event()), one.listening  # and so says when it ends
        while not one.dead:
            if not one.id:
                with contextlib.suppress(SiteDown):
                    one.id = await self._site.ask_id(job, one.user)
                    if not one.id and moments.now() - begun > LOST:
                        return  # it never was in the queue; one that comes later belongs to no server
            removes = clean and bool(one.id)  # a submit that still hangs would write them after it
            clean = clean and not removes
            try:
                request = {"verb": "cancel", "name": job, "id": one.id, "clean": removes}
                reply = await self._site.errand(one.user, request)
                taken, one.cleaned = min(taken, moments.now()), one.cleaned or reply.get("cleaned") is True
            except CannotLaunch as error:
                number, where = one.id, self._site.name
                log.error("%s (%s at %s) cannot be cancelled yet, it is tried again: %s", job, number, where, error)
            for wait in looks:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(heard.wait(), HEARS if hears else wait)
                    heard.clear()
                    hears = False
                    await asyncio.sleep(ENDING)
                if one.id:
                    async with self._looks:
                        await self._site.confirm(one, Verdict.MISSING)
                if one.dead or (one.missing > ABSENT and moments.now() > taken + SURE):
                    return
            looks = LATER
            await asyncio.sleep(pause)
            pause = min(pause * 2, 60.0)
