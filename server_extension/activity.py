"""Activity: a kernel that computes keeps its server from being ended as idle, also while it prints nothing."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

LOOK_S = 5.0  # seconds between two looks at the kernels
SETTING = "beamhub_last_activity"  # jupyter-server takes what is called so for activity


def computes(kernels: Iterable[Mapping[str, Any]]) -> bool:
    """Whether any of these kernels, as jupyter-server lists them, has not ended what it was asked."""
    return any(kernel.get("execution_state") == "busy" for kernel in kernels)


async def watch(settings: dict[str, Any], kernels: Callable[[], Iterable[Mapping[str, Any]]]) -> None:
    """Until cancelled, keep in the server's ``settings`` when a kernel was last seen computing."""
    while True:
        if computes(kernels()):
            settings[SETTING] = datetime.now(UTC)
        await asyncio.sleep(LOOK_S)
