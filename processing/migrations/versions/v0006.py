"""How many runs of a proposal have a scalar or a column is kept, so that a jump beyond them need not count."""

import sqlalchemy as sa
from alembic import op

revision = "6"
down_revision = "5"
COUNT = """UPDATE heading SET n = (
  SELECT count(*) FROM {side} WHERE {side}.proposal = heading.proposal AND {side}.name = heading.name
) WHERE kind = '{kind}'"""


def upgrade() -> None:
    """Add the number, and count once."""
    op.add_column(
        "heading",
        sa.Column(
            "n",
            sa.BigInteger(),
            nullable=False,
            server_default="0",
            comment="runs with a value, of a column or a scalar",
        ),
    )
    for side, kind in (("scalar", "scalar"), ("cell", "column")):
        op.execute(COUNT.format(side=side, kind=kind))
