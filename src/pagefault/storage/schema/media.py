"""The table of the bytes of images and files that rows of the log refer to."""

from __future__ import annotations

from sqlalchemy import Column, LargeBinary, Table, Text

from pagefault.storage.schema.columns import BIG, agent_column, metadata

__all__ = ["media"]

media = Table(
    "media",
    metadata,
    agent_column(primary_key=True),
    Column("hash", Text, primary_key=True),  # SHA-256, hexadecimal
    Column("media_type", Text, nullable=False),
    Column("size", BIG, nullable=False),
    Column("width", BIG, nullable=False),  # in pixels; 0: no image
    Column("height", BIG, nullable=False),
    Column("data", LargeBinary, nullable=False),
)
