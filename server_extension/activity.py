"""Activity: a kernel that computes keeps its server from being ended as idle, also while it prints nothing."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from jupyter_core.utils import ensure_async

log = logging.getLogger(__name__)
Kernels = list[Mapping[str, Any]]
LOOK_S = 5.0  # seconds between two looks at the kernels
SETTING = "beamhub_last_activity"  # jupyter-server takes what is called so for activity


def computes(kernels: Iterable[Mapping[str, Any]]) -> bool:
    """Whether any of these kernels, as jupyter-server lists them, has not ended what it was asked."""
    return any(kernel.get("execution_state") == "busy" for kernel in kernels)


async def watch(settings: dict[str, Any], kernels: Callable[[], Kernels | Awaitable[Kernels]]) -> None:
    """Until cancelled, keep in the server's ``settings`` when a kernel was last seen computing.

    ``kernels`` lists them, at once or later, as those of a gateway are; where it fails they are looked at again.
    """
    while True:
        try:
            if computes(await ensure_async(kernels())):
                settings[SETTING] = datetime.now(UTC)
        except Exception:  # whatever a kernel manager that an operator chose raises
            log.exception("the kernels could not be looked at; trying again in %g s", LOOK_S)
        await asyncio.sleep(LOOK_S)
