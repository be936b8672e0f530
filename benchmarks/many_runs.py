"""A store with a million runs, made by the database itself: the same rows on SQLite and on PostgreSQL."""

from datetime import UTC, datetime

from sqlalchemy import Connection

from beamhub.processing.clock import to_micros
from beamhub.processing.store import Store

BEGIN = to_micros(datetime(2026, 11, 1, tzinfo=UTC))
APART = 100_000  # microseconds between two files
SAMPLES = 40
# Of a thousand runs 950 are done, 30 failed, 5 cancelled, 14 waiting and 1 runs, all over the time.
STATE = """CASE WHEN i * 7919 % 1000 < 950 THEN 'done' WHEN i * 7919 % 1000 < 980 THEN 'failed'
    WHEN i * 7919 % 1000 < 985 THEN 'cancelled' WHEN i * 7919 % 1000 < 999 THEN 'queued' ELSE 'running' END"""
NUMBERS = "WITH RECURSIVE n(i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < RUNS)"
PROPOSAL = "'p' || substr(CAST(1000 + i % PROPOSALS AS TEXT), 2)"
NAME = "'scan_' || substr(CAST(10000 + i / 1000 AS TEXT), 2) || '_' || substr(CAST(100000 + i % 1000 AS TEXT), 2) || '.nxs'"
SAMPLE = f"'sample ' || CAST(i * 31 % {SAMPLES} AS TEXT)"
FUNCTION = "CASE i % 3 WHEN 0 THEN 'radial_average' WHEN 1 THEN 'sectors' ELSE 'transmission' END"
STEPS = (
    f"""INSERT INTO file (id, seq, proposal, instance, file_id, storage, path, size, time, arrived, source, kind, columns, raw)
    {NUMBERS} SELECT i, i, {PROPOSAL}, 'here', CAST(i AS TEXT), 'beamline', {PROPOSAL} || '/' || {NAME}, 8388608,
    {BEGIN} + i * {APART}, {BEGIN} + i * {APART}, 'watched', 'closed',
    '{{"sample": "' || {SAMPLE} || '", "temperature": ' || CAST(280 + i % 97 AS TEXT) || '}}', '{{}}' FROM n""",
    f"""INSERT INTO run (id, seq, proposal, state, cause, file, file_name, rule, automatic_rule, function, version, digest,
    parameters, attempts, transient_failures, data_failures, resource_failures, losses, quarantined, cancelling,
    queued, started, finished, due, executor, "where", requested_by, error_kind, error_type, error_message,
    scalars, sparkline, folder, output, preview, plot, words)
    {NUMBERS}, s AS (SELECT i, {STATE} AS state FROM n)
    SELECT i, i, {PROPOSAL}, state, 'automatic', i, {NAME}, 'rule' || CAST(i % 3 AS TEXT), 'rule' || CAST(i % 3 AS TEXT),
    {FUNCTION}, '1', '0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef', '{{"bins": 200, "unit": "q_nm^-1"}}',
    1, 0, 0, 0, 0, 1 = 0, 1 = 0, {BEGIN} + i * {APART},
    CASE WHEN state = 'queued' THEN NULL ELSE {BEGIN} + i * {APART} + 50000 END,
    CASE WHEN state IN ('queued', 'running') THEN NULL ELSE {BEGIN} + i * {APART} + 50000 + i * 7919 % 300000 END,
    CASE WHEN state = 'queued' THEN {BEGIN} + i * {APART} ELSE NULL END, '', 'tcp://10.0.0.1:4567', '',
    CASE WHEN state = 'failed' THEN 'data' ELSE NULL END, CASE WHEN state = 'failed' THEN 'DataError' ELSE NULL END,
    CASE WHEN state = 'failed' THEN 'no beam centre in ' || {NAME} ELSE NULL END,
    CASE WHEN state = 'done' THEN '{{"Rg": {{"value": ' || CAST(i * 7919 % 1000003 AS TEXT) || ', "unit": "nm", "reason": ""}}}}'
    ELSE '{{}}' END,
    CASE WHEN state = 'done' THEN '[1.0,2.25,3.5,4.75,5.0,4.5,4.25,3.75,3.5,3.25,3.0,2.75,2.5,2.25,2.0,1.75,1.5,1.25,1.0]' ELSE NULL END,
    CASE WHEN state = 'done' THEN 'p/' || CAST(i AS TEXT) || '/1' ELSE '' END, CASE WHEN state = 'done' THEN 'out.nxs' ELSE '' END,
    CASE WHEN state = 'done' THEN 'preview.png' ELSE '' END, CASE WHEN state = 'done' THEN 'plot.json' ELSE '' END,
    {NAME} || ' ' || {FUNCTION} || ' ' || {SAMPLE} || CASE WHEN state = 'done' THEN ' rg chi2' ELSE '' END FROM s""",
    f"""INSERT INTO scalar (run, name, proposal, value) {NUMBERS}, s AS (SELECT i, {STATE} AS state FROM n)
    SELECT i, 'Rg', {PROPOSAL}, i * 7919 % 1000003 FROM s WHERE state = 'done' AND i % 3 < 2""",
    f"""INSERT INTO scalar (run, name, proposal, value) {NUMBERS}, s AS (SELECT i, {STATE} AS state FROM n)
    SELECT i, 'chi2', {PROPOSAL}, i * 104729 % 1000003 / 100000.0 FROM s WHERE state = 'done' AND i % 3 < 2""",
    "INSERT INTO counter (proposal, function, state, n) SELECT proposal, function, state, count(*) FROM run GROUP BY 1, 2, 3",
    "INSERT INTO proposal (name, files, last, served) SELECT proposal, count(*), max(arrived), 0 FROM file GROUP BY 1",
    "UPDATE sequence SET value = RUNS",
)  # fmt: skip


def fill(store: Store, runs: int, proposals: int) -> None:
    """Put so many runs, each of a file of its own, into so many proposals in turn; the store must be new."""
    with store.writing() as transaction:
        for step in STEPS:
            _do(transaction.connection, step.replace("RUNS", str(runs)).replace("PROPOSALS", str(proposals)))
        _count_on(transaction.connection)
        _do(transaction.connection, "ANALYZE")


def _count_on(connection: Connection) -> None:
    """The next ids are above these."""
    if connection.dialect.name == "postgresql":
        for table in ("file", "run"):
            _do(connection, f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))")


def _do(connection: Connection, statement: str) -> None:
    connection.execution_options(no_parameters=True).exec_driver_sql(statement)
