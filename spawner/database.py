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

from beamhub.spawner.hubfile import AS_THE_HUB
from beamhub.spawner.state import Start, from_json, job_of

SERVERS = text(
    "SELECT users.name, spawners.name, spawners.started, spawners.state FROM spawners JOIN users"
    " ON users.id = spawners.user_id WHERE spawners.state LIKE '%\"job\"%'"
)
USERS = text("SELECT name FROM users")
LAST = text("SELECT MAX(id) FROM spawners")
FOR_A_HUB = ("pool", "max_overflow", "echo", "logging_name")  # how options begin that one look has no use for
UNREAD = (ValueError, LookupError, TypeError, AttributeError)  # by a state that another version wrote


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
class Unread:
    """A server whose state says no more than its job, or that cannot be understood; ``why`` says what is wrong."""

    user: str
    server: str
    job: str
    why: str
    since: float | None = None


@dataclass(frozen=True)
class Records:
    """All servers that have a job, all users, and the last number that a server has; each had a lower one before."""

    servers: list[Recorded] = field(default_factory=list)
    users: frozenset[str] = frozenset()
    last: int = 0
    unread: list[Unread] = field(default_factory=list)

    def jobs(self) -> set[str]:
        """The jobs that servers name."""
        return {one.start.job for one in self.servers} | {one.job for one in self.unread}

    def newest(self) -> float | None:
        """When the newest of the servers was asked for, seconds since 1970."""
        times = [*(one.since for one in self.servers), *(one.since for one in self.unread)]
        return max((time for time in times if time), default=None)


class Database:
    """A Hub's database by its ``db_url`` and ``db_kwargs``; a relative path counts from here, as the Hub's does.

    Raises:
        CannotRead: there is none, or it cannot be opened like that.
    """

    def __init__(self, url: str, options: Mapping[str, Any] | None = None) -> None:
        given = {key: value for key, value in (options or {}).items() if not key.startswith(FOR_A_HUB)}
        try:
            self.url = make_url(url if "://" in url else f"sqlite:///{url}")
            where = _read_only(self.url) if self.url.get_backend_name() == "sqlite" else self.url
            self._engine = create_engine(where, **given, poolclass=NullPool)
        except ImportError as error:
            raise CannotRead(f"the database needs {error.name}, which is not installed: {AS_THE_HUB}") from error
        except (SQLAlchemyError, ValueError, TypeError) as error:  # a password may be in the URL, which is not repeated
            raise CannotRead(f"db_url or db_kwargs opens no database: {_first_line(error)}") from error

    def __str__(self) -> str:
        name = self.url.database or ""
        return str(Path(name).resolve()) if self.url.get_backend_name() == "sqlite" else self.url.render_as_string()

    def read(self) -> Records:
        """What it says now.

        Raises:
            CannotRead: it cannot be read.
        """
        try:
            with self._engine.connect() as connection:
                found = [_recorded(*row) for row in connection.execute(SERVERS)]
                users = frozenset(str(name) for (name,) in connection.execute(USERS))
                last = connection.execute(LAST).scalar() or 0
        except SQLAlchemyError as error:
            raise CannotRead(f"{self}: {_first_line(error)}. Run this as the Hub's account.") from error
        servers = [one for one in found if isinstance(one, Recorded)]
        return Records(servers, users, last, [one for one in found if isinstance(one, Unread)])


def _first_line(error: Exception) -> str:
    return (str(getattr(error, "orig", None) or error).splitlines() or [type(error).__name__])[0]


def _read_only(url: URL) -> str:
    path = Path(url.database or "")
    if not url.database or url.database == ":memory:":
        raise CannotRead("the Hub keeps its database in its memory; give it a file (c.JupyterHub.db_url)")
    if not path.is_file():
        raise CannotRead(f"there is no database {path}. Run this in the folder in which the Hub is started.")
    return f"sqlite:///file:{quote(str(path.resolve()))}?mode=ro&uri=true"


def _recorded(user: str, server: str, started: Any, state: str) -> Recorded | Unread | None:
    when = datetime.fromisoformat(str(started)) if started else None
    since = when.replace(tzinfo=UTC).timestamp() if when else None
    try:
        found = json.loads(state)
        job = job_of(found)
    except UNREAD as error:  # it may be the name of any job
        raise CannotRead(f"the state of the server {server!r} of {user!r} is none of BeamHub's: {error}") from error
    try:
        start, _ = from_json(found)
    except UNREAD as error:
        return Unread(user, server, job, f"its state cannot be read, is it a later version's? {error!r}", since)
    return Recorded(user, server, start, since) if start is not None else None
