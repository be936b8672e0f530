"""A store with a million runs, made by the database itself: the same rows on SQLite and on PostgreSQL."""

import re
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection

from beamhub.processing.clock import to_micros
from beamhub.processing.store import Store

BEGIN = to_micros(datetime(2026, 11, 1, tzinfo=UTC))
APART = 100_000  # microseconds between two files
SAMPLES = 40
# Of a thousand runs 950 are done, 30 failed, 5 cancelled, 14 waiting and 1 runs, all over the time.
MIXED = """CASE WHEN i * 7919 % 1000 < 950 THEN 'done' WHEN i * 7919 % 1000 < 980 THEN 'failed'
  WHEN i * 7919 % 1000 < 985 THEN 'cancelled' WHEN i * 7919 % 1000 < 999 THEN 'queued' ELSE 'running' END"""
SETTLED = "CASE WHEN i * 7919 % 1000 < 970 THEN 'done' ELSE 'failed' END"  # which no service goes on with
IN_TURN = "'p' || substr(CAST(1000 + i % {} AS TEXT), 2)"
WORDS = {
    "NUMBERS": """WITH RECURSIVE n(i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < RUNS),
      s AS (SELECT i, STATE AS state FROM n)""",
    "NAME": "'scan_' || substr(CAST(10000 + i / 1000 AS TEXT), 2) || '_' || substr(CAST(100000 + i % 1000 AS TEXT), 2)"
    " || '.nxs'",
    "SAMPLE": f"'sample ' || CAST(i * 31 % {SAMPLES} AS TEXT)",
    "TEMPERATURE": "(280 + i % 97)",
    "FUNCTION": "CASE i % 3 WHEN 0 THEN 'radial_average' WHEN 1 THEN 'sectors' ELSE 'transmission' END",
    "TIME": f"({BEGIN} + i * {APART})",
    "RG": "(i * 7919 % 1000003)",
    "CHI2": "(i * 104729 % 1000003 / 100000.0)",
}  # fmt: skip


def fill(store: Store, runs: int, proposals: int | str, state: str = MIXED) -> None:
    """Put so many runs, each of a file of its own, into a store; it must be new.

    Args:
        store: where to.
        runs: how many.
        proposals: over how many in turn; or SQL that says the proposal of run ``i``.
        state: SQL that says the state of run ``i``.
    """
    text = Path(__file__).with_suffix(".sql").read_text()
    proposal = IN_TURN.format(proposals) if isinstance(proposals, int) else proposals
    for words in (WORDS, {"RUNS": str(runs), "PROPOSAL": proposal, "STATE": state}):
        text = re.sub(rf"\b({'|'.join(words)})\b", lambda found, words=words: words[found[0]], text)
    with store.writing() as transaction:
        if transaction.connection.dialect.name == "sqlite":
            _do(transaction.connection, "PRAGMA cache_size = -3000000")  # KiB; the indexes are filled in no order
        for statement in text.split(";\n"):
            _do(transaction.connection, statement)
        if transaction.connection.dialect.name == "postgresql":
            _count_on(transaction.connection)
    if store._engine.dialect.name == "postgresql":
        with store._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for statement in ("VACUUM", "VACUUM ANALYZE"):  # as the server does by itself after so many rows came
                _do(connection, statement)  # so soon after, the first notes of few pages only that all may see them


def _count_on(connection: Connection) -> None:
    """The next ids are above these."""
    for table in ("file", "run"):
        largest = f"(SELECT max(id) FROM {table})"  # noqa: S608
        _do(connection, f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), {largest})")


def _do(connection: Connection, statement: str) -> None:
    if statement.strip():
        connection.execution_options(no_parameters=True).exec_driver_sql(statement)
