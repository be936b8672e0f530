"""Connections to the store's database: SQLite or PostgreSQL, each set up as the store needs it."""

import sqlite3
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url

SQLITE_KIB = 500  # pages that each connection keeps, beside those that the system does; more was not quicker
BUSY_S = 30  # how long SQLite waits for another process's lock


def connected(url: str, connections: int) -> Engine:
    """An engine for a store's address, with a bound on its connections; transactions that only read lock nothing."""
    parsed = make_url(url)
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() != "sqlite":
        engine = create_engine(parsed, pool_size=connections, pool_pre_ping=True)
        event.listen(engine, "connect", _without_jit)
        return engine
    engine = create_engine(parsed, pool_size=connections, connect_args={"timeout": BUSY_S, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def _(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # the driver begins no transactions; we do, below
        pages = f"cache_size=-{SQLITE_KIB}"
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", pages):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", True)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _without_jit(connection: Any, _: Any) -> None:
    """Compiling a query that merges many proposals takes PostgreSQL seconds, running it milliseconds."""
    connection.execute("SET jit = off")
    connection.commit()


def read_only(path: Path) -> Engine:
    """An engine for a file of SQLite that is not written to, whatever is asked of it."""
    made = partial(sqlite3.connect, f"{path.as_uri()}?mode=ro", BUSY_S, uri=True, check_same_thread=False)
    return create_engine("sqlite://", creator=made)
