"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "1"
down_revision = None
Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Words = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make all tables."""
    op.create_table(
        "counter",
        sa.Column("proposal", Words, nullable=False),
        sa.Column("function", Words, nullable=False),
        sa.Column("state", Words, nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("proposal", "function", "state"),
        comment="how many runs there are, kept in the transactions that change them",
    )
    op.create_table(
        "file",
        sa.Column("id", Id, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("proposal", Words, nullable=False),
        sa.Column("instance", Words, nullable=False),
        sa.Column("file_id", Words, nullable=False),
        sa.Column("storage", Words, nullable=False),
        sa.Column("path", Words, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("arrived", sa.BigInteger(), nullable=False),
        sa.Column("source", Words, nullable=False),
        sa.Column("kind", Words, nullable=False),
        sa.Column("columns", Words, nullable=False),
        sa.Column("raw", Words, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("instance", "file_id", name="one_file_version"),
    )
    op.create_index("file_by_path", "file", ["path", "storage"])
    op.create_index("file_changes", "file", ["proposal", "seq"])
    op.create_index("file_in_proposal", "file", ["proposal", "id"])
    op.create_table(
        "proposal",
        sa.Column("name", Words, nullable=False),
        sa.Column("files", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False, comment="when its newest file arrived"),
        sa.Column("served", sa.BigInteger(), nullable=False, comment="when a run of it was claimed last"),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "position",
        sa.Column("source", Words, nullable=False),
        sa.Column("value", Words, nullable=False),
        sa.PrimaryKeyConstraint("source"),
    )
    op.create_table(
        "request",
        sa.Column("id", Words, nullable=False),
        sa.Column("body", Words, nullable=False, comment="digest of what was asked, to tell a repeat from a mistake"),
        sa.Column("runs", Words, nullable=False, comment="the ids that were answered, as JSON"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "rule_state",
        sa.Column("rule", Words, nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("rule"),
    )
    op.create_table(
        "sequence",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        comment="one row; locked as a writing transaction's last step, so that numbers are in commit order",
    )
    op.create_table(
        "run",
        sa.Column("id", Id, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("proposal", Words, nullable=False),
        sa.Column("state", Words, nullable=False),
        sa.Column("cause", Words, nullable=False),
        sa.Column("file", Id, nullable=False),
        sa.Column("file_name", Words, nullable=False),
        sa.Column("rule", Words, nullable=True),
        sa.Column("automatic_rule", Words, nullable=True, comment="the rule of an automatic run, for its unique key"),
        sa.Column(
            "request",
            Words,
            nullable=True,
            comment="request, source rule and function of a requested run, for its unique key",
        ),
        sa.Column("function", Words, nullable=False),
        sa.Column("version", Words, nullable=False),
        sa.Column("digest", Words, nullable=False),
        sa.Column("parameters", Words, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("data_failures", sa.Integer(), nullable=False),
        sa.Column("resource_failures", sa.Integer(), nullable=False),
        sa.Column("quarantined", sa.Boolean(), nullable=False),
        sa.Column("cancelling", sa.Boolean(), nullable=False),
        sa.Column("queued", sa.BigInteger(), nullable=False),
        sa.Column("started", sa.BigInteger(), nullable=True),
        sa.Column("finished", sa.BigInteger(), nullable=True),
        sa.Column("due", sa.BigInteger(), nullable=True, comment="when a queued run may start; NULL for all others"),
        sa.Column("executor", Words, nullable=False),
        sa.Column("where", Words, nullable=False),
        sa.Column("requested_by", Words, nullable=False),
        sa.Column("error_kind", Words, nullable=True),
        sa.Column("error_type", Words, nullable=True),
        sa.Column("error_message", Words, nullable=True),
        sa.Column("scalars", Words, nullable=False),
        sa.Column("sparkline", Words, nullable=True),
        sa.Column("folder", Words, nullable=False),
        sa.Column("output", Words, nullable=False),
        sa.Column("preview", Words, nullable=False),
        sa.Column("plot", Words, nullable=False),
        sa.Column("words", Words, nullable=False, comment="what text search looks in, in lower case"),
        sa.ForeignKeyConstraint(
            ["file"],
            ["file.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("file", "automatic_rule", name="one_automatic_run"),
        sa.UniqueConstraint("file", "request", name="one_requested_run"),
    )
    op.create_index("run_by_finished", "run", ["proposal", "finished", "id"])
    op.create_index("run_by_function", "run", ["proposal", "function", "queued", "id"])
    op.create_index("run_by_name", "run", ["proposal", "file_name", "id"])
    op.create_index("run_by_queued", "run", ["proposal", "queued", "id"])
    op.create_index("run_by_rule", "run", ["proposal", "rule", "queued", "id"])
    op.create_index("run_by_started", "run", ["proposal", "started", "id"])
    op.create_index("run_by_state", "run", ["proposal", "state", "queued", "id"])
    op.create_index(
        "run_due",
        "run",
        ["proposal", "due", "id"],
        sqlite_where=sa.text("due IS NOT NULL"),
        postgresql_where=sa.text("due IS NOT NULL"),
    )
    op.create_index("run_changes", "run", ["proposal", "seq"])
    op.create_table(
        "run_detail",
        sa.Column("run", Id, nullable=False),
        sa.Column("traceback", Words, nullable=False),
        sa.Column("log_tail", Words, nullable=False),
        sa.ForeignKeyConstraint(
            ["run"],
            ["run.id"],
        ),
        sa.PrimaryKeyConstraint("run"),
    )
    op.create_table(
        "scalar",
        sa.Column("run", Id, nullable=False),
        sa.Column("name", Words, nullable=False),
        sa.Column("proposal", Words, nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["run"],
            ["run.id"],
        ),
        sa.PrimaryKeyConstraint("run", "name"),
    )
    op.create_index("scalar_by_value", "scalar", ["proposal", "name", "value", "run"])
