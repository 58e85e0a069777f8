"""The tables of agents and of their memory: the log, the sections, passages and documents."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, Index, Integer, Table, Text, UniqueConstraint, false, text

from pagefault.storage.schema.columns import (
    BIG,
    agent_column,
    counter_column,
    id_column,
    metadata,
    number_column,
)

__all__ = [
    "agents",
    "deletions",
    "document_pages",
    "documents",
    "messages",
    "passage_tags",
    "passages",
    "recall_deletions",
    "section_versions",
    "sections",
    "speakers",
    "usage_totals",
]

agents = Table(
    "agents",
    metadata,
    id_column(),
    Column("tenant", Text, nullable=False, server_default=""),
    Column("name", Text, nullable=False),
    Column("created", BIG, nullable=False),
    # The last numbers given out, and what BM25 needs to know of each tier: indexed rows and their units.
    counter_column("last_seq"),
    counter_column("last_passage"),
    counter_column("last_event"),
    counter_column("last_schedule"),
    counter_column("last_document"),
    counter_column("last_outgoing"),
    counter_column("last_segment"),
    counter_column("attachment_changes"),  # to know that a loaded agent has other functions by now
    counter_column("recall_rows"),
    counter_column("recall_units"),
    counter_column("archival_rows"),
    counter_column("archival_units"),
    # What an index in memory compares to know that it is behind: changes of any kind, and those after which
    # reading what is new does not suffice.
    counter_column("recall_changes"),
    counter_column("recall_rebuilds"),
    counter_column("archival_changes"),
    counter_column("archival_rebuilds"),
    # types.QueueState
    Column("start", BIG, nullable=False),
    Column("summary", BIG),
    Column("pinned", BIG),
    Column("head", Text, nullable=False),
    Column("warned", Boolean, nullable=False),
    Column("ratio", Float, nullable=False),
    Column("settings", Text, nullable=False),
    counter_column("lease_fence"),  # storage.TurnHold
    Column("parked", Text),  # why no turn of it is run
    # Since when an event of the inbox can be served; null: none can. The ready are served oldest first.
    Column("ready", BIG),
    Column("undecided", BIG),  # since when its open turn waits for a decision: until then it is not ready
    Column("unembedded", BIG),  # since when rows of it may wait for a vector; null: none does
    Column("hold", Text),  # why nothing of it may be forgotten; null: it may
    Column("holder", Text),  # the worker that has its lease; only where ``workers`` lists them: PostgreSQL
    UniqueConstraint("tenant", "name"),
    sqlite_autoincrement=True,
)

Index(
    "agents_unembedded",
    agents.c.unembedded,
    sqlite_where=text("unembedded IS NOT NULL"),
    postgresql_where=text("unembedded IS NOT NULL"),
)
Index(
    "agents_ready",
    agents.c.tenant,
    agents.c.ready,
    sqlite_where=text("ready IS NOT NULL AND holder IS NULL AND parked IS NULL"),
    postgresql_where=text("ready IS NOT NULL AND holder IS NULL AND parked IS NULL"),
)

messages = Table(
    "messages",
    metadata,
    id_column(),
    agent_column(),
    number_column("seq"),
    Column("role", Text, nullable=False),
    Column("at", BIG, nullable=False),
    Column("event", BIG),
    Column("completion", BIG),
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
    # The row that says that this one was undone; null: it counts. Then it has neither units nor vectors.
    Column("withdrawn", BIG),
    Column("erased", Boolean, nullable=False, server_default=false()),  # it was forgotten
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

Index(
    "messages_withdrawn",
    messages.c.agent,
    messages.c.at,
    sqlite_where=text("withdrawn IS NOT NULL"),
    postgresql_where=text("withdrawn IS NOT NULL"),
)

# storage.usage.UsageTotal; ``start`` counts quarters of an hour since 1970.
usage_totals = Table(
    "usage_totals",
    metadata,
    agent_column(primary_key=True),
    Column("start", BIG, primary_key=True, autoincrement=False),
    Column("model", Text, primary_key=True),
    Column("answered", Text, primary_key=True),
    Column("tier", BIG, primary_key=True, autoincrement=False),
    Index("usage_totals_start", "start"),
    *(
        Column(name, BIG, nullable=False)
        for name in (
            "requests", "estimated", "input", "output", "cached", "written", "thinking", "measured", "off",
        )
    ),
    sqlite_with_rowid=False,
)  # fmt: skip

speakers = Table(
    "speakers",
    metadata,
    agent_column(primary_key=True),
    Column("name", Text, primary_key=True),
    sqlite_with_rowid=False,
)

sections = Table(
    "sections",
    metadata,
    id_column(),  # the order of creation
    agent_column(),
    Column("name", Text, nullable=False),
    number_column("version"),
    UniqueConstraint("agent", "name"),
)

section_versions = Table(
    "section_versions",
    metadata,
    agent_column(primary_key=True),
    Column("name", Text, primary_key=True),
    number_column("version", primary_key=True),
    Column("at", BIG, nullable=False),
    Column("description", Text, nullable=False),
    Column("token_limit", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("read_only", Boolean, nullable=False),
    Column("born", BIG),  # the last row of the log when it was stored; null: not known
)

passages = Table(
    "passages",
    metadata,
    id_column(),
    agent_column(),
    number_column(),
    Column("at", BIG, nullable=False),
    Column("units", Integer, nullable=False),
    Column("embed", Boolean, nullable=False),
    Column("tags", Text, nullable=False),  # JSON, in the author's order; passage_tags is the index of it
    Column("source", Text, nullable=False),
    Column("title", Text, nullable=False, server_default=""),
    Column("document", BIG),  # the rest only for a chunk of a document: types.Place
    Column("page", Integer),
    Column("section", Text, nullable=False, server_default=""),
    Column("start", BIG),
    Column("stop", BIG),
    Column("text", Text, nullable=False),
    Column("born", BIG),  # as of a section's version
    Column("event", BIG),  # the event in whose turn the agent stored it; null: it is from outside
    Column("withdrawn", BIG),  # as of a message
    # types.Passage; ``marked``: the event in whose turn it was superseded; null: it was from outside.
    *(Column(name, BIG) for name in ("valid_from", "valid_until", "superseded", "ended", "marked")),
    *(Column(name, BIG) for name in ("found", "same", "about")),
    UniqueConstraint("agent", "number"),
    Index("passages_of_document", "agent", "document", "number"),
    sqlite_autoincrement=True,
)

Index(
    "passages_of_event",
    passages.c.agent,
    passages.c.event,
    sqlite_where=text("event IS NOT NULL"),
    postgresql_where=text("event IS NOT NULL"),
)

# Facts by their keys, those that do not hold always, what took the place of others, and those without keys.
_LIMITED = "valid_from IS NOT NULL OR valid_until IS NOT NULL OR superseded IS NOT NULL"
for _name, _columns, _only in (
    ("passages_same", ("same", "number"), "same IS NOT NULL"),
    ("passages_about", ("about", "number"), "about IS NOT NULL"),
    ("passages_limited", ("number",), _LIMITED),
    ("passages_superseded", ("superseded",), "superseded IS NOT NULL"),
    ("passages_unkeyed", ("number",), "same IS NULL AND coalesce(document, 0) = 0"),
):
    Index(
        _name,
        *(passages.c[column] for column in ("agent", *_columns)),
        sqlite_where=text(_only),
        postgresql_where=text(_only),
    )

passage_tags = Table(
    "passage_tags",
    metadata,
    agent_column(primary_key=True),
    number_column(primary_key=True),
    Column("tag", Text, primary_key=True),
    Index("passages_of_tag", "agent", "tag", "number"),
    sqlite_with_rowid=False,
)

# Numbers of passages that were deleted or withdrawn, and the value of ``archival_changes`` that this made;
# of rows of the log that left the indexes, with that of ``recall_changes``.
deletions, recall_deletions = (
    Table(
        name,
        metadata,
        agent_column(primary_key=True),
        Column("change", BIG, primary_key=True, autoincrement=False),
        number_column(primary_key=True),
        sqlite_with_rowid=False,
    )
    for name in ("deletions", "recall_deletions")
)

documents = Table(
    "documents",
    metadata,
    agent_column(primary_key=True),
    number_column(primary_key=True),
    Column("source", Text, nullable=False),  # a path or URL; loading it again replaces the document
    Column("title", Text, nullable=False),
    Column("media", Text, nullable=False),  # its media type
    Column("digest", Text, nullable=False),  # SHA-256 of the file, hexadecimal
    Column("at", BIG, nullable=False),
    Column("pages", Integer, nullable=False),
    Column("tags", Text, nullable=False),
    UniqueConstraint("agent", "source"),
)

document_pages = Table(
    "document_pages",
    metadata,
    agent_column(primary_key=True),
    Column("document", BIG, primary_key=True, autoincrement=False),
    Column("page", Integer, primary_key=True, autoincrement=False),
    Column("heading", Text, nullable=False),
    Column("text", Text, nullable=False),
)
