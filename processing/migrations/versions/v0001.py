"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make all tables."""
    op.create_table(
        "counter",
        sa.Column("proposal", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("function", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("proposal", "function", "state"),
        comment="how many runs there are, kept in the transactions that change them",
    )
    op.create_table(
        "file",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("proposal", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("instance", sa.String(length=200), nullable=False),
        sa.Column("file_id", sa.Text(), nullable=False),
        sa.Column("storage", sa.String(length=200), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("arrived", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("columns", sa.Text(), nullable=False),
        sa.Column("raw", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("instance", "file_id", name="one_file_version"),
    )
    op.create_index("file_by_path", "file", ["storage", "path"], unique=False)
    op.create_index("file_changes", "file", ["proposal", "seq"], unique=False)
    op.create_index("file_in_proposal", "file", ["proposal", "arrived", "id"], unique=False)
    op.create_table(
        "position",
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("source"),
    )
    op.create_table(
        "request",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column(
            "body", sa.Text(), nullable=False, comment="digest of what was asked, to tell a repeat from a mistake"
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "rule_state",
        sa.Column("rule", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
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
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("proposal", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("cause", sa.String(length=20), nullable=False),
        sa.Column("file", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("file_name", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("rule", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=True),
        sa.Column(
            "automatic_rule", sa.Text(), nullable=True, comment="the rule of an automatic run, for its unique key"
        ),
        sa.Column(
            "request",
            sa.Text(),
            nullable=True,
            comment="request, source rule and function of a requested run, for its unique key",
        ),
        sa.Column("function", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("data_failures", sa.Integer(), nullable=False),
        sa.Column("resource_failures", sa.Integer(), nullable=False),
        sa.Column("quarantined", sa.Boolean(), nullable=False),
        sa.Column("cancelling", sa.Boolean(), nullable=False),
        sa.Column("queued", sa.BigInteger(), nullable=False),
        sa.Column("started", sa.BigInteger(), nullable=True),
        sa.Column("finished", sa.BigInteger(), nullable=True),
        sa.Column("next_try", sa.BigInteger(), nullable=True),
        sa.Column("executor", sa.Text(), nullable=False),
        sa.Column("where", sa.Text(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("error_kind", sa.String(length=20), nullable=True),
        sa.Column("error_type", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("scalars", sa.Text(), nullable=False),
        sa.Column("sparkline", sa.Text(), nullable=True),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("output", sa.Text(), nullable=False),
        sa.Column("preview", sa.Text(), nullable=False),
        sa.Column("plot", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False, comment="what text search looks in, in lower case"),
        sa.ForeignKeyConstraint(
            ["file"],
            ["file.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("file", "automatic_rule", name="one_automatic_run"),
        sa.UniqueConstraint("file", "request", name="one_requested_run"),
    )
    op.create_index("run_by_finished", "run", ["proposal", "finished", "id"], unique=False)
    op.create_index("run_by_function", "run", ["proposal", "function", "queued", "id"], unique=False)
    op.create_index("run_by_name", "run", ["proposal", "file_name", "id"], unique=False)
    op.create_index("run_by_queued", "run", ["proposal", "queued", "id"], unique=False)
    op.create_index("run_by_rule", "run", ["proposal", "rule", "queued", "id"], unique=False)
    op.create_index("run_by_started", "run", ["proposal", "started", "id"], unique=False)
    op.create_index("run_by_state", "run", ["proposal", "state", "queued", "id"], unique=False)
    op.create_index("run_changes", "run", ["proposal", "seq"], unique=False)
    op.create_table(
        "run_detail",
        sa.Column("run", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("traceback", sa.Text(), nullable=False),
        sa.Column("log_tail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run"],
            ["run.id"],
        ),
        sa.PrimaryKeyConstraint("run"),
    )
    op.create_table(
        "scalar",
        sa.Column("run", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("proposal", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("value", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(
            ["run"],
            ["run.id"],
        ),
        sa.PrimaryKeyConstraint("run", "name"),
    )
    op.create_index("scalar_by_value", "scalar", ["proposal", "name", "value", "run"], unique=False)
