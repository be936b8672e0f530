"""Parameters are found by an index, counters know the rule, and what is no number is not sorted among the numbers."""

import hashlib
import logging

import sqlalchemy as sa
from alembic import op

revision = "4"
down_revision = "3"
Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Words = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
ORDERS = {"run_by_started": "started", "run_by_finished": "finished", "run_by_name": "file_name"}
log = logging.getLogger("beamhub.processing.migrations")  # by its own name alembic knows it alone


def upgrade() -> None:
    """Add a table and a column, count anew, and let the orders' indexes know when a run was queued."""
    runs = op.get_bind().execute(sa.text("SELECT count(*) FROM run")).scalar_one()
    if runs:
        log.info(
            "numbering the parameters of %s runs and making four indexes: half a minute for a million", f"{runs:,}"
        )
    _number_parameters()
    _count()
    op.execute("DELETE FROM scalar WHERE value IS NULL")
    for name, column in ORDERS.items():
        op.drop_index(name, "run")
        op.create_index(name, "run", ["proposal", column, "id", "queued"])
    op.create_index("run_by_parameters", "run", ["proposal", "parameter_set", "queued", "id"])


def _number_parameters() -> None:
    op.add_column("run", sa.Column("parameter_set", Id, nullable=False, server_default="0"))
    made = op.create_table(
        "parameter_set",
        sa.Column("id", Id, primary_key=True),
        sa.Column("proposal", Words, nullable=False),
        sa.Column("digest", Words, nullable=False),
        sa.Column("parameters", Words, nullable=False),
        sa.UniqueConstraint("proposal", "digest", name="one_parameter_set"),
        comment="the parameters that runs of a proposal have, each once: where one is searched for",
    )
    connection = op.get_bind()
    for proposal, parameters in connection.execute(sa.text("SELECT DISTINCT proposal, parameters FROM run")).all():
        digest = hashlib.sha256(parameters.encode("utf-8", "replace")).hexdigest()
        connection.execute(made.insert(), {"proposal": proposal, "digest": digest, "parameters": parameters})
    op.execute(
        "UPDATE run SET parameter_set = it.id FROM parameter_set AS it"
        " WHERE it.proposal = run.proposal AND it.parameters = run.parameters"
    )


def _count() -> None:
    op.drop_table("counter")
    op.create_table(
        "counter",
        sa.Column("proposal", Words, primary_key=True),
        sa.Column("function", Words, primary_key=True),
        sa.Column("rule", Words, primary_key=True, comment="empty where there is none"),
        sa.Column("state", Words, primary_key=True),
        sa.Column("n", sa.BigInteger(), nullable=False),
        comment="how many runs there are, kept in the transactions that change them",
    )
    op.execute(
        "INSERT INTO counter (proposal, function, rule, state, n)"
        " SELECT proposal, function, coalesce(rule, ''), state, count(*) FROM run"
        " GROUP BY proposal, function, coalesce(rule, ''), state"
    )
