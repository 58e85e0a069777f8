"""All that an agent owns as raw rows: ``storage.row_transfer.TransferRows`` but for embedders and faults."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast, get_args

from pagefault.errors import NameTakenError, NotFoundError
from pagefault.shared import draft_name, is_shared
from pagefault.storage.index.blocks import seal_all, stale_blocks
from pagefault.storage.row_transfer import (
    AGENT,
    DELIVERIES,
    OUTBOX,
    OWNED,
    IndexFault,
    IndexSize,
    Row,
    TransferTable,
    units_of,
)
from pagefault.storage.segments import WORDS
from pagefault.storage.sql.outbox import SqlOutbox
from pagefault.storage.sql.part import EVER
from pagefault.storage.sql.raw_rows import SqlRawRows
from pagefault.storage.sql.recall import ADD_TOTAL, ROW_USAGE, TOTALS
from pagefault.storage.sql.tenancy import KIND
from pagefault.storage.usage import QUARTER, RowUsage, UsageTotal, add_up, merged
from pagefault.storage.usage_rows import to_row_usage, to_total, total_values
from pagefault.tenancy import AgentKey
from pagefault.types import AgentId, Tier

__all__ = ["BATCH", "SqlTransfer"]

BATCH = 200  # rows: texts may be large
_TIERS: dict[str, Tier] = {"messages": "recall", "passages": "archival"}
_SOURCES = {
    "recall": ("messages", "seq", "role, meta, text, withdrawn"),
    "archival": ("passages", "number", "title, text, withdrawn"),
}
_COUNT = """
    UPDATE agents SET {tier}_rows = (SELECT count(*) FROM {table} WHERE agent = :agent AND units > 0),
    {tier}_units = (SELECT coalesce(sum(units), 0) FROM {table} WHERE agent = :agent) WHERE id = :agent"""
_COUNTED = "SELECT {tier}_rows, {tier}_units FROM agents WHERE id = :agent"
_SUMMED = "SELECT count(*), coalesce(sum(units), 0) FROM {table} WHERE agent = :agent AND units > 0"
_TEXTS = """
    SELECT {number}, {columns} FROM {table} WHERE agent = :agent AND {number} > :after
    ORDER BY {number} LIMIT :limit"""
_SET_UNITS = "UPDATE {table} SET units = :units WHERE agent = :agent AND {number} = :number"
_FIRST = "coalesce((SELECT min(rank) FROM inbox WHERE agent = :agent AND rank IS NOT NULL), -9)"
_IS_SETTLED = f"""
    SELECT (ready IS NOT NULL) = ({_FIRST} >= 0) AND (undecided IS NOT NULL) = ({_FIRST} = -1)
    FROM agents WHERE id = :agent"""
_APPLIED = "SELECT number FROM deliveries WHERE agent = :target AND sender = :sender"
_ASIDE = (
    "SELECT number, target, parked FROM outbox WHERE agent = :agent AND parked IS NOT NULL ORDER BY number"
)
_MARKS = "SELECT sender, number FROM deliveries WHERE agent = :agent ORDER BY sender"
_SENT = "SELECT name, tenant, last_outgoing FROM agents WHERE id = :agent"
_WRITTEN = "SELECT coalesce(max(version), 0) FROM sections WHERE agent = :agent"
_MADE = """
    SELECT m.tier, m.fingerprint, m.done FROM vector_marks m
    JOIN embedders e ON e.fingerprint = m.fingerprint AND (e.wanted OR e.in_service)
    WHERE m.agent = :agent ORDER BY m.tier, m.fingerprint"""
_LACKING = """
    SELECT count(*) FROM {table} r WHERE r.agent = :agent AND r.embed AND r.{number} <= :done
    AND NOT EXISTS (SELECT 1 FROM {vectors} v WHERE v.agent = :agent AND v.tier = :tier
        AND v.fingerprint = :fingerprint AND v.number = r.{number} AND v.part <= 0)"""
_UNMARK = """
    DELETE FROM vector_marks WHERE agent = :agent AND tier = :tier AND fingerprint = :fingerprint"""
_SEGMENTS = "SELECT DISTINCT tier, fingerprint FROM segments WHERE agent = :agent"
_UNSEGMENT = "DELETE FROM segments WHERE agent = :agent AND tier = :tier AND fingerprint = :fingerprint"
_CHANGED = """
    UPDATE agents SET {tier}_changes = {tier}_changes + 1, {tier}_rebuilds = {tier}_rebuilds + 1
    WHERE id = :agent"""


class SqlTransfer(SqlRawRows, SqlOutbox):
    """Raw rows on a connection inside a transaction."""

    @abstractmethod
    def _clear_index(self, agent: AgentId) -> None:
        """Empty the agent's lexical index."""

    def agents(self) -> dict[AgentKey, AgentId]:
        order = self._db.dialect.by_code_point
        whole = f"{KIND} <> '{draft_name('')}'"  # a fork that is not finished is no agent yet
        found = self._db.rows(
            f"SELECT name, tenant, id FROM agents WHERE {whole} ORDER BY name{order}, tenant{order}"
        )
        return {AgentKey(name, tenant): AgentId(id) for name, tenant, id in found}

    def agent(self, agent: AgentId) -> Row:
        row = self._db.one(f"SELECT {', '.join(AGENT.columns)} FROM agents WHERE id = :agent", agent=agent)
        if row is None:
            raise NotFoundError(f"There is no agent {agent}; it may have been deleted.")
        return self._read(AGENT, [row])[0]

    def is_settled(self, agent: AgentId) -> bool:
        return bool(self._db.one(_IS_SETTLED, agent=agent)[0])

    def parked(self, agent: AgentId) -> list[str]:
        (own,) = self._db.one("SELECT parked FROM agents WHERE id = :agent", agent=agent)
        timers = "SELECT number, parked FROM schedules WHERE agent = :agent AND parked IS NOT NULL"
        aside = [
            f"Its timer t{number} is parked: {why}" for number, why in self._db.rows(timers, agent=agent)
        ]
        aside += [
            f"Its change {number} of {target} is parked: {why}"
            for number, target, why in self._db.rows(_ASIDE, agent=agent)
        ]
        return ([f"It is parked: {own}"] if own else []) + aside

    def count(self, agent: AgentId, table: TransferTable) -> int:
        if table is DELIVERIES:
            return len(self._marks(agent))
        counted = f"SELECT count(*) FROM {self._relation(agent, table)} r WHERE agent = :agent"
        return self._db.one(counted, agent=agent)[0]

    def rows(self, agent: AgentId, table: TransferTable) -> Iterator[Sequence[Row]]:
        if table is DELIVERIES:
            yield from filter(None, [self._marks(agent)])
            return
        ordered = f" ORDER BY {table.order}" if table.order else ""
        for batch in self._db.batches(f"{self._chosen(agent, table)}{ordered}", table.batch, agent=agent):
            yield self._read(table, batch)

    def unapplied(self, agent: AgentId, outbox: Sequence[Row]) -> Sequence[Row]:
        number, target = OUTBOX.column("number"), OUTBOX.column("target")
        aside = {of for of, _, _ in self._db.rows(_ASIDE, agent=agent)}  # what is behind them was applied
        applied = {str(row[target]): 0 for row in outbox}
        (_, tenant, _) = self._db.one(_SENT, agent=agent)
        for name in applied:
            if found := self._db.one(self._db.dialect.find_name, tenant=tenant, name=name):
                last = self._db.one(_APPLIED, target=found[0], sender=agent)
                applied[name] = last[0] if last else 0
        return [
            row
            for row in outbox
            if cast("int", row[number]) > applied[str(row[target])] or row[number] in aside
        ]

    def ahead(self, agent: AgentId) -> list[AgentId]:
        found = list[AgentId]()
        for sender, number in self._db.rows(_MARKS, agent=agent):
            if own := self._db.one(_SENT, agent=sender):  # else it was deleted
                of_copy = own[0].startswith("section:")
                sent = self._db.one(_WRITTEN, agent=sender)[0] if of_copy else own[2]
                found += [AgentId(sender)] * (number > sent)
        return found

    def _marks(self, agent: AgentId) -> list[Row]:
        """The rows of ``DELIVERIES``; none of what is shared, whose senders hand over what is not applied."""
        own = self._db.one(_SENT, agent=agent)
        if is_shared(own[0]):
            return []
        marks = [(self._db.one(_SENT, agent=of), number) for of, number in self._db.rows(_MARKS, agent=agent)]
        return sorted((sender[0], number) for sender, number in marks if sender and is_shared(sender[0]))

    def _restore_marks(self, agent: AgentId, rows: Sequence[Row]) -> None:
        (_, tenant, _) = self._db.one(_SENT, agent=agent)
        for target, number in rows:
            if found := self._db.one(self._db.dialect.find_name, tenant=tenant, name=target):
                self.set_delivered(agent, found[0], cast("int", number))

    def create(self, name: str, row: Row) -> AgentId:
        values = {"name": name, **dict(zip(AGENT.columns, row, strict=True))}
        listed = ", ".join(f":{column}" for column in values)
        insert = (
            f"INSERT INTO agents ({', '.join(values)}) VALUES ({listed}) ON CONFLICT DO NOTHING RETURNING id"
        )
        made = self._db.one(insert, **values)
        if made is None or not self._register(AgentId(made[0]), str(values["tenant"]), name):
            raise NameTakenError(name)
        return AgentId(made[0])

    def restore(self, agent: AgentId, table: TransferTable, rows: Sequence[Row]) -> None:
        if table is DELIVERIES:
            return self._restore_marks(agent, rows)
        batch: list[dict[str, Any]] = [
            {"agent": agent, **dict(zip(table.columns, row, strict=True))} for row in rows
        ]
        if tier := _TIERS.get(table.name):
            number = _SOURCES[tier][1]
            units = [units_of(tier, values) for values in batch]
            for values, found in zip(batch, units, strict=True):
                values["units"] = len(found)
            self._enter(agent, tier, [(v[number], u) for v, u in zip(batch, units, strict=True)])
        self._db.insert(table.name, agent, batch)

    def count_indexed(self, agent: AgentId) -> None:
        """Count anew what BM25 goes by."""
        for table, tier in _TIERS.items():
            self._db.send(_COUNT.format(tier=tier, table=table), agent=agent)

    def finish(self, agent: AgentId) -> None:
        self.count_indexed(agent)
        self._add_up(agent)
        self.settle(agent)
        self._advance_marks(agent)
        seal_all(self._source(), agent)

    def totals(self, agent: AgentId) -> list[UsageTotal]:
        found = self._db.rows(TOTALS, agent=agent, first=-EVER, end=EVER, step=1)
        return merged(map(to_total, found), QUARTER)

    def spent(self, agent: AgentId) -> Iterator[RowUsage]:
        for batch in self._db.batches(ROW_USAGE, BATCH, agent=agent):
            yield from map(to_row_usage, batch)

    def index_sizes(self, agent: AgentId, tier: Tier) -> tuple[IndexSize, IndexSize]:
        counted = self._db.one(_COUNTED.format(tier=tier), agent=agent)
        summed = self._db.one(_SUMMED.format(table=_SOURCES[tier][0]), agent=agent)
        return IndexSize(*counted), IndexSize(*summed)

    def stale_blocks(self, agent: AgentId, tier: Tier) -> list[int]:
        return stale_blocks(self._source(), agent, tier)

    def index_faults(self, agent: AgentId) -> list[IndexFault]:
        return [*self._segment_faults(agent), *self._lacking(agent)]

    def _segment_faults(self, agent: AgentId) -> Iterable[IndexFault]:
        """The faults of sealed segments; here there are to be none."""
        what = "There are segments, which this database does not have."
        found = self._db.rows(_SEGMENTS, agent=agent)
        return [IndexFault(tier, fingerprint, what) for tier, fingerprint in found]

    def _unseal(self, agent: AgentId, tier: Tier, fingerprint: str) -> None:
        """Move the vectors of an index out of its segments."""
        self._db.send(_UNSEGMENT, agent=agent, tier=tier, fingerprint=fingerprint)

    def _lacking(self, agent: AgentId) -> Iterator[IndexFault]:
        """The embedders that count a row as done of which there is nothing."""
        vectors = self._relation(agent, next(table for table in OWNED if table.name == "vectors"))
        for tier, fingerprint, done in self._db.rows(_MADE, agent=agent):
            table, number, _ = _SOURCES[tier]
            lacking = _LACKING.format(table=table, number=number, vectors=vectors)
            of = {"agent": agent, "tier": tier, "fingerprint": fingerprint}
            if count := self._db.one(lacking, **of, done=done)[0]:
                what = f"{fingerprint} lacks vectors of {count:,} rows of {tier} that count as embedded."
                yield IndexFault(tier, fingerprint, what)

    def _repair_vectors(self, agent: AgentId) -> None:
        """Have the rows of which there is no vector to be read embedded again."""
        faulty = set[tuple[Tier, str]]((each.tier, each.fingerprint) for each in self.index_faults(agent))
        for tier, fingerprint in faulty:
            if fingerprint != WORDS:
                self._unseal(agent, tier, fingerprint)
                self._db.send(_UNMARK, agent=agent, tier=tier, fingerprint=fingerprint)
                self._advance_marks(agent)

    def unowned_tables(self) -> list[str]:
        return []

    def drop_unowned_tables(self) -> None: ...

    def reindex(self, agent: AgentId) -> None:
        self._lock(agent)
        self._repair_vectors(agent)
        source = self._source()
        source.drop_all_blocks(agent)
        self._clear_index(agent)
        tiers: tuple[Tier, ...] = get_args(Tier)
        for tier in tiers:
            table, number, columns = _SOURCES[tier]
            texts = _TEXTS.format(table=table, number=number, columns=columns)
            set_units, names, after = _SET_UNITS.format(table=table, number=number), columns.split(", "), 0
            while found := self._db.rows(texts, agent=agent, after=after, limit=BATCH):
                rows = [(row[0], units_of(tier, dict(zip(names, row[1:], strict=True)))) for row in found]
                measured = [{"agent": agent, "number": n, "units": len(units)} for n, units in rows]
                self._db.many(set_units, measured)
                self._enter(agent, tier, rows)
                after = found[-1][0]
            self._db.send(_COUNT.format(tier=tier, table=table), agent=agent)
            self._db.send(_CHANGED.format(tier=tier), agent=agent)
        self._add_up(agent)
        self.settle(agent)
        seal_all(source, agent)

    def _add_up(self, agent: AgentId) -> None:
        """Make the usage totals anew."""
        self._db.send("DELETE FROM usage_totals WHERE agent = :agent", agent=agent)
        self._db.many(ADD_TOTAL, [total_values(agent, total) for total in add_up(self.spent(agent))])
