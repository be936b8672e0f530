"""Text is found by an index on PostgreSQL too, where its extension pg_trgm can be had."""

import logging

import sqlalchemy as sa
from alembic import op

revision = "5"
down_revision = "4"
WITHOUT = (
    "text is looked for in run after run (250 ms for a million): PostgreSQL's extension pg_trgm cannot be made in this "
    "database's search path: %s. To have it, run as its owner: CREATE EXTENSION IF NOT EXISTS pg_trgm; "
    "CREATE INDEX run_by_text ON run USING gin (words gin_trgm_ops)"
)
log = logging.getLogger("beamhub.processing.migrations")  # by its own name alembic knows it alone


def upgrade() -> None:
    """Add the extension and an index; a store without them does all the same, slower."""
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    runs = connection.execute(sa.text("SELECT count(*) FROM run")).scalar_one()
    if runs:
        log.info("making an index of the words of %s runs: half a minute for a million", f"{runs:,}")
    try:
        with connection.begin_nested():
            connection.execute(sa.text("CREATE EXTENSION IF NOT EXISTS pg_trgm"))
            op.create_index(
                "run_by_text", "run", ["words"], postgresql_using="gin", postgresql_ops={"words": "gin_trgm_ops"}
            )
    except sa.exc.DBAPIError as error:
        log.warning(WITHOUT, str(error.orig).partition("\n")[0])
