"""The tables of vectors and of what the index in memory is made from."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Integer, LargeBinary, Table, Text

from pagefault.storage.schema.columns import BIG, agent_column, metadata, number_column

__all__ = ["embedders", "index_blocks", "segments", "vector_marks", "vectors", "word_blocks"]

vectors = Table(
    "vectors",
    metadata,
    agent_column(primary_key=True),
    Column("tier", Text, primary_key=True),
    Column("fingerprint", Text, primary_key=True),
    number_column(primary_key=True),
    Column(
        "part", Integer, primary_key=True, autoincrement=False
    ),  # the window of a long text, from 0; -1: not read, no vector
    Column("text_hash", LargeBinary, nullable=False),
    Column("vector", LargeBinary, nullable=False),  # 16-bit floats, little endian
    sqlite_with_rowid=False,  # so that one agent's vectors lie together
)

# Copies of rows and of quantized vectors, read at the first search: storage.index.blocks.
index_blocks = Table(
    "index_blocks",
    metadata,
    agent_column(primary_key=True),
    Column("tier", Text, primary_key=True),
    Column("fingerprint", Text, primary_key=True),  # empty: rows
    Column("block", BIG, primary_key=True, autoincrement=False),
    Column("count", Integer, nullable=False),
    Column("names", Text, nullable=False),
    Column("data", LargeBinary, nullable=False),
)

# Ranges of numbers that have an index of their own, for words (no fingerprint) or one embedder's vectors;
# those of one such index are contiguous from 1 on. ``dead``: rows of it that were deleted since.
segments = Table(
    "segments",
    metadata,
    agent_column(primary_key=True),
    number_column(primary_key=True),
    Column("tier", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    number_column("first"),
    number_column("last"),
    Column("state", Text, nullable=False),  # storage.segments.SegmentState
    number_column("rows"),
    number_column("dead"),
    sqlite_with_rowid=False,
)

# The postings of a unit in a segment of words, many in a block (storage.index.words); ``block`` is the number
# of the first row that it was made with.
word_blocks = Table(
    "word_blocks",
    metadata,
    agent_column(primary_key=True),
    number_column("segment", primary_key=True),
    Column("unit", Text, primary_key=True),
    number_column("block", primary_key=True),
    Column("count", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

# Every row of the agent's ``tier`` with a number up to ``done`` that is to have a vector of this fingerprint
# has it.
vector_marks = Table(
    "vector_marks",
    metadata,
    agent_column(primary_key=True),
    Column("fingerprint", Text, primary_key=True),
    Column("tier", Text, primary_key=True),
    Column("done", BIG, nullable=False),
    sqlite_with_rowid=False,
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
    # The last agent that it was looked through for; null: all were, and ``agents.unembedded`` says the rest.
    Column("walked", BIG, server_default="0"),
)
