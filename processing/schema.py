"""The store's tables. Times are microseconds since 1970 in UTC; JSON is text that never holds NaN."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()
Id = BigInteger().with_variant(Integer, "sqlite")
# Sorted by code points on both databases, so that pages agree.
Word = Text().with_variant(Text(collation="C"), "postgresql")

sequence = Table(
    "sequence",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("value", BigInteger, nullable=False),
    comment="one row; locked as a writing transaction's last step, so that numbers are in commit order",
)
position = Table(
    "position",
    metadata,
    Column("source", String(200), primary_key=True),
    Column("value", Text, nullable=False),
)
file = Table(
    "file",
    metadata,
    Column("id", Id, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("proposal", Word, nullable=False),
    Column("instance", String(200), nullable=False),
    Column("file_id", Text, nullable=False),
    Column("storage", String(200), nullable=False),
    Column("path", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("arrived", BigInteger, nullable=False),
    Column("source", String(200), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("columns", Text, nullable=False),
    Column("raw", Text, nullable=False),
    UniqueConstraint("instance", "file_id", name="one_file_version"),
    Index("file_in_proposal", "proposal", "arrived", "id"),
    Index("file_changes", "proposal", "seq"),
    Index("file_by_path", "storage", "path"),
)
run = Table(
    "run",
    metadata,
    Column("id", Id, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("proposal", Word, nullable=False),
    Column("state", String(20), nullable=False),
    Column("cause", String(20), nullable=False),
    Column("file", Id, ForeignKey("file.id"), nullable=False),
    Column("file_name", Word, nullable=False),
    Column("rule", Word),
    Column("automatic_rule", Text, comment="the rule of an automatic run, for its unique key"),
    Column("request", Text, comment="request, source rule and function of a requested run, for its unique key"),
    Column("function", Word, nullable=False),
    Column("version", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("parameters", Text, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("data_failures", Integer, nullable=False, default=0),
    Column("resource_failures", Integer, nullable=False, default=0),
    Column("quarantined", Boolean, nullable=False, default=False),
    Column("cancelling", Boolean, nullable=False, default=False),
    Column("queued", BigInteger, nullable=False),
    Column("started", BigInteger),
    Column("finished", BigInteger),
    Column("next_try", BigInteger),
    Column("executor", Text, nullable=False, default=""),
    Column("where", Text, nullable=False, default=""),
    Column("requested_by", Text, nullable=False, default=""),
    Column("error_kind", String(20)),
    Column("error_type", Text),
    Column("error_message", Text),
    Column("scalars", Text, nullable=False, default="{}"),
    Column("sparkline", Text),
    Column("folder", Text, nullable=False, default=""),
    Column("output", Text, nullable=False, default=""),
    Column("preview", Text, nullable=False, default=""),
    Column("plot", Text, nullable=False, default=""),
    Column("words", Text, nullable=False, comment="what text search looks in, in lower case"),
    UniqueConstraint("file", "automatic_rule", name="one_automatic_run"),
    UniqueConstraint("file", "request", name="one_requested_run"),
    Index("run_changes", "proposal", "seq"),
    Index("run_by_queued", "proposal", "queued", "id"),
    Index("run_by_started", "proposal", "started", "id"),
    Index("run_by_finished", "proposal", "finished", "id"),
    Index("run_by_name", "proposal", "file_name", "id"),
    Index("run_by_state", "proposal", "state", "queued", "id"),
    Index("run_by_function", "proposal", "function", "queued", "id"),
    Index("run_by_rule", "proposal", "rule", "queued", "id"),
)
run_detail = Table(
    "run_detail",
    metadata,
    Column("run", Id, ForeignKey("run.id"), primary_key=True),
    Column("traceback", Text, nullable=False, default="[]"),
    Column("log_tail", Text, nullable=False, default=""),
)
scalar = Table(
    "scalar",
    metadata,
    Column("run", Id, ForeignKey("run.id"), primary_key=True),
    Column("name", Word, primary_key=True),
    Column("proposal", Word, nullable=False),
    Column("value", Float),
    Index("scalar_by_value", "proposal", "name", "value", "run"),
)
counter = Table(
    "counter",
    metadata,
    Column("proposal", Word, primary_key=True),
    Column("function", Word, primary_key=True),
    Column("state", String(20), primary_key=True),
    Column("n", BigInteger, nullable=False),
    comment="how many runs there are, kept in the transactions that change them",
)
request = Table(
    "request",
    metadata,
    Column("id", Text, primary_key=True),
    Column("body", Text, nullable=False, comment="digest of what was asked, to tell a repeat from a mistake"),
)
rule_state = Table(
    "rule_state",
    metadata,
    Column("rule", Word, primary_key=True),
    Column("paused", Boolean, nullable=False),
)
