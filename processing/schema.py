"""The store's tables. Times are microseconds since 1970 in UTC; JSON is text that never holds NaN."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

from beamhub.processing.spelling import shown


class Storable(TypeDecorator[str]):
    """Text in which what no database can hold (NUL, half characters) is replaced.

    A function's message or a file's name may hold any bytes, and must not keep its run from ending.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Replace what cannot be stored."""
        return value and storable(value)


def storable(text: str) -> str:
    r"""Text as it comes back from a database.

    >>> storable("\ud800"), storable("a\udcff.nxs")
    ('?', 'a\\xff.nxs')
    """
    return shown(text).replace("\0", "\ufffd").encode("utf-8", "replace").decode()


metadata = MetaData()
# Sorted by code points on both databases, so that pages agree.
Words = Storable().with_variant(Storable(collation="C"), "postgresql")
Id = BigInteger().with_variant(Integer, "sqlite")

sequence = Table(
    "sequence",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("value", BigInteger, nullable=False),
    comment="one row; locked as a writing transaction's last step, so that numbers are in commit order",
)
identity = Table(
    "identity",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Words, nullable=False),
    comment="one row; the same name stands in the results' folder, so that no other store sweeps it",
)
position = Table(
    "position",
    metadata,
    Column("source", Words, primary_key=True),
    Column("value", Words, nullable=False),
)
proposal = Table(
    "proposal",
    metadata,
    Column("name", Words, primary_key=True),
    Column("files", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False, comment="when its newest file arrived"),
    Column("served", BigInteger, nullable=False, default=0, comment="when a run of it was claimed last"),
)
file = Table(
    "file",
    metadata,
    Column("id", Id, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("proposal", Words, nullable=False),
    Column("instance", Words, nullable=False),
    Column("file_id", Words, nullable=False),
    Column("storage", Words, nullable=False),
    Column("path", Words, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("arrived", BigInteger, nullable=False),
    Column("source", Words, nullable=False),
    Column("kind", Words, nullable=False),
    Column("columns", Words, nullable=False),
    Column("raw", Words, nullable=False),
    UniqueConstraint("instance", "file_id", name="one_file_version"),
    Index("file_in_proposal", "proposal", "id"),
    Index("file_changes", "proposal", "seq"),
    Index("file_by_path", "path", "storage"),
)
run = Table(
    "run",
    metadata,
    Column("id", Id, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("proposal", Words, nullable=False),
    Column("state", Words, nullable=False),
    Column("cause", Words, nullable=False),
    Column("file", Id, ForeignKey("file.id"), nullable=False),
    Column("file_name", Words, nullable=False),
    Column("rule", Words),
    Column("automatic_rule", Words, comment="the rule of an automatic run, for its unique key"),
    Column("request", Words, comment="request, source rule and function of a requested run, for its unique key"),
    Column("function", Words, nullable=False),
    Column("version", Words, nullable=False),
    Column("digest", Words, nullable=False),
    Column("parameters", Words, nullable=False),
    Column("parameter_set", Id, nullable=False, server_default="0"),
    Column("attempts", Integer, nullable=False, default=0),
    Column("transient_failures", Integer, nullable=False, default=0),
    Column("data_failures", Integer, nullable=False, default=0),
    Column("resource_failures", Integer, nullable=False, default=0),
    Column("losses", Integer, nullable=False, default=0, comment="how often the service ended while it was running"),
    Column("quarantined", Boolean, nullable=False, default=False),
    Column("cancelling", Boolean, nullable=False, default=False),
    Column("queued", BigInteger, nullable=False),
    Column("started", BigInteger),
    Column("finished", BigInteger),
    Column("due", BigInteger, comment="when a queued run may start; NULL for all others"),
    Column("executor", Words, nullable=False, default=""),
    Column("where", Words, nullable=False, default=""),
    Column("requested_by", Words, nullable=False, default=""),
    Column("error_kind", Words),
    Column("error_type", Words),
    Column("error_message", Words),
    Column("scalars", Words, nullable=False, default="{}"),
    Column("sparkline", Words),
    Column("folder", Words, nullable=False, default=""),
    Column("output", Words, nullable=False, default=""),
    Column("preview", Words, nullable=False, default=""),
    Column("plot", Words, nullable=False, default=""),
    Column("words", Words, nullable=False, comment="what text search looks in, in lower case"),
    UniqueConstraint("file", "automatic_rule", name="one_automatic_run"),
    UniqueConstraint("file", "request", name="one_requested_run"),
    Index("run_changes", "proposal", "seq"),
    Index("run_by_started", "proposal", "started", "id", "queued"),
    Index("run_by_finished", "proposal", "finished", "id", "queued"),
    Index("run_by_name", "proposal", "file_name", "id", "queued"),
    Index("run_by_state", "proposal", "state", "queued", "id"),
    Index("run_by_function", "proposal", "function", "queued", "id"),
    Index("run_by_rule", "proposal", "rule", "queued", "id"),
    Index("run_by_parameters", "proposal", "parameter_set", "queued", "id"),
)
Index("run_by_queued", run.c.proposal, run.c.queued, run.c.id).ddl_if(dialect="postgresql")
# Text is looked for in the index alone, five times as fast; such an index of PostgreSQL's holds no text of any length.
Index("run_by_words", run.c.proposal, run.c.queued, run.c.id, run.c.words).ddl_if(dialect="sqlite")
Index(
    "run_by_text", run.c.words, postgresql_using="gin", postgresql_ops={"words": "gin_trgm_ops"},
).ddl_if(dialect="postgresql")  # fmt: skip
Index(
    "run_due", run.c.proposal, run.c.due, run.c.id,
    sqlite_where=run.c.due.is_not(None), postgresql_where=run.c.due.is_not(None),
)  # fmt: skip
run_detail = Table(
    "run_detail",
    metadata,
    Column("run", Id, ForeignKey("run.id"), primary_key=True),
    Column("traceback", Words, nullable=False, default="[]"),
    Column("log_tail", Words, nullable=False, default=""),
)
scalar = Table(
    "scalar",
    metadata,
    Column("run", Id, ForeignKey("run.id"), primary_key=True),
    Column("name", Words, primary_key=True),
    Column("proposal", Words, nullable=False),
    Column("value", Double),
    Index("scalar_by_value", "proposal", "name", "value", "run"),
)
cell = Table(
    "cell",
    metadata,
    Column("run", Id, ForeignKey("run.id"), primary_key=True),
    Column("name", Words, primary_key=True),
    Column("proposal", Words, nullable=False),
    Column("value", Words, nullable=False, comment="what its file's column says, as a key that sorts"),
    Index("cell_by_value", "proposal", "name", "value", "run"),
)
heading = Table(
    "heading",
    metadata,
    Column("proposal", Words, primary_key=True),
    Column("kind", Words, primary_key=True, comment="column, scalar or parameter"),
    Column("name", Words, primary_key=True),
    Column("unit", Words, nullable=False),
    Column("n", BigInteger, nullable=False, server_default="0", comment="runs with a value, of a column or a scalar"),
    comment="what the runs of a proposal have",
)
parameter_set = Table(
    "parameter_set",
    metadata,
    Column("id", Id, primary_key=True),
    Column("proposal", Words, nullable=False),
    Column("digest", Words, nullable=False),
    Column("parameters", Words, nullable=False),
    UniqueConstraint("proposal", "digest", name="one_parameter_set"),
    comment="the parameters that runs of a proposal have, each once: where one is searched for",
)
counter = Table(
    "counter",
    metadata,
    Column("proposal", Words, primary_key=True),
    Column("function", Words, primary_key=True),
    Column("rule", Words, primary_key=True, comment="empty where there is none"),
    Column("state", Words, primary_key=True),
    Column("n", BigInteger, nullable=False),
    comment="how many runs there are, kept in the transactions that change them",
)
request = Table(
    "request",
    metadata,
    Column("id", Words, primary_key=True),
    Column("body", Words, nullable=False, comment="digest of what was asked, to tell a repeat from a mistake"),
    Column("runs", Words, nullable=False, comment="the ids that were answered, as JSON"),
)
rule_state = Table(
    "rule_state",
    metadata,
    Column("rule", Words, primary_key=True),
    Column("paused", Boolean, nullable=False),
)
