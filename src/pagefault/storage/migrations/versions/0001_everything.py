"""SQLite's first version: every table, and the lexical index. PostgreSQL begins with 0002."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        return
    _agents()
    _recall()
    _working_context()
    _archival()
    _queues()
    _vectors()
    # Units come ready made; lengths are in the rows. The two vocabularies show the index to BM25.
    op.execute("CREATE VIRTUAL TABLE lexicon USING fts5(units, tokenize = 'ascii', columnsize = 0)")
    op.execute("CREATE VIRTUAL TABLE lexicon_postings USING fts5vocab('lexicon', 'instance')")
    op.execute("CREATE VIRTUAL TABLE lexicon_terms USING fts5vocab('lexicon', 'row')")


def _agents() -> None:
    op.create_table(
        "agents",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created", _BIG, nullable=False),
        sa.Column("last_seq", _BIG, server_default="0", nullable=False),
        sa.Column("last_passage", _BIG, server_default="0", nullable=False),
        sa.Column("last_event", _BIG, server_default="0", nullable=False),
        sa.Column("last_schedule", _BIG, server_default="0", nullable=False),
        sa.Column("recall_rows", _BIG, server_default="0", nullable=False),
        sa.Column("recall_units", _BIG, server_default="0", nullable=False),
        sa.Column("archival_rows", _BIG, server_default="0", nullable=False),
        sa.Column("archival_units", _BIG, server_default="0", nullable=False),
        sa.Column("start", _BIG, nullable=False),
        sa.Column("summary", _BIG, nullable=True),
        sa.Column("pinned", _BIG, nullable=True),
        sa.Column("head", sa.Text(), nullable=False),
        sa.Column("warned", sa.Boolean(), nullable=False),
        sa.Column("ratio", sa.Float(), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
        sqlite_autoincrement=True,
    )


def _recall() -> None:
    op.create_table(
        "messages",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("agent", _BIG, nullable=False),
        sa.Column("seq", _BIG, autoincrement=False, nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("at", _BIG, nullable=False),
        sa.Column("event", _BIG, nullable=True),
        sa.Column("completion", _BIG, nullable=True),
        sa.Column("tokens", sa.Integer(), nullable=False),
        sa.Column("units", sa.Integer(), nullable=False),
        sa.Column("embed", sa.Boolean(), nullable=False),
        sa.Column("call_id", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("meta", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("shown", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["agent"], ["agents.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("agent", "seq"),
        sqlite_autoincrement=True,
    )
    op.create_index("messages_of_event", "messages", ["agent", "event", "seq"], unique=False)


def _working_context() -> None:
    op.create_table(
        "sections",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("agent", _BIG, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", _BIG, autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["agent"], ["agents.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("agent", "name"),
    )
    op.create_table(
        "section_versions",
        sa.Column("agent", _BIG, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", _BIG, autoincrement=False, nullable=False),
        sa.Column("at", _BIG, nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("token_limit", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("read_only", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["agent"], ["agents.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("agent", "name", "version"),
    )


def _archival() -> None:
    op.create_table(
        "passages",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("agent", _BIG, nullable=False),
        sa.Column("number", _BIG, autoincrement=False, nullable=False),
        sa.Column("at", _BIG, nullable=False),
        sa.Column("units", sa.Integer(), nullable=False),
        sa.Column("embed", sa.Boolean(), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["agent"], ["agents.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("agent", "number"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "passage_tags",
        sa.Column("agent", _BIG, nullable=False),
        sa.Column("number", _BIG, autoincrement=False, nullable=False),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["agent"], ["agents.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("agent", "number", "tag"),
        sqlite_with_rowid=False,
    )


def _queues() -> None:
    op.create_table(
        "inbox",
        sa.Column("agent", _BIG, nullable=False),
        sa.Column("number", _BIG, autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("sender", sa.Text(), nullable=True),
        sa.Column("at", _BIG, nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("started", _BIG, nullable=True),
        sa.Column("rank", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["agent"], ["agents.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("agent", "number"),
        sa.UniqueConstraint("agent", "key"),
    )
    op.create_index(
        "inbox_open",
        "inbox",
        ["agent", "rank", "number"],
        unique=False,
        sqlite_where=sa.text("rank IS NOT NULL"),
        postgresql_where=sa.text("rank IS NOT NULL"),
    )
    op.create_table(
        "schedules",
        sa.Column("agent", _BIG, nullable=False),
        sa.Column("number", _BIG, autoincrement=False, nullable=False),
        sa.Column("due", _BIG, nullable=False),
        sa.Column("cron", sa.Text(), nullable=True),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("catch_up", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["agent"], ["agents.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("agent", "number"),
    )
    op.create_index(op.f("ix_schedules_due"), "schedules", ["due"], unique=False)


def _vectors() -> None:
    op.create_table(
        "vectors",
        sa.Column("agent", _BIG, nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("number", _BIG, autoincrement=False, nullable=False),
        sa.Column("text_hash", sa.LargeBinary(), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["agent"], ["agents.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("agent", "tier", "fingerprint", "number"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "vector_marks",
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("done", _BIG, nullable=False),
        sa.PrimaryKeyConstraint("fingerprint", "tier"),
    )
