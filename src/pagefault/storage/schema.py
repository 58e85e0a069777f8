"""The tables, once, for every SQL back end. SQLAlchemy Core; no ORM, no engine, no queries.

Times are whole microseconds since 1970 in UTC: sortable, lossless. JSON is text. ``number`` and ``seq``
count per agent from 1 and are never used again; ``id`` counts over all agents in the order of arrival. What
only one back end has (a lexical index, a vector type of its own) is in that back end and its migrations.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

__all__ = ["agents", "messages", "metadata"]

metadata = MetaData()

_BIG = BigInteger().with_variant(Integer, "sqlite")  # on SQLite only INTEGER can be the row id


def _id() -> Column[int]:
    return Column("id", _BIG, primary_key=True)


def _agent(*, primary_key: bool = False) -> Column[int]:
    owner = ForeignKey("agents.id", ondelete="CASCADE")
    return Column("agent", _BIG, owner, primary_key=primary_key, nullable=False)


def _number(name: str = "number", *, primary_key: bool = False) -> Column[int]:
    return Column(name, _BIG, primary_key=primary_key, nullable=False, autoincrement=False)


def _counter(name: str) -> Column[int]:
    return Column(name, _BIG, nullable=False, server_default="0")


agents = Table(
    "agents",
    metadata,
    _id(),
    Column("tenant", Text, nullable=False, server_default=""),
    Column("name", Text, nullable=False),
    Column("created", _BIG, nullable=False),
    # The last numbers given out, and what BM25 needs to know of each tier: indexed rows and their units.
    _counter("last_seq"),
    _counter("last_passage"),
    _counter("last_event"),
    _counter("last_schedule"),
    _counter("last_document"),
    _counter("recall_rows"),
    _counter("recall_units"),
    _counter("archival_rows"),
    _counter("archival_units"),
    # What an index in memory compares to know that it is behind: changes of any kind, and those after which
    # reading what is new does not suffice.
    _counter("recall_changes"),
    _counter("recall_rebuilds"),
    _counter("archival_changes"),
    _counter("archival_rebuilds"),
    # types.QueueState
    Column("start", _BIG, nullable=False),
    Column("summary", _BIG),
    Column("pinned", _BIG),
    Column("head", Text, nullable=False),
    Column("warned", Boolean, nullable=False),
    Column("ratio", Float, nullable=False),
    Column("settings", Text, nullable=False),
    UniqueConstraint("tenant", "name"),
    sqlite_autoincrement=True,
)

messages = Table(
    "messages",
    metadata,
    _id(),
    _agent(),
    _number("seq"),
    Column("role", Text, nullable=False),
    Column("at", _BIG, nullable=False),
    Column("event", _BIG),
    Column("completion", _BIG),
    Column("tokens", Integer, nullable=False),
    Column("units", Integer, nullable=False),  # lexical units; 0: not in the lexical index
    Column("embed", Boolean, nullable=False),  # whether the row is to have a vector
    Column("call_id", Text),
    Column("name", Text),
    Column("speaker", Text, nullable=False, server_default=""),
    Column("meta", Text, nullable=False),  # message_meta.MessageMeta
    Column("usage", Text),  # message_meta.RequestUsage, a JSON list; null for most rows
    Column("text", Text, nullable=False),
    Column("shown", Text, nullable=False),
    UniqueConstraint("agent", "seq"),
    Index("messages_of_event", "agent", "event", "seq"),
    sqlite_autoincrement=True,
)
# Rows with usage by time, so that the usage of a day is known without reading the log.
Index(
    "messages_with_usage",
    messages.c.agent,
    messages.c.at,
    sqlite_where=text("usage IS NOT NULL"),
    postgresql_where=text("usage IS NOT NULL"),
)

# storage.usage.UsageTotal; ``start`` counts quarters of an hour since 1970.
usage_totals = Table(
    "usage_totals",
    metadata,
    _agent(primary_key=True),
    Column("start", _BIG, primary_key=True, autoincrement=False),
    Column("model", Text, primary_key=True),
    Column("answered", Text, primary_key=True),
    Column("tier", _BIG, primary_key=True, autoincrement=False),
    *(
        Column(name, _BIG, nullable=False)
        for name in (
            "requests", "estimated", "input", "output", "cached", "written", "thinking", "measured", "off",
        )
    ),
    sqlite_with_rowid=False,
)  # fmt: skip

speakers = Table(
    "speakers",
    metadata,
    _agent(primary_key=True),
    Column("name", Text, primary_key=True),
    sqlite_with_rowid=False,
)

sections = Table(
    "sections",
    metadata,
    _id(),  # the order of creation
    _agent(),
    Column("name", Text, nullable=False),
    _number("version"),
    UniqueConstraint("agent", "name"),
)

section_versions = Table(
    "section_versions",
    metadata,
    _agent(primary_key=True),
    Column("name", Text, primary_key=True),
    _number("version", primary_key=True),
    Column("at", _BIG, nullable=False),
    Column("description", Text, nullable=False),
    Column("token_limit", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("read_only", Boolean, nullable=False),
)

passages = Table(
    "passages",
    metadata,
    _id(),
    _agent(),
    _number(),
    Column("at", _BIG, nullable=False),
    Column("units", Integer, nullable=False),
    Column("embed", Boolean, nullable=False),
    Column("tags", Text, nullable=False),  # JSON, in the author's order; passage_tags is the index of it
    Column("source", Text, nullable=False),
    Column("title", Text, nullable=False, server_default=""),
    Column("document", _BIG),  # the rest only for a chunk of a document: types.Place
    Column("page", Integer),
    Column("section", Text, nullable=False, server_default=""),
    Column("start", _BIG),
    Column("stop", _BIG),
    Column("text", Text, nullable=False),
    UniqueConstraint("agent", "number"),
    Index("passages_of_document", "agent", "document", "number"),
    sqlite_autoincrement=True,
)

passage_tags = Table(
    "passage_tags",
    metadata,
    _agent(primary_key=True),
    _number(primary_key=True),
    Column("tag", Text, primary_key=True),
    Index("passages_of_tag", "agent", "tag", "number"),
    sqlite_with_rowid=False,
)

# Numbers of deleted passages, and the value of ``archival_changes`` that their deletion made.
deletions = Table(
    "deletions",
    metadata,
    _agent(primary_key=True),
    Column("change", _BIG, primary_key=True, autoincrement=False),
    _number(primary_key=True),
    sqlite_with_rowid=False,
)

documents = Table(
    "documents",
    metadata,
    _agent(primary_key=True),
    _number(primary_key=True),
    Column("source", Text, nullable=False),  # a path or URL; loading it again replaces the document
    Column("title", Text, nullable=False),
    Column("media", Text, nullable=False),  # its media type
    Column("digest", Text, nullable=False),  # SHA-256 of the file, hexadecimal
    Column("at", _BIG, nullable=False),
    Column("pages", Integer, nullable=False),
    Column("tags", Text, nullable=False),
    UniqueConstraint("agent", "source"),
)

document_pages = Table(
    "document_pages",
    metadata,
    _agent(primary_key=True),
    Column("document", _BIG, primary_key=True, autoincrement=False),
    Column("page", Integer, primary_key=True, autoincrement=False),
    Column("heading", Text, nullable=False),
    Column("text", Text, nullable=False),
)

inbox = Table(
    "inbox",
    metadata,
    _agent(primary_key=True),
    _number(primary_key=True),
    Column("kind", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("key", Text),
    Column("sender", Text),
    Column("at", _BIG),
    Column("state", Text, nullable=False),
    Column("started", _BIG),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("rank", Integer),  # 0 active, 1 memory pressure, 2 other pending, null done: the order of service
    UniqueConstraint("agent", "key"),
)
Index(
    "inbox_open",
    inbox.c.agent,
    inbox.c.rank,
    inbox.c.number,
    sqlite_where=text("rank IS NOT NULL"),
    postgresql_where=text("rank IS NOT NULL"),
)

schedules = Table(
    "schedules",
    metadata,
    _agent(primary_key=True),
    _number(primary_key=True),
    Column("due", _BIG, nullable=False, index=True),
    Column("cron", Text),
    Column("zone", Text, nullable=False),
    Column("catch_up", Text, nullable=False),
    Column("note", Text, nullable=False),
)

vectors = Table(
    "vectors",
    metadata,
    _agent(primary_key=True),
    Column("tier", Text, primary_key=True),
    Column("fingerprint", Text, primary_key=True),
    _number(primary_key=True),
    Column("part", Integer, primary_key=True, autoincrement=False),  # the window of a long text, from 0
    Column("text_hash", LargeBinary, nullable=False),
    Column("vector", LargeBinary, nullable=False),  # 16-bit floats, little endian
    sqlite_with_rowid=False,  # so that one agent's vectors lie together
)

# Copies of rows and of quantized vectors, read at the first search: storage.index.blocks.
index_blocks = Table(
    "index_blocks",
    metadata,
    _agent(primary_key=True),
    Column("tier", Text, primary_key=True),
    Column("fingerprint", Text, primary_key=True),  # empty: rows
    Column("block", _BIG, primary_key=True, autoincrement=False),
    Column("count", Integer, nullable=False),
    Column("names", Text, nullable=False),
    Column("data", LargeBinary, nullable=False),
)

# Every row of ``tier`` with an id up to ``done`` that is to have a vector of this fingerprint has it.
vector_marks = Table(
    "vector_marks",
    metadata,
    Column("fingerprint", Text, primary_key=True),
    Column("tier", Text, primary_key=True),
    Column("done", _BIG, nullable=False),
)

# storage.EmbedderRecord
embedders = Table(
    "embedders",
    metadata,
    Column("fingerprint", Text, primary_key=True),
    Column("name", Text, nullable=False),  # as ``build.make_embedder`` takes it
    Column("dimensions", Integer, nullable=False),
    Column("wanted", Boolean, nullable=False),
    Column("in_service", Boolean, nullable=False),
)
