"""The tables as PostgreSQL has them from its first version on, which is 0002.

They have the names and columns of ``storage.schema``. What differs: each table is partitioned by agent (where
there is no Citus, which spreads whole tables) and its keys begin with the agent; there are no foreign keys;
names of agents are unique in a table of their own; turns have a fence; marks of vectors are per agent;
vectors are pgvector's; the lexical index is a table.
"""

from __future__ import annotations

from collections.abc import Iterator

from alembic import op

__all__ = ["has_partitions", "partitions_of", "statements"]

_PARTITIONS = 8

_AGENTS = """
    CREATE TABLE agents (
        id bigserial PRIMARY KEY,
        name text NOT NULL,
        created bigint NOT NULL,
        last_seq bigint NOT NULL DEFAULT 0,
        last_passage bigint NOT NULL DEFAULT 0,
        last_event bigint NOT NULL DEFAULT 0,
        last_schedule bigint NOT NULL DEFAULT 0,
        last_document bigint NOT NULL DEFAULT 0,
        recall_rows bigint NOT NULL DEFAULT 0,
        recall_units bigint NOT NULL DEFAULT 0,
        archival_rows bigint NOT NULL DEFAULT 0,
        archival_units bigint NOT NULL DEFAULT 0,
        recall_changes bigint NOT NULL DEFAULT 0,
        recall_rebuilds bigint NOT NULL DEFAULT 0,
        archival_changes bigint NOT NULL DEFAULT 0,
        archival_rebuilds bigint NOT NULL DEFAULT 0,
        fence bigint NOT NULL DEFAULT 0,
        start bigint NOT NULL,
        summary bigint,
        pinned bigint,
        head text NOT NULL,
        warned boolean NOT NULL,
        ratio double precision NOT NULL,
        settings text NOT NULL
    )"""
_AGENT_NAMES = """
    CREATE TABLE agent_names (
        name text PRIMARY KEY,
        agent bigint NOT NULL UNIQUE
    )"""
_EMBEDDERS = """
    CREATE TABLE embedders (
        fingerprint text PRIMARY KEY,
        name text NOT NULL,
        dimensions integer NOT NULL,
        wanted boolean NOT NULL,
        in_service boolean NOT NULL
    )"""
