"""External memory: speakers, documents, vectors of windows, what an index in memory needs to keep up.

PostgreSQL begins here, with all tables.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pagefault.storage.migrations.postgres_base import statements

revision = "0002"
down_revision = "0001"

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_COUNTERS = ("last_document", "recall_changes", "recall_rebuilds", "archival_changes", "archival_rebuilds")


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for statement in statements():
            op.execute(statement)
        return
    for name in _COUNTERS:
        op.add_column("agents", sa.Column(name, _BIG, server_default="0", nullable=False))
    op.add_column("messages", sa.Column("speaker", sa.Text(), server_default="", nullable=False))
    op.create_table(
        "speakers",
        _agent(),
        sa.Column("name", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["agent"], ["agents.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("agent", "name"),
        sqlite_with_rowid=False,
    )
    _passages()
    _documents()
    _vectors()


def _passages() -> None:
    for column in (
        sa.Column("title", sa.Text(), server_default="", nullable=False),
        sa.Column("document", _BIG, nullable=True),
        sa.Column("page", sa.Integer(), nullable=True),
        sa.Column("section", sa.Text(), server_default="", nullable=False),
        sa.Column("start", _BIG, nullable=True),
        sa.Column("stop", _BIG, nullable=True),
    ):
        op.add_column("passages", column)
    op.create_index("passages_of_document", "passages", ["agent", "document", "number"])
    op.create_index("passages_of_tag", "passage_tags", ["agent", "tag", "number"])
    op.create_table(
        "deletions",
        _agent(),
        _number("change"),
        _number("number"),
        sa.ForeignKeyConstraint(["agent"], ["agents.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("agent", "change", "number"),
        sqlite_with_rowid=False,
    )


def _documents() -> None:
    op.create_table(
        "documents",
        _agent(),
        _number("number"),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("media", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("at", _BIG, nullable=False),
        sa.Column("pages", sa.Integer(), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["agent"], ["agents.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("agent", "number"),
        sa.UniqueConstraint("agent", "source"),
    )
    op.create_table(
        "document_pages",
        _agent(),
        _number("document"),
        sa.Column("page", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("heading", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["agent"], ["agents.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("agent", "document", "page"),
    )


def _vectors() -> None:
    op.rename_table("vectors", "vectors_0001")
    op.create_table(
        "vectors",
        _agent(),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        _number("number"),
        sa.Column("part", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("text_hash", sa.LargeBinary(), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["agent"], ["agents.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("agent", "tier", "fingerprint", "number", "part"),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO vectors SELECT agent, tier, fingerprint, number, 0, text_hash, vector FROM vectors_0001"
    )
    op.drop_table("vectors_0001")
    op.create_table(
        "embedders",
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("dimensions", sa.Integer(), nullable=False),
        sa.Column("wanted", sa.Boolean(), nullable=False),
        sa.Column("in_service", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("fingerprint"),
    )


def _agent() -> sa.Column[int]:
    return sa.Column("agent", _BIG, nullable=False)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, _BIG, autoincrement=False, nullable=False)
