"""The tables of what agents share: who is attached to it, and what is on its way to it.

An archive or a shared section is itself a row of ``agents``, called as ``SharedRecord.stored_name`` says.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Table, Text

from pagefault.storage.schema.columns import BIG, agent_column, metadata, number_column

__all__ = ["attachments", "deliveries", "outbox"]

attachments = Table(
    "attachments",
    metadata,
    agent_column(primary_key=True),
    Column("target", Text, primary_key=True),  # its stored name, which holds in a copy of the database too
    Column("read_only", Boolean, nullable=False),
    Column("at", BIG, nullable=False),
    Index("attachments_of_target", "target", "agent"),
    sqlite_with_rowid=False,
)

# Effects that an agent's transaction has on a target elsewhere, until they are applied there.
outbox = Table(
    "outbox",
    metadata,
    agent_column(primary_key=True),
    number_column(primary_key=True),
    Column("target", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("payload", Text, nullable=False),  # JSON
    Column("at", BIG, nullable=False),
    Column("parked", Text),  # the reason why it is not applied
    sqlite_with_rowid=False,
)

# Of each sender the number of the last effect that was applied to a target, which is the ``agent`` here.
deliveries = Table(
    "deliveries",
    metadata,
    agent_column(primary_key=True),
    number_column("sender", primary_key=True),
    number_column(),
    sqlite_with_rowid=False,
)
