"""The tables of calls that wait for a decision, and of functions that an agent may call without one."""

from __future__ import annotations

from sqlalchemy import Column, Index, Table, Text, text

from pagefault.storage.schema.columns import BIG, agent_column, metadata, number_column

__all__ = ["approvals", "grants"]

# Those of the open turn; with the end of the turn they go.
approvals = Table(
    "approvals",
    metadata,
    agent_column(primary_key=True),
    number_column(primary_key=True),  # of the call's row in the log
    Column("event", BIG, nullable=False),
    Column("name", Text, nullable=False),
    Column("arguments", Text, nullable=False),  # JSON
    Column("asked", BIG, nullable=False),
    Column("expires", BIG),
    Column("decision", Text, nullable=False),  # empty: none so far
    Column("note", Text, nullable=False),
    Column("changed", Text),  # JSON: other arguments
    Column("decided", BIG),
    Column("person", Text, nullable=False),  # who decided
    Index(
        "approvals_undecided",
        "expires",
        sqlite_where=text("decision = ''"),
        postgresql_where=text("decision = ''"),
    ),
    sqlite_with_rowid=False,
)

grants = Table(
    "grants",
    metadata,
    agent_column(primary_key=True),
    Column("name", Text, primary_key=True),
    Column("at", BIG, nullable=False),
    Column("person", Text, nullable=False),
    sqlite_with_rowid=False,
)
