"""The columns that tables share, and the metadata that lists all tables."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, MetaData

__all__ = ["BIG", "agent_column", "counter_column", "id_column", "metadata", "number_column"]

metadata = MetaData()

BIG = BigInteger().with_variant(Integer, "sqlite")  # on SQLite only INTEGER can be the row id


def id_column() -> Column[int]:
    return Column("id", BIG, primary_key=True)


def agent_column(*, primary_key: bool = False) -> Column[int]:
    owner = ForeignKey("agents.id", ondelete="CASCADE")
    return Column("agent", BIG, owner, primary_key=primary_key, nullable=False)


def number_column(name: str = "number", *, primary_key: bool = False) -> Column[int]:
    return Column(name, BIG, primary_key=primary_key, nullable=False, autoincrement=False)


def counter_column(name: str) -> Column[int]:
    return Column(name, BIG, nullable=False, server_default="0")
