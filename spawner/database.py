"""The Hub's database, read by a process that is not the Hub, which may run meanwhile. Nothing is ever written."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from beamhub.spawner.state import Start, from_json

SERVERS = text(
    "SELECT users.name, spawners.name, spawners.started, spawners.state FROM spawners JOIN users"
    " ON users.id = spawners.user_id WHERE spawners.state LIKE '%\"job\"%'"
)
USERS = text("SELECT name FROM users")


class CannotRead(Exception):
    """The database cannot be read; says which and what to do."""


@dataclass(frozen=True)
class Recorded:
    """A server that the Hub wrote down; ``since`` is when it was asked for, seconds since 1970."""

    user: str
    server: str
    start: Start
    since: float | None = None


@dataclass(frozen=True)
class Records:
    """All servers that have a job, and all users."""

    servers: list[Recorded] = field(default_factory=list)
    users: frozenset[str] = frozenset()

    def jobs(self) -> set[str]:
        """The jobs that servers name."""
        return {one.start.job for one in self.servers}


class Database:
    """A Hub's database by its ``db_url`` and ``db_kwargs``; a relative path counts from here, as the Hub's does.

    Raises:
        CannotRead: there is none.
    """

    def __init__(self, url: str, options: Mapping[str, Any] | None = None) -> None:
        self.url = make_url(url if "://" in url else f"sqlite:///{url}")
        where = _read_only(self.url) if self.url.get_backend_name() == "sqlite" else self.url
        self._engine = create_engine(where, **{**(options or {}), "poolclass": NullPool})

    def read(self) -> Records:
        """What it says now.

        Raises:
            CannotRead: it cannot be read.
        """
        try:
            with self._engine.connect() as connection:
                servers = [_recorded(*row) for row in connection.execute(SERVERS)]
                users = frozenset(str(name) for (name,) in connection.execute(USERS))
        except SQLAlchemyError as error:
            said = str(getattr(error, "orig", None) or error).splitlines()[0]
            raise CannotRead(f"{self.url.render_as_string()}: {said}. Run this as the Hub's account.") from error
        return Records([one for one in servers if one is not None], users)


def _read_only(url: URL) -> str:
    path = Path(url.database or "")
    if not url.database or url.database == ":memory:":
        raise CannotRead("the Hub keeps its database in its memory; give it a file (c.JupyterHub.db_url)")
    if not path.is_file():
        raise CannotRead(f"there is no database {path}. Run this in the folder in which the Hub is started.")
    return f"sqlite:///file:{quote(str(path.resolve()))}?mode=ro&uri=true"


def _recorded(user: str, server: str, started: Any, state: str) -> Recorded | None:
    start, _ = from_json(json.loads(state))
    if start is None:
        return None
    when = datetime.fromisoformat(str(started)) if started else None
    return Recorded(user, server, start, when.replace(tzinfo=UTC).timestamp() if when else None)
