"""``session``: what this server was started as, how long it stays, and what it uses."""

import asyncio
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from jupyter_server.auth.decorator import authorized
from tornado import web

from beamhub.server_extension.handler import RESOURCE, Handler

CGROUP = Path("/sys/fs/cgroup/memory.max")


class SessionHandler(Handler):
    """Answers with what is known now; nothing is asked of anybody."""

    @web.authenticated
    @authorized("read", resource=RESOURCE)
    async def get(self) -> None:
        """Site, profile, node, cores, memory in bytes (its limit is null where there is none), and the end."""
        self.answer(await asyncio.to_thread(session, os.environ))  # which looks at all processes of the node


def session(environment: Any) -> dict[str, Any]:
    """This server, as its environment and the system tell."""
    ends = end_of(environment)
    return {
        "site": environment.get("BEAMHUB_SITE", ""),
        "profile": environment.get("BEAMHUB_PROFILE", ""),
        "node": platform.node(),
        "cores": _number(environment.get("CPU_LIMIT", "")) or len(os.sched_getaffinity(0)),
        "memory": memory_limit(environment, CGROUP),
        "used": memory_used(),
        "ends_at": ends.isoformat().replace("+00:00", "Z") if ends else "",
    }


def end_of(environment: Any) -> datetime | None:
    """When this server's time is over; None where it has no limit."""
    try:
        found = datetime.fromisoformat(environment.get("BEAMHUB_ENDS_AT", ""))
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)


def memory_limit(environment: Any, cgroup: Path) -> int | None:
    """Bytes that this server and its kernels may use: what the Hub set, else the system; None where nothing does."""
    if said := _number(environment.get("MEM_LIMIT", "")):
        return int(said)
    try:
        return int(cgroup.read_text())
    except (OSError, ValueError):  # "max", or no such file: no limit
        return None


def memory_used() -> int:
    """Bytes of this server and all that it started; memory that several share counts for each."""
    used = 0
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        try:
            used += process.memory_info().rss
        except psutil.Error:  # it ended meanwhile
            continue
    return used


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
