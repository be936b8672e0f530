"""The store's own name, which its results carry too; losses and transient failures of a run are counted apart."""

import sqlalchemy as sa
from alembic import op

revision = "2"
down_revision = "1"
Words = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add one table and two columns; what is there counts as neither lost nor failed."""
    op.create_table(
        "identity",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", Words, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        comment="one row; the same name stands in the results' folder, so that no other store sweeps it",
    )
    for name, comment in (("transient_failures", None), ("losses", "how often the service ended while it was running")):
        column = sa.Column(name, sa.Integer(), nullable=False, server_default="0", comment=comment)
        op.add_column("run", column)
