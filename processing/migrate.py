"""Making the store, and bringing an older one to this version's schema."""

import uuid
from importlib.resources import files

from alembic import command as alembic
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, func, insert, select

from beamhub.processing.schema import identity, sequence

ONE_AT_A_TIME = 0x6265616D  # PostgreSQL's lock while a schema is made


class OtherVersion(Exception):
    """The store was made by a version of BeamHub that this one does not know."""


def migrate(connection: Connection) -> None:
    """Make a store, or bring it to this version's schema, within the connection's transaction.

    Raises:
        OtherVersion: its schema is none that this version knows.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(ONE_AT_A_TIME)))
    config = Config()
    config.set_main_option("script_location", str(files("beamhub.processing.migrations")).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        alembic.upgrade(config, "head")
    except CommandError as error:
        raise OtherVersion(
            f"the store was made by another version of BeamHub ({error}); use that version, or give "
            "this one a store and a results folder of its own (store: and results: in processing.yaml)"
        ) from error
    if connection.execute(select(sequence.c.value)).scalar_one_or_none() is None:
        connection.execute(insert(sequence).values(id=1, value=0))
    if connection.execute(select(identity.c.name)).scalar_one_or_none() is None:
        connection.execute(insert(identity).values(id=1, name=uuid.uuid4().hex))
