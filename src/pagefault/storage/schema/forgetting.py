"""The table of tombstones: that something was forgotten, when, and how much."""

from __future__ import annotations

from sqlalchemy import Column, Table, Text

from pagefault.storage.schema.columns import BIG, agent_column, metadata, number_column

__all__ = ["tombstones"]

tombstones = Table(
    "tombstones",
    metadata,
    agent_column(primary_key=True),
    number_column(primary_key=True),
    Column("at", BIG, nullable=False),
    Column("person", Text, nullable=False),
    Column("counts", Text, nullable=False),  # JSON: of each kind of item, how many
    sqlite_with_rowid=False,
)
