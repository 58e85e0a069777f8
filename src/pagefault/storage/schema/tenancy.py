"""The tables of tenants as a whole: API keys, quotas, the log of administrative acts."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, Index, Table, Text

from pagefault.storage.schema.columns import BIG, id_column, metadata

__all__ = ["api_keys", "audit", "quotas"]

api_keys = Table(
    "api_keys",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("digest", Text, nullable=False, unique=True),  # SHA-256 of the secret, which has 256 random bits
    Column("role", Text, nullable=False),
    Column("agents", Text),  # JSON; null: all
    Column("tag", Text),  # null: any
    Column("speaks", Boolean, nullable=False),
    Column("created", BIG, nullable=False),
    Column("rate", BIG),  # requests a minute; null: as the server has it
    Column("body", BIG),  # bytes; null: as the server has it
    sqlite_with_rowid=False,
)

audit = Table(
    "audit",
    metadata,
    id_column(),
    Column("tenant", Text, nullable=False),
    Column("at", BIG, nullable=False),
    Column("who", Text, nullable=False),
    Column("what", Text, nullable=False),
    Index("audit_of_tenant", "tenant", "id"),
    sqlite_autoincrement=True,
)

quotas = Table(
    "quotas",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("agent_limit", BIG),
    Column("row_limit", BIG),
    Column("document_limit", BIG),
    Column("daily_tokens", BIG),
    Column("daily_cost", Float),
    Column("media_bytes", BIG),
    sqlite_with_rowid=False,
)
