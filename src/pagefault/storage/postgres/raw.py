"""Raw rows of a PostgreSQL database: ``storage.raw`` on a connection apart from the store's pool."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, get_args

import numpy as np
import psycopg

from pagefault.errors import NameTakenError, NotFoundError
from pagefault.storage.index.blocks import seal_all
from pagefault.storage.postgres import postings
from pagefault.storage.postgres.connection import Connection, Driver, Half, adapt, failure, place_of
from pagefault.storage.postgres.opening import connect, conninfo_of, prepare
from pagefault.storage.postgres.source import PostgresSource
from pagefault.storage.postgres.transaction import ADD_TOTAL, TOTALS
from pagefault.storage.postgres.vectors import VectorRows, advance_marks
from pagefault.storage.raw import AGENT, OWNED, IndexSize, Row, Table, units_of
from pagefault.storage.rows import to_spent, to_total, total_values
from pagefault.storage.usage import QUARTER, RowUsage, UsageTotal, add_up, merged
from pagefault.types import AgentId, Tier

__all__ = ["PostgresRaw", "PostgresRawRows"]

_ARRAYS = {int: "bigint", str: "text", bool: "boolean", float: "double precision", bytes: "bytea"}
_BATCH = 200  # rows: texts may be large
_SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
_PATIENT = """
    SELECT set_config(name, '0', false) FROM pg_settings
    WHERE name IN ('transaction_timeout', 'idle_in_transaction_session_timeout')"""
"""An import may be long, and the reader of an export may take its time."""
_TIERS: dict[str, Tier] = {"messages": "recall", "passages": "archival"}
_SOURCES = {
    "recall": ("messages", "seq", "role, meta, text"),
    "archival": ("passages", "number", "title, text"),
}
_NAME = """
    INSERT INTO agent_names (tenant, name, agent) VALUES (%(tenant)s, %(name)s, %(agent)s)
    ON CONFLICT DO NOTHING"""
_COUNT = """
    UPDATE agents SET
    {tier}_rows = (SELECT count(*) FROM {table} WHERE agent = %(agent)s AND units > 0),
    {tier}_units = (SELECT coalesce(sum(units), 0) FROM {table} WHERE agent = %(agent)s)
    WHERE id = %(agent)s"""
_TEXTS = """
    SELECT {number}, {columns} FROM {table} WHERE agent = %(agent)s AND {number} > %(after)s
    ORDER BY {number} LIMIT %(limit)s"""
_CHANGED = """
    UPDATE agents SET {tier}_changes = {tier}_changes + 1, {tier}_rebuilds = {tier}_rebuilds + 1
    WHERE id = %(agent)s"""
_FREQUENCIES = """
    SELECT unit, count(*), sum(count) FROM postings
    WHERE agent = %(agent)s AND tier = %(tier)s GROUP BY unit"""
_ASTRAY = """
    SELECT count(*) FROM {table} t WHERE NOT EXISTS (SELECT FROM agents a WHERE a.id = t.agent)"""
_NAMELESS = """
    SELECT count(*) FROM agents a WHERE NOT EXISTS (
        SELECT FROM agent_names n WHERE n.agent = a.id AND n.tenant = a.tenant AND n.name = a.name)"""


class PostgresRawRows(VectorRows):
    """``storage.raw.RawRows`` on a connection inside a transaction."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._db = Connection(driver)

    def agents(self) -> dict[str, AgentId]:
        named = self._db.rows('SELECT name, id FROM agents ORDER BY name COLLATE "C"')
        return {name: AgentId(id) for name, id in named}

    def agent(self, agent: AgentId) -> Row:
        row = self._db.one(f"SELECT {', '.join(AGENT.columns)} FROM agents WHERE id = %(agent)s", agent=agent)
        if row is None:
            raise NotFoundError(f"There is no agent {agent}; it may have been deleted.")
        return row

    def count(self, agent: AgentId, table: Table) -> int:
        return self._db.one(f"SELECT count(*) FROM {table.name} WHERE agent = %(agent)s", agent=agent)[0]

    def rows(self, agent: AgentId, table: Table) -> Iterator[Sequence[Row]]:
        columns = ["halfvec_send(vector)" if name == "vector" else name for name in table.columns]
        ordered = f" ORDER BY {table.order}" if table.order else ""
        chosen = f"SELECT {', '.join(columns)} FROM {table.name} WHERE agent = %(agent)s{ordered}"
        for batch in self._batches(chosen, _BATCH, agent=agent):
            yield [(*row[:-1], _little(row[-1])) for row in batch] if "vector" in table.columns else batch

    def create(self, name: str, row: Row) -> AgentId:
        values = dict(zip(AGENT.columns, row, strict=True))
        (number,) = self._db.one(f"{_insert('agents', ['name', *values])} RETURNING id", name=name, **values)
        if not self._db.changed(_NAME, tenant=values["tenant"], name=name, agent=number):
            raise NameTakenError(name)
        return AgentId(number)

    def restore(self, agent: AgentId, table: Table, rows: Sequence[Row]) -> None:
        batch: list[dict[str, Any]] = [
            {"agent": agent, **dict(zip(table.columns, row, strict=True))} for row in rows
        ]
        with self._driver.pipeline():
            if tier := _TIERS.get(table.name):
                number = _SOURCES[tier][1]
                units = [units_of(tier, values) for values in batch]
                for values, found in zip(batch, units, strict=True):
                    values["units"] = len(found)
                entries = [(v[number], u) for v, u in zip(batch, units, strict=True)]
                postings.index(self._db, agent, tier, entries)
            if batch:
                columns = {name: [values[name] for values in batch] for name in list(batch[0])[1:]}
                if "vector" in columns:
                    columns["vector"] = [Half(np.frombuffer(v, "<f2")) for v in columns["vector"]]
                kinds = {**table.columns, "units": int}
                self._db.send(_insert_many(table.name, columns, kinds), agent=agent, **columns)

    def finish(self, agent: AgentId) -> None:
        for table, tier in _TIERS.items():
            self._db.send(_COUNT.format(tier=tier, table=table), agent=agent)
        self._add_up(agent)
        advance_marks(self._db, agent)
        seal_all(PostgresSource(self._db), agent)

    def totals(self, agent: AgentId) -> list[UsageTotal]:
        found = self._db.rows(TOTALS, agent=agent, first=-(2**62), end=2**62, step=1)
        return merged(map(to_total, found), QUARTER)

    def spent(self, agent: AgentId) -> Iterator[RowUsage]:
        chosen = (
            "SELECT seq, at, event, role, usage FROM messages WHERE agent = %(agent)s AND usage IS NOT NULL"
        )
        for batch in self._batches(chosen, _BATCH, agent=agent):
            yield from map(to_spent, batch)

    def _add_up(self, agent: AgentId) -> None:
        """Make the usage totals anew."""
        self._db.send("DELETE FROM usage_totals WHERE agent = %(agent)s", agent=agent)
        self._db.many(ADD_TOTAL, [total_values(agent, total) for total in add_up(self.spent(agent))])

    def index_sizes(self, agent: AgentId, tier: Tier) -> tuple[IndexSize, IndexSize]:
        counted = f"SELECT {tier}_rows, {tier}_units FROM agents WHERE id = %(agent)s"
        rows = "SELECT count(*), coalesce(sum(units), 0) FROM {table} WHERE agent = %(agent)s AND units > 0"
        summed = rows.format(table=_SOURCES[tier][0])
        return IndexSize(*self._db.one(counted, agent=agent)), IndexSize(*self._db.one(summed, agent=agent))

    def frequencies(self, agent: AgentId, tier: Tier) -> Iterator[tuple[str, int, int]]:
        for batch in self._batches(_FREQUENCIES, 10_000, agent=agent, tier=tier):
            yield from batch

    def reindex(self, agent: AgentId) -> None:
        PostgresSource(self._db).drop_all_blocks(agent)
        self._db.send("DELETE FROM postings WHERE agent = %(agent)s", agent=agent)
        tiers: tuple[Tier, ...] = get_args(Tier)
        for tier in tiers:
            table, number, columns = _SOURCES[tier]
            texts = _TEXTS.format(table=table, number=number, columns=columns)
            change = f"UPDATE {table} SET units = %(units)s WHERE agent = %(agent)s AND {number} = %(number)s"
            after = 0
            while found := self._db.rows(texts, agent=agent, after=after, limit=_BATCH):
                rows = [
                    (row[0], units_of(tier, dict(zip(columns.split(", "), row[1:], strict=True))))
                    for row in found
                ]
                with self._driver.pipeline():
                    self._db.many(
                        change, [{"agent": agent, "number": n, "units": len(units)} for n, units in rows]
                    )
                    postings.index(self._db, agent, tier, rows)
                after = found[-1][0]
            self._db.send(_COUNT.format(tier=tier, table=table), agent=agent)
            self._db.send(_CHANGED.format(tier=tier), agent=agent)
        self._add_up(agent)
        seal_all(PostgresSource(self._db), agent)

    def faults(self) -> list[str]:
        astray = {table: self._db.one(_ASTRAY.format(table=table))[0] for table in _BY_AGENT}
        found = [f"{count:,} rows of {table} belong to no agent." for table, count in astray.items() if count]
        (nameless,) = self._db.one(_NAMELESS)
        return found + ([f"{nameless:,} agents are not listed under their names."] if nameless else [])

    def _batches(self, statement: str, size: int, **values: Any) -> Iterator[list[Any]]:
        """The rows as tuples, never more than ``size`` at a time in memory."""
        with self._driver.cursor(name="pagefault_raw") as cursor:
            cursor.execute(statement.encode(), values)
            while batch := cursor.fetchmany(size):
                yield batch


