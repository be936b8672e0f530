"""The notice: why processing.yaml, as it was edited, is not in force; the tables of those who may see it say so."""

import asyncio

from beamhub.config.mistakes import Mistakes
from beamhub.processing.access import Identity, is_staff
from beamhub.processing.settings import Settings

LONGEST = 2000  # characters
BEGINS = "An edited processing.yaml is not right, and the last good one stays in force"


class Notice:
    """What is wrong now; whoever waits for a change of it is woken."""

    def __init__(self) -> None:
        self.text = ""
        self._changed = asyncio.Event()

    def put(self, error: Mistakes | None) -> None:
        """The mistakes of the newest file; None when it is right."""
        text = "" if error is None else "; ".join(str(error).splitlines())[:LONGEST]
        if text != self.text:
            self.text = text
            self._changed.set()
            self._changed = asyncio.Event()

    async def changes(self, within_s: float) -> bool:
        """Wait for a change; False when there was none in time."""
        try:
            async with asyncio.timeout(within_s):
                return await self._changed.wait()
        except TimeoutError:
            return False

    def told(self, settings: Settings, identity: Identity) -> str:
        """What somebody may read of it: the file names everybody's groups, so staff alone sees what is wrong."""
        if not self.text:
            return ""
        staff = settings.single_user or any(is_staff(settings, identity, name) for name in settings.storages)
        return f"{BEGINS}: {self.text}" if staff else f"{BEGINS}; the beamline's staff can see why."
