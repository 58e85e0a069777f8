"""The tables of events and schedules."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, Table, Text, UniqueConstraint, text

from pagefault.storage.schema.columns import BIG, agent_column, metadata, number_column

__all__ = ["inbox", "schedules"]

inbox = Table(
    "inbox",
    metadata,
    agent_column(primary_key=True),
    number_column(primary_key=True),
    Column("kind", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("key", Text),
    Column("sender", Text),
    Column("at", BIG),
    Column("state", Text, nullable=False),
    Column("started", BIG),
    Column("attempts", Integer, nullable=False, server_default="0"),
    # The order of service: 0 active, 1 memory pressure, 2 other pending; null: done or parked. -1: its turn
    # waits for a decision, and all others behind it.
    Column("rank", Integer),
    Column("parked", Text),  # why it is not served
    Column("hops", Integer, nullable=False, server_default="0"),
    Column("trace", Text),  # of whoever posted it
    Column("media", Text),  # JSON: the images that it refers to
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
    agent_column(primary_key=True),
    number_column(primary_key=True),
    Column("due", BIG, nullable=False),
    Column("cron", Text),
    Column("zone", Text, nullable=False),
    Column("catch_up", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("parked", Text),  # why it does not fire
    Column("hops", Integer, nullable=False, server_default="0"),
    Column("event", BIG),  # the event in whose turn it was set; null: it is from outside
    Column("withdrawn", BIG),  # the row of the log that says that it was undone; null: it counts
)
Index(
    "schedules_due",
    schedules.c.due,
    sqlite_where=text("parked IS NULL"),
    postgresql_where=text("parked IS NULL"),
)