_BY_AGENT = {
    "messages": """
        id bigserial NOT NULL,
        agent bigint NOT NULL,
        seq bigint NOT NULL,
        role text NOT NULL,
        at bigint NOT NULL,
        event bigint,
        completion bigint,
        tokens integer NOT NULL,
        units integer NOT NULL,
        embed boolean NOT NULL,
        call_id text,
        name text,
        speaker text NOT NULL DEFAULT '',
        meta text NOT NULL,
        text text NOT NULL,
        shown text NOT NULL,
        PRIMARY KEY (agent, seq)""",
    "speakers": """
        agent bigint NOT NULL,
        name text NOT NULL,
        PRIMARY KEY (agent, name)""",
    "sections": """
        id bigserial NOT NULL,
        agent bigint NOT NULL,
        name text NOT NULL,
        version bigint NOT NULL,
        PRIMARY KEY (agent, name)""",
    "section_versions": """
        agent bigint NOT NULL,
        name text NOT NULL,
        version bigint NOT NULL,
        at bigint NOT NULL,
        description text NOT NULL,
        token_limit integer NOT NULL,
        text text NOT NULL,
        read_only boolean NOT NULL,
        PRIMARY KEY (agent, name, version)""",
    "passages": """
        id bigserial NOT NULL,
        agent bigint NOT NULL,
        number bigint NOT NULL,
        at bigint NOT NULL,
        units integer NOT NULL,
        embed boolean NOT NULL,
        tags text NOT NULL,
        source text NOT NULL,
        title text NOT NULL DEFAULT '',
        document bigint,
        page integer,
        section text NOT NULL DEFAULT '',
        start bigint,
        stop bigint,
        text text NOT NULL,
        PRIMARY KEY (agent, number)""",
    "passage_tags": """
        agent bigint NOT NULL,
        number bigint NOT NULL,
        tag text NOT NULL,
        PRIMARY KEY (agent, number, tag)""",
    "deletions": """
        agent bigint NOT NULL,
        change bigint NOT NULL,
        number bigint NOT NULL,
        PRIMARY KEY (agent, change, number)""",
    "documents": """
        agent bigint NOT NULL,
        number bigint NOT NULL,
        source text NOT NULL,
        title text NOT NULL,
        media text NOT NULL,
        digest text NOT NULL,
        at bigint NOT NULL,
        pages integer NOT NULL,
        tags text NOT NULL,
        PRIMARY KEY (agent, number),
        UNIQUE (agent, source)""",
    "document_pages": """
        agent bigint NOT NULL,
        document bigint NOT NULL,
        page integer NOT NULL,
        heading text NOT NULL,
        text text NOT NULL,
        PRIMARY KEY (agent, document, page)""",
    "inbox": """
        agent bigint NOT NULL,
        number bigint NOT NULL,
        kind text NOT NULL,
        text text NOT NULL,
        key text,
        sender text,
        at bigint,
        state text NOT NULL,
        started bigint,
        rank integer,
        PRIMARY KEY (agent, number),
        UNIQUE (agent, key)""",
    "schedules": """
        agent bigint NOT NULL,
        number bigint NOT NULL,
        due bigint NOT NULL,
        cron text,
        zone text NOT NULL,
        catch_up text NOT NULL,
        note text NOT NULL,
        PRIMARY KEY (agent, number)""",
    "vectors": """
        agent bigint NOT NULL,
        number bigint NOT NULL,
        part integer NOT NULL,
        tier text NOT NULL,
        fingerprint text NOT NULL,
        text_hash bytea NOT NULL,
        vector halfvec NOT NULL,
        PRIMARY KEY (agent, tier, fingerprint, number, part)""",
    "vector_marks": """
        agent bigint NOT NULL,
        fingerprint text NOT NULL,
        tier text NOT NULL,
        done bigint NOT NULL,
        PRIMARY KEY (agent, fingerprint, tier)""",
    "postings": """
        agent bigint NOT NULL,
        number bigint NOT NULL,
        count integer NOT NULL,
        tier text NOT NULL,
        unit text NOT NULL,
        PRIMARY KEY (agent, tier, unit, number)""",
}
_INDEXES = (
    "CREATE INDEX messages_of_event ON messages (agent, event, seq)",
    "CREATE INDEX passages_of_document ON passages (agent, document, number)",
    "CREATE INDEX passages_of_tag ON passage_tags (agent, tag, number)",
    "CREATE INDEX inbox_open ON inbox (agent, rank, number) WHERE rank IS NOT NULL",
    "CREATE INDEX ix_schedules_due ON schedules (due)",
)


def statements() -> Iterator[str]:
    """Yield the statements that make the tables and their indexes."""
    partitioned = has_partitions()
    by = " PARTITION BY HASH ({})" if partitioned else ""
    yield _AGENTS + by.format("id")
    yield _AGENT_NAMES
    yield _EMBEDDERS
    for name, columns in _BY_AGENT.items():
        yield f"CREATE TABLE {name} ({columns}){by.format('agent')}"
    for name in ("agents", *_BY_AGENT) if partitioned else ():
        yield from partitions_of(name)
    yield from _INDEXES


def has_partitions() -> bool:
    """Return True if tables by agent get partitions in this database: Citus makes shards of whole tables."""
    return not op.get_bind().exec_driver_sql("SELECT FROM pg_extension WHERE extname = 'citus'").all()


def partitions_of(table: str) -> Iterator[str]:
    """Yield the statements that make the partitions of a table."""
    for n in range(_PARTITIONS):
        yield (
            f"CREATE TABLE {table}_{n} PARTITION OF {table} "
            f"FOR VALUES WITH (MODULUS {_PARTITIONS}, REMAINDER {n})"
        )
