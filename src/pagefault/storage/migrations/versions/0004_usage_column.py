"""The usage of requests in a column of its own, with its totals; tenants of agents; attempts of events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

from pagefault.storage.migrations.postgres_base import has_partitions, partitions_of
from pagefault.storage.times import moment
from pagefault.storage.usage import RowUsage, add_up
from pagefault.storage.usage_rows import to_usage, total_values, usage_text
from pagefault.types import AgentId, Role

revision = "0004"
down_revision = "0003"

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_BATCH = 5_000  # rows
_AGENTS = (
    "id, name, created, last_seq, last_passage, last_event, last_schedule, last_document, recall_rows, "
    "recall_units, archival_rows, archival_units, recall_changes, recall_rebuilds, archival_changes, "
    "archival_rebuilds, start, summary, pinned, head, warned, ratio, settings"
)
_COUNTERS = (
    "last_seq", "last_passage", "last_event", "last_schedule", "last_document", "recall_rows", "recall_units",
    "archival_rows", "archival_units", "recall_changes", "recall_rebuilds", "archival_changes",
    "archival_rebuilds",
)  # fmt: skip
_SUMS = ("requests", "estimated", "input", "output", "cached", "written", "thinking", "measured", "off")


def upgrade() -> None:
    postgres = op.get_bind().dialect.name == "postgresql"
    if postgres:
        _name_agents_within_tenants()
    else:
        _rebuild_agents()
    op.add_column("inbox", sa.Column("attempts", sa.Integer(), server_default="0", nullable=False))
    op.add_column("messages", sa.Column("usage", sa.Text(), nullable=True))
    _create_totals(postgres)
    for agent in [row[0] for row in op.get_bind().execute(sa.text("SELECT id FROM agents"))]:
        _move_usage(agent, "strpos" if postgres else "instr")
    op.execute("DROP INDEX messages_with_usage")
    op.execute("CREATE INDEX messages_with_usage ON messages (agent, at) WHERE usage IS NOT NULL")


def _name_agents_within_tenants() -> None:
    for table in ("agents", "agent_names"):
        op.add_column(table, sa.Column("tenant", sa.Text(), server_default="", nullable=False))
    op.execute("ALTER TABLE agent_names DROP CONSTRAINT agent_names_pkey, ADD PRIMARY KEY (tenant, name)")


def _rebuild_agents() -> None:
    """SQLite cannot drop the constraint that a name is unique."""
    op.create_table(
        "agents_0004",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("tenant", sa.Text(), server_default="", nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created", _BIG, nullable=False),
        *(sa.Column(name, _BIG, server_default="0", nullable=False) for name in _COUNTERS),
        sa.Column("start", _BIG, nullable=False),
        sa.Column("summary", _BIG, nullable=True),
        sa.Column("pinned", _BIG, nullable=True),
        sa.Column("head", sa.Text(), nullable=False),
        sa.Column("warned", sa.Boolean(), nullable=False),
        sa.Column("ratio", sa.Float(), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant", "name"),
        sqlite_autoincrement=True,
    )
    op.execute(f"INSERT INTO agents_0004 ({_AGENTS}) SELECT {_AGENTS} FROM agents")
    # Numbers of deleted agents are not given out again.
    op.execute("DELETE FROM sqlite_sequence WHERE name = 'agents_0004'")
    op.execute("UPDATE sqlite_sequence SET name = 'agents_0004' WHERE name = 'agents'")
    op.drop_table("agents")
    op.rename_table("agents_0004", "agents")


def _create_totals(postgres: bool) -> None:
    partitioned = postgres and has_partitions()
    owner = () if postgres else (sa.ForeignKeyConstraint(["agent"], ["agents.id"], ondelete="CASCADE"),)
    op.create_table(
        "usage_totals",
        sa.Column("agent", _BIG, nullable=False),
        sa.Column("start", _BIG, autoincrement=False, nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("answered", sa.Text(), nullable=False),
        sa.Column("tier", _BIG, autoincrement=False, nullable=False),
        *(sa.Column(name, _BIG, nullable=False) for name in _SUMS),
        sa.PrimaryKeyConstraint("agent", "start", "model", "answered", "tier"),
        *owner,
        sqlite_with_rowid=False,
        postgresql_partition_by="HASH (agent)" if partitioned else None,
    )
    for statement in partitions_of("usage_totals") if partitioned else ():
        op.execute(statement)


def _move_usage(agent: int, find: str) -> None:
    """Move the usage of an agent's rows out of ``meta``, and add it up."""
    totals = add_up(_moved(agent, find))
    if totals:
        names = ("agent", "start", "model", "answered", "tier", *_SUMS)
        values = ", ".join(f":{name}" for name in names)
        insert = sa.text(f"INSERT INTO usage_totals ({', '.join(names)}) VALUES ({values})")
        op.get_bind().execute(insert, [total_values(AgentId(agent), total) for total in totals])


def _moved(agent: int, find: str) -> Iterator[RowUsage]:
    # The condition is the one of the index of 0003, and only finds candidates: the text is parsed.
    rows = sa.text(
        "SELECT seq, at, meta FROM messages WHERE agent = :agent AND seq > :after "
        f"""AND {find}(meta, '"usage": [') > 0 ORDER BY seq LIMIT :limit"""
    )
    change = sa.text("UPDATE messages SET meta = :meta, usage = :usage WHERE agent = :agent AND seq = :seq")
    after = 0
    while found := op.get_bind().execute(rows, {"agent": agent, "after": after, "limit": _BATCH}).all():
        changes: list[dict[str, Any]] = []
        for seq, at, stored in found:
            meta = json.loads(stored)
            if entries := meta.pop("usage", None):
                usage = usage_text(to_usage(json.dumps(entries)))
                changes.append({"agent": agent, "seq": seq, "meta": json.dumps(meta), "usage": usage})
                yield RowUsage(seq, moment(at), None, Role.CALL, to_usage(usage))
        if changes:
            op.get_bind().execute(change, changes)
        after = found[-1][0]
