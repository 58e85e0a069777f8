"""Raw rows of a SQLite file: ``storage.raw`` on a connection of its own, apart from the store's threads.

While a transaction writes, others that write to the file wait; who reads does not.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

from pagefault.errors import NameTakenError, NotFoundError, StorageError
from pagefault.storage.index.blocks import seal_all
from pagefault.storage.raw import AGENT, IndexSize, Row, Table, units_of
from pagefault.storage.rows import to_spent, to_total, total_values
from pagefault.storage.sqlite import lexicon
from pagefault.storage.sqlite.connection import Connection
from pagefault.storage.sqlite.opening import open_file
from pagefault.storage.sqlite.source import SQLiteSource
from pagefault.storage.sqlite.transaction import ADD_TOTAL, TOTALS
from pagefault.storage.sqlite.vectors import VectorRows, advance_marks
from pagefault.storage.usage import QUARTER, RowUsage, UsageTotal, add_up, merged
from pagefault.types import AgentId, Tier

__all__ = ["SQLiteRaw", "SQLiteRawRows"]

_BATCH = 200  # rows: texts may be large
_STEP = 256  # pages of a backup between two reports
_TIERS: dict[str, Tier] = {"messages": "recall", "passages": "archival"}
_SOURCES = {
    "recall": ("messages", "seq", "role, meta, text"),
    "archival": ("passages", "number", "title, text"),
}
_COUNT = """
    UPDATE agents SET {tier}_rows = (SELECT count(*) FROM {table} WHERE agent = :agent AND units > 0),
    {tier}_units = (SELECT coalesce(sum(units), 0) FROM {table} WHERE agent = :agent) WHERE id = :agent"""
_TEXTS = """
    SELECT {number}, {columns} FROM {table} WHERE agent = :agent AND {number} > :after
    ORDER BY {number} LIMIT :limit"""
_CHANGED = """
    UPDATE agents SET {tier}_changes = {tier}_changes + 1, {tier}_rebuilds = {tier}_rebuilds + 1
    WHERE id = :agent"""


class SQLiteRawRows(VectorRows):
    """``storage.raw.RawRows`` on a connection inside a transaction."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def agents(self) -> dict[str, AgentId]:
        return {name: AgentId(id) for name, id in self._db.rows("SELECT name, id FROM agents ORDER BY name")}

    def agent(self, agent: AgentId) -> Row:
        row = self._db.one(f"SELECT {', '.join(AGENT.columns)} FROM agents WHERE id = :agent", agent=agent)
        if row is None:
            raise NotFoundError(f"There is no agent {agent}; it may have been deleted.")
        return _truthful(AGENT, [row])[0]

    def count(self, agent: AgentId, table: Table) -> int:
        return self._db.one(f"SELECT count(*) FROM {table.name} WHERE agent = :agent", agent=agent)[0]

    def rows(self, agent: AgentId, table: Table) -> Iterator[Sequence[Row]]:
        ordered = f" ORDER BY {table.order}" if table.order else ""
        chosen = f"SELECT {', '.join(table.columns)} FROM {table.name} WHERE agent = :agent{ordered}"
        for batch in self._db.batches(chosen, _BATCH, agent=agent):
            yield _truthful(table, batch)

    def create(self, name: str, row: Row) -> AgentId:
        values = dict(zip(AGENT.columns, row, strict=True))
        named = "SELECT 1 FROM agents WHERE tenant = :tenant AND name = :name"
        if self._db.one(named, tenant=values["tenant"], name=name):
            raise NameTakenError(name)
        (number,) = self._db.one(f"{_insert('agents', ['name', *values])} RETURNING id", name=name, **values)
        return AgentId(number)

    def restore(self, agent: AgentId, table: Table, rows: Sequence[Row]) -> None:
        batch: list[dict[str, Any]] = [
            {"agent": agent, **dict(zip(table.columns, row, strict=True))} for row in rows
        ]
        if tier := _TIERS.get(table.name):
            number = _SOURCES[tier][1]
            units = [units_of(tier, values) for values in batch]
            for values, found in zip(batch, units, strict=True):
                values["units"] = len(found)
            lexicon.index(self._db, agent, tier, [(v[number], u) for v, u in zip(batch, units, strict=True)])
        if batch:
            self._db.many(_insert(table.name, list(batch[0])), batch)

    def finish(self, agent: AgentId) -> None:
        for table, tier in _TIERS.items():
            self._db.run(_COUNT.format(tier=tier, table=table), agent=agent)
        self._add_up(agent)
        advance_marks(self._db)
        seal_all(SQLiteSource(self._db), agent)

    def totals(self, agent: AgentId) -> list[UsageTotal]:
        found = self._db.rows(TOTALS, agent=agent, first=-(2**62), end=2**62, step=1)
        return merged(map(to_total, found), QUARTER)

    def spent(self, agent: AgentId) -> Iterator[RowUsage]:
        chosen = "SELECT seq, at, event, role, usage FROM messages WHERE agent = :agent AND usage IS NOT NULL"
        for batch in self._db.batches(chosen, _BATCH, agent=agent):
            yield from map(to_spent, batch)

    def _add_up(self, agent: AgentId) -> None:
        """Make the usage totals anew."""
        self._db.run("DELETE FROM usage_totals WHERE agent = :agent", agent=agent)
        self._db.many(ADD_TOTAL, [total_values(agent, total) for total in add_up(self.spent(agent))])

    def index_sizes(self, agent: AgentId, tier: Tier) -> tuple[IndexSize, IndexSize]:
        counted = f"SELECT {tier}_rows, {tier}_units FROM agents WHERE id = :agent"
        rows = "SELECT count(*), coalesce(sum(units), 0) FROM {table} WHERE agent = :agent AND units > 0"
        summed = rows.format(table=_SOURCES[tier][0])
        return IndexSize(*self._db.one(counted, agent=agent)), IndexSize(*self._db.one(summed, agent=agent))

    def frequencies(self, agent: AgentId, tier: Tier) -> Iterator[tuple[str, int, int]]:
        return lexicon.frequencies(self._db, agent, tier)

    def reindex(self, agent: AgentId) -> None:
        SQLiteSource(self._db).drop_all_blocks(agent)
        lexicon.unindex_agent(self._db, agent)
        tiers: tuple[Tier, ...] = get_args(Tier)
        for tier in tiers:
            table, number, columns = _SOURCES[tier]
            texts = _TEXTS.format(table=table, number=number, columns=columns)
            after = 0
            while found := self._db.rows(texts, agent=agent, after=after, limit=_BATCH):
                rows = [
                    (row[0], units_of(tier, dict(zip(columns.split(", "), row[1:], strict=True))))
                    for row in found
                ]
                measured = [{"agent": agent, "number": n, "units": len(units)} for n, units in rows]
                change = f"UPDATE {table} SET units = :units WHERE agent = :agent AND {number} = :number"
                self._db.many(change, measured)
                lexicon.index(self._db, agent, tier, rows)
                after = found[-1][0]
            self._db.run(_COUNT.format(tier=tier, table=table), agent=agent)
            self._db.run(_CHANGED.format(tier=tier), agent=agent)
        self._add_up(agent)
        seal_all(SQLiteSource(self._db), agent)

    def faults(self) -> list[str]:
        found = [said for (said,) in self._db.rows("PRAGMA integrity_check") if said != "ok"]
        astray = self._db.rows("PRAGMA foreign_key_check")
        return found + [f"A row of {table} belongs to no agent." for table, *_ in astray]