_BY_AGENT = (*(table.name for table in OWNED), "vector_marks", "postings", "agent_names", "usage_totals")


class PostgresRaw:
    """``storage.raw.RawDatabase`` on one database. Make it with ``open``."""

    def __init__(self, driver: Driver, place: str) -> None:
        self._driver = driver
        self._place = place

    @classmethod
    def open(cls, url: str, *, patience: float = 10.0) -> PostgresRaw:
        """Open the database, making or upgrading its tables if need be; ``patience`` in seconds."""
        conninfo = conninfo_of(url, patience)
        prepare(conninfo)
        place = place_of(conninfo)
        try:
            driver = connect(conninfo)
            adapt(driver)
            driver.execute(_PATIENT)
        except psycopg.Error as error:
            raise failure(error, place) from error
        return cls(driver, place)

    @property
    def place(self) -> str:
        return self._place

    @contextmanager
    def reading(self) -> Generator[PostgresRawRows]:
        with self.writing() as rows:
            self._driver.execute(_SNAPSHOT)
            yield rows

    @contextmanager
    def writing(self) -> Generator[PostgresRawRows]:
        try:
            with self._driver.transaction():
                yield PostgresRawRows(self._driver)
        except psycopg.Error as error:
            raise failure(error, self._place) from error

    def close(self) -> None:
        self._driver.close()


def _insert(table: str, columns: Sequence[str]) -> str:
    values = ", ".join(f"%({column})s" for column in columns)
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({values})"


def _insert_many(table: str, columns: Iterable[str], kinds: Mapping[str, type]) -> str:
    """Rows of an agent, given by column: quicker than a statement for each."""
    values = ", ".join(
        f"%({column})b::halfvec[]" if column == "vector" else f"%({column})s::{_ARRAYS[kinds[column]]}[]"
        for column in columns
    )
    listed = ", ".join(columns)
    return f"INSERT INTO {table} (agent, {listed}) SELECT %(agent)s, * FROM unnest({values})"


def _little(sent: bytes) -> bytes:
    """A vector as ``halfvec_send`` writes it (two 16-bit numbers, then the elements) in 16-bit floats, little
    endian."""
    return np.frombuffer(sent, ">f2", offset=4).astype("<f2").tobytes()
