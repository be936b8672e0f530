"""What a file's columns say of its runs can be sorted and searched, and what names there are is known."""

import json
import logging

import sqlalchemy as sa
from alembic import op

from beamhub.processing.cells import key_of
from beamhub.processing.progress import Progress

revision = "3"
down_revision = "2"
Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Words = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
BATCH = 5000
log = logging.getLogger("beamhub.processing.migrations")  # by its own name alembic knows it alone


def upgrade() -> None:
    """Add two tables, and fill them from what is there; on SQLite, text is found in an index."""
    cell = op.create_table(
        "cell",
        sa.Column("run", Id, sa.ForeignKey("run.id"), nullable=False),
        sa.Column("name", Words, nullable=False),
        sa.Column("proposal", Words, nullable=False),
        sa.Column("value", Words, nullable=False, comment="what its file's column says, as a key that sorts"),
        sa.PrimaryKeyConstraint("run", "name"),
    )
    heading = op.create_table(
        "heading",
        sa.Column("proposal", Words, nullable=False),
        sa.Column("kind", Words, nullable=False, comment="column, scalar or parameter"),
        sa.Column("name", Words, nullable=False),
        sa.Column("unit", Words, nullable=False),
        sa.PrimaryKeyConstraint("proposal", "kind", "name"),
        comment="what the runs of a proposal have",
    )
    if runs := _fill(cell, heading):
        log.info("making the indexes of the cells and words of %s runs", f"{runs:,}")
    op.create_index("cell_by_value", "cell", ["proposal", "name", "value", "run"])
    if op.get_bind().dialect.name == "sqlite":
        op.drop_index("run_by_queued", "run", if_exists=True)
        op.create_index("run_by_words", "run", ["proposal", "queued", "id", "words"], if_not_exists=True)


def _fill(cell: sa.Table, heading: sa.Table) -> int:
    """Of how many runs."""
    connection = op.get_bind()
    known: set[tuple[str, str, str, str]] = set()
    last = done = 0
    progress = Progress("adding cells of runs", connection.execute(sa.text("SELECT count(*) FROM run")).scalar_one())
    query = sa.text(
        "SELECT run.id, run.proposal, file.columns, run.parameters, run.scalars"
        " FROM run JOIN file ON file.id = run.file WHERE run.id > :last ORDER BY run.id LIMIT :batch"
    )
    while rows := connection.execute(query, {"last": last, "batch": BATCH}).all():
        last = rows[-1].id
        cells = []
        for row in rows:
            columns = json.loads(row.columns)
            cells += [
                {"run": row.id, "name": name, "proposal": row.proposal, "value": key}
                for name, value in columns.items()
                if (key := key_of(value)) is not None
            ]
            known |= {(row.proposal, "column", name, "") for name in columns}
            known |= {(row.proposal, "parameter", name, "") for name in json.loads(row.parameters)}
            known |= {(row.proposal, "scalar", name, it["unit"]) for name, it in json.loads(row.scalars).items()}
        if cells:
            connection.execute(cell.insert(), cells)
        progress.at(done := done + len(rows))
    named = {(proposal, kind, name): unit for proposal, kind, name, unit in sorted(known)}
    if named:
        made = [{"proposal": p, "kind": k, "name": n, "unit": unit} for (p, k, n), unit in named.items()]
        connection.execute(heading.insert(), made)
    return done
