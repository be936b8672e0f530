"""Ends the Hub as by SIGKILL at a named point of a start or a stop.

The Hub's configuration calls ``end_at_points``; the point stands in the file ``point`` in the Hub's folder, and the
file goes with the first time that it is reached.
"""

import asyncio
import functools
import inspect
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from beamhub.spawner.announce import find
from beamhub.spawner.bringup import Bringup
from beamhub.spawner.hybrid import HybridSpawner
from beamhub.spawner.sites.batch import BatchSite
from beamhub.spawner.sites.batch_server import BatchServer
from beamhub.spawner.state import Phase

STARTING = (
    "options decided", "before the intent", "intent recorded", "while it is handed in", "handed in", "id recorded",
    "seen in the queue", "announced", "asked back", "address recorded", "it listens", "it answers", "running recorded",
)  # fmt: skip
NOTHING_HANDED_IN = STARTING[:3]
STOPPING = ("stop asked", "while it is cancelled", "cancelled", "it ended", "cleared")
POINT = Path("point")
MEANWHILE = 0.04  # seconds into an errand of the launcher's; it takes twice that


def end_at_points() -> None:
    """Have this process look at each point whether it is the one."""
    from beamhub.spawner import announce

    _at(HybridSpawner, "_run_apply_user_options", after=lambda *_, **__: "options decided")
    _at(HybridSpawner, "start", before=lambda *_, **__: "before the intent")
    _at(BatchServer, "submit", before=lambda *_, **__: "intent recorded")
    _at(BatchSite, "errand", before=_meanwhile, after=_errand_done)
    _at(HybridSpawner, "_record", after=_recorded)
    _at(BatchSite, "tell", after=lambda *_, **__: "seen in the queue")
    _at(HybridSpawner, "announced", before=lambda *_, **__: "announced")
    announce.find = _wrapped(find, lambda *_, **__: "", lambda *_, **__: "asked back")
    _at(HybridSpawner, "told", before=lambda *_, **__: "it listens")
    _at(Bringup, "answer", after=lambda *_, **__: "it answers")
    _at(HybridSpawner, "stop", before=lambda *_, **__: "stop asked")
    _at(HybridSpawner, "run_post_stop_hook", before=lambda *_, **__: "it ended", after=lambda *_, **__: "cleared")


def _at(owner: type, name: str, **when: Callable[..., str]) -> None:
    none: Callable[..., str] = lambda *_, **__: ""  # noqa: E731
    setattr(owner, name, _wrapped(getattr(owner, name), when.get("before", none), when.get("after", none)))


def _wrapped(method: Any, before: Callable[..., str], after: Callable[..., str]) -> Any:
    if inspect.iscoroutinefunction(method):

        @functools.wraps(method)
        async def called(*args: Any, **more: Any) -> Any:
            _end(before(*args, **more))
            answer = await method(*args, **more)
            _end(after(*args, **more))
            return answer

    else:

        @functools.wraps(method)
        def called(*args: Any, **more: Any) -> Any:
            _end(before(*args, **more))
            answer = method(*args, **more)
            _end(after(*args, **more))
            return answer

    return called


def _meanwhile(_: BatchSite, __: str, request: dict[str, Any]) -> str:
    point = {"submit": "while it is handed in", "cancel": "while it is cancelled"}.get(request["verb"], "")
    asyncio.get_running_loop().call_later(MEANWHILE, _end, point)
    return ""


def _errand_done(_: BatchSite, __: str, request: dict[str, Any]) -> str:
    return {"submit": "handed in", "cancel": "cancelled"}.get(request["verb"], "")


def _recorded(_: HybridSpawner, **changes: Any) -> str:
    points = {
        Phase.SUBMITTED: "id recorded", Phase.ANNOUNCED: "address recorded", Phase.RUNNING: "running recorded",
    }  # fmt: skip
    return points.get(changes.get("phase", Phase.INTENDED), "")


def _end(point: str) -> None:
    if point and POINT.exists() and POINT.read_text() == point:
        POINT.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