class SQLiteRaw:
    """``storage.raw.RawDatabase`` on one file. Make it with ``open``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @classmethod
    def open(cls, path: Path, *, busy_timeout: float = 60.0) -> SQLiteRaw:
        """Open the file, making it or bringing it up to date if need be; ``busy_timeout`` in seconds."""
        path = path.resolve()
        locks = path.parent / "locks"
        connection = open_file(path, locks, synchronous="NORMAL", busy_timeout=busy_timeout)
        return cls(connection)

    @property
    def place(self) -> str:
        return str(self._connection.path)

    @contextmanager
    def reading(self) -> Generator[SQLiteRawRows]:
        self._connection.run("BEGIN")
        try:
            self._connection.one("SELECT 1 FROM agents LIMIT 1")  # from here on the snapshot stands
            yield SQLiteRawRows(self._connection)
        finally:
            self._connection.rollback()

    @contextmanager
    def writing(self) -> Generator[SQLiteRawRows]:
        self._connection.run("BEGIN IMMEDIATE")
        try:
            yield SQLiteRawRows(self._connection)
            self._connection.run("COMMIT")
        finally:
            self._connection.rollback()  # if what is above was not reached

    def backup(self, path: Path, progress: Callable[[int, int], None]) -> None:
        """Copy the file as it stands now to a new file, while others go on writing.

        ``progress`` hears how many pages of how many are copied.
        """
        copy = sqlite3.connect(path, isolation_level=None)
        try:
            with self.reading():  # held, so that what others write meanwhile does not start it anew
                self._connection.driver.backup(
                    copy, pages=_STEP, progress=lambda _, left, total: progress(total - left, total)
                )
        except sqlite3.Error as error:
            raise StorageError(f"The backup {path} could not be written: {error}.") from error
        finally:
            copy.close()

    def close(self) -> None:
        self._connection.close()


def _insert(table: str, columns: Sequence[str]) -> str:
    values = ", ".join(f":{column}" for column in columns)
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({values})"


def _truthful(table: Table, rows: Sequence[Row]) -> Sequence[Row]:
    """SQLite has no truth values, only 0 and 1."""
    where = [index for index, kind in enumerate(table.columns.values()) if kind is bool]
    if not where:
        return rows
    return [tuple(bool(v) if index in where else v for index, v in enumerate(row)) for row in rows]
