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

__all__ = [
    "agents",
    "inbox",
    "messages",
    "metadata",
    "passage_tags",
    "passages",
    "schedules",
    "section_versions",
    "sections",
    "vector_marks",
    "vectors",
]

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
    Column("name", Text, nullable=False, unique=True),
    Column("created", _BIG, nullable=False),
    # The last numbers given out, and what BM25 needs to know of each tier: indexed rows and their units.
    _counter("last_seq"),
    _counter("last_passage"),
    _counter("last_event"),
    _counter("last_schedule"),
    _counter("recall_rows"),
    _counter("recall_units"),
    _counter("archival_rows"),
    _counter("archival_units"),
    # types.QueueState
    Column("start", _BIG, nullable=False),
    Column("summary", _BIG),
    Column("pinned", _BIG),
    Column("head", Text, nullable=False),
    Column("warned", Boolean, nullable=False),
    Column("ratio", Float, nullable=False),
    Column("settings", Text, nullable=False),
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
    Column("meta", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("shown", Text, nullable=False),
    UniqueConstraint("agent", "seq"),
    Index("messages_of_event", "agent", "event", "seq"),
    sqlite_autoincrement=True,
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
    Column("text", Text, nullable=False),
    UniqueConstraint("agent", "number"),
    sqlite_autoincrement=True,
)

passage_tags = Table(
    "passage_tags",
    metadata,
    _agent(primary_key=True),
    _number(primary_key=True),
    Column("tag", Text, primary_key=True),
    sqlite_with_rowid=False,
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
    Column("text_hash", LargeBinary, nullable=False),
    Column("vector", LargeBinary, nullable=False),  # 16-bit floats, little endian
    sqlite_with_rowid=False,  # so that one agent's vectors lie together
)

# Every row of ``tier`` with an id up to ``done`` that is to have a vector of this fingerprint has it.
vector_marks = Table(
    "vector_marks",
    metadata,
    Column("fingerprint", Text, primary_key=True),
    Column("tier", Text, primary_key=True),
    Column("done", _BIG, nullable=False),
)
