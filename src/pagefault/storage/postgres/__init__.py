"""PostgreSQL with pgvector: the store for more than one machine. Needs the extra ``pagefault[postgres]``.

    store.py        PostgresStore: opening, transactions on a bounded number of threads, retries, closing
    building.py     the thread and the connection of what takes minutes
    leases.py       the leases of turns: renewed together, and reaped when their worker is gone
    opening.py      the URL, the first connection, the migrations
    connection.py   one connection: statements in, rows out; any text; errors as sentences
    transaction.py  PostgreSQL's part beside ``storage.sql``: names, the lexical index, deletions
    transfer.py     raw rows on a connection apart from the pool
    source.py       reads for the index in memory; vectors.py rows that wait for one; postings.py the index
    hnsw.py         vectors in sealed segments; word_segments.py words in them
    policies.py     row-level security of tenants; protection.py switching it on and off
    dialect.py      the words of PostgreSQL's SQL

Every table is partitioned by agent and its keys begin with the agent, so that agents can be spread over
servers (``docs/scaling.md``). There are no foreign keys: who writes anything of an agent locks or has locked
the agent's row first, in the same transaction, and deleting an agent deletes from each table.
"""

from __future__ import annotations

from pagefault.storage.postgres.store import PostgresStore

__all__ = ["PostgresStore"]
