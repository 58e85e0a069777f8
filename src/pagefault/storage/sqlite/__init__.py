"""SQLite: the default store. One file, one writer thread, one commit for all that waits.

    store.py        SQLiteStore: opening, writing and reading, closing
    turns.py        turn locks that die with their process, and the fence behind them
    worker.py       a thread that runs queued work in transactions, many to a commit
    connection.py   one connection: statements in, rows out, errors as sentences
    transaction.py  what differs from ``storage.sql``: the lexical index, deletions
    transfer.py     raw rows on a connection apart from the store's
    source.py       reads for the index in memory; vectors.py rows that wait for one; lexicon.py the index
    purge.py        what was deleted leaves the index, the unused pages and the log
    dialect.py      the words of SQLite's SQL

The statements are plain SQL on ``sqlite3``: through SQLAlchemy a transaction takes twice the CPU
(``benchmarks/sqlite_commit.py``), and importing it half a CPU second of every process, 20 times what is left
to do for a file that is up to date. The tables are ``storage.schema``, in SQLAlchemy; it and the migrations
are loaded when a file must be made or changed.
"""

from __future__ import annotations

from pagefault.storage.sqlite.store import SQLiteStore

__all__ = ["SQLiteStore"]
