"""The log, and the usage of requests that it records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from pagefault.storage import RowUsage, UsageTotal
from pagefault.storage.index.blocks import ROWS, seal
from pagefault.storage.rows import (
    is_embedded,
    message_values,
    micros,
    queue_values,
    speakers_of,
    storable,
    to_message,
)
from pagefault.storage.sql.agents import QUEUE
from pagefault.storage.sql.part import EVER, SqlPart
from pagefault.storage.terms import message_terms
from pagefault.storage.usage import QUARTER, add_up, merged, whole_quarters
from pagefault.storage.usage_rows import quarters, to_row_usage, to_total, total_values
from pagefault.types import SAID_ELSEWHERE, AgentId, EventKind, Message, QueueState, Role

__all__ = ["ADD_TOTAL", "COUNTS", "MESSAGE", "NOT_APPENDED", "ROW_USAGE", "TOTALS", "SqlRecall"]

_TAKE_SEQS = """
    UPDATE agents SET last_seq = last_seq + :count, recall_rows = recall_rows + :rows,
    recall_units = recall_units + :units, recall_changes = recall_changes + 1,
    unembedded = coalesce(unembedded, :since){queue}
    WHERE id = :agent RETURNING last_seq"""
MESSAGE = """
    SELECT role, text, at, shown, tokens, event, completion, call_id, name, meta, seq, speaker, usage,
    withdrawn, erased FROM messages WHERE agent = :agent"""
COUNTS = " AND withdrawn IS NULL"
NOT_APPENDED = f"""
    AND NOT (shown = '' AND name IS NOT NULL AND name = '{EventKind.APPENDED}'
    AND role IN ({", ".join(f"'{role}'" for role in SAID_ELSEWHERE)}))"""  # types.Message.is_appended
_NEWEST_FIRST = " ORDER BY seq DESC LIMIT :newest"
_KEY = "start, model, answered, tier"
_SUMS = ("requests", "estimated", "input", "output", "cached", "written", "thinking", "measured", "off")
ROW_USAGE = "SELECT seq, at, event, role, usage FROM messages WHERE agent = :agent AND usage IS NOT NULL"
ADD_TOTAL = f"""
    INSERT INTO usage_totals (agent, {_KEY}, {", ".join(_SUMS)})
    VALUES (:agent, :start, :model, :answered, :tier, {", ".join(f":{name}" for name in _SUMS)})
    ON CONFLICT (agent, {_KEY}) DO UPDATE SET
    {", ".join(f"{name} = usage_totals.{name} + excluded.{name}" for name in _SUMS)}"""
TOTALS = f"""
    SELECT start / :step * :step, model, answered, tier,
    {", ".join(f"CAST(sum({name}) AS bigint)" for name in _SUMS)}
    FROM usage_totals WHERE agent = :agent AND start >= :first AND start < :end GROUP BY 1, 2, 3, 4"""
_TOTALS_OF_ALL = f"""
    SELECT t.start, t.model, t.answered, t.tier,
    {", ".join(f"CAST(sum(t.{name}) AS bigint)" for name in _SUMS)}
    FROM usage_totals t WHERE t.start >= :first{{of}} GROUP BY 1, 2, 3, 4"""
_OF_TENANT = " AND t.agent IN (SELECT id FROM agents WHERE tenant = :tenant)"


class SqlRecall(SqlPart):
    """The part of a transaction on the log."""

    def append(
        self, agent: AgentId, rows: Sequence[Message], queue: QueueState | None = None
    ) -> list[Message]:
        units = [message_terms(row.text, row.meta) for row in rows]
        last = self._take(
            _TAKE_SEQS.format(queue=f", {QUEUE}" if queue else ""),
            agent,
            count=len(rows),
            rows=sum(map(bool, units)),
            units=sum(map(len, units)),
            since=min((micros(row.at) for row in rows if is_embedded(row)), default=None),
            **(queue_values(queue) if queue else {}),
        )
        first = last - len(rows) + 1
        stored = [_stored(row, seq, first) for seq, row in enumerate(rows, first)]
        self._store(agent, stored, units)
        seal(self._source(), agent, "recall", ROWS, first - 1, last)
        return stored

    def _store(self, agent: AgentId, rows: Sequence[Message], units: Sequence[Sequence[str]]) -> None:
        """Store numbered rows, with what follows from them."""
        values = [message_values(agent, row, len(of)) for row, of in zip(rows, units, strict=True)]
        self._db.insert("messages", agent, values)
        self._enter(agent, "recall", [(row.seq, of) for row, of in zip(rows, units, strict=True)])
        speakers = [{"agent": agent, "name": name} for name in speakers_of(rows)]
        self._db.insert("speakers", agent, speakers, if_absent=True)
        totals = add_up(
            RowUsage(row.seq, row.at, row.event, row.role, row.usage) for row in rows if row.usage
        )
        self._db.many(ADD_TOTAL, [total_values(agent, total) for total in totals])

    def speakers(self, agent: AgentId) -> list[str]:
        names = (
            f"SELECT name FROM speakers WHERE agent = :agent ORDER BY name{self._db.dialect.by_code_point}"
        )
        return [name for (name,) in self._db.rows(names, agent=agent)]

    def message(self, agent: AgentId, seq: int) -> Message | None:
        row = self._db.one(f"{MESSAGE} AND seq = :seq", agent=agent, seq=seq)
        return to_message(row) if row else None

    def messages(
        self,
        agent: AgentId,
        *,
        first: int = 1,
        last: int | None = None,
        roles: Sequence[Role] | None = None,
        event: int | None = None,
        newest: int | None = None,
        appended: bool = True,
        withdrawn: bool = False,
    ) -> list[Message]:
        chosen = f"{MESSAGE} AND seq BETWEEN :first AND :last"
        chosen += "" if event is None else " AND event = :event"
        chosen += "" if appended else NOT_APPENDED
        chosen += "" if withdrawn else COUNTS
        chosen += "" if roles is None else f" AND {self._db.dialect.among('role', 'roles', str)}"
        found = self._db.rows(
            chosen + _NEWEST_FIRST,
            agent=agent,
            first=first,
            last=EVER if last is None else last,
            roles=None if roles is None else self._db.listed([role.value for role in roles]),
            event=event,
            newest=EVER if newest is None else newest,
        )
        return [to_message(row) for row in reversed(found)]

    def completion_row(self, agent: AgentId, seq: int, *, behind: bool = False) -> Message | None:
        begins = f"{MESSAGE}{COUNTS} AND completion = seq AND seq"
        which = f"{begins} > :seq ORDER BY seq" if behind else f"{begins} <= :seq ORDER BY seq DESC"
        row = self._db.one(f"{which} LIMIT 1", agent=agent, seq=seq)
        return to_message(row) if row else None

    def spent(
        self,
        agent: AgentId,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        model: str | None = None,
        newest: int | None = None,
    ) -> list[RowUsage]:
        return self._spent(COUNTS, since, until, agent=agent, model=model, newest=newest)

    def _spent(
        self,
        which: str,
        since: datetime | None,
        until: datetime | None,
        *,
        agent: AgentId,
        model: str | None = None,
        newest: int | None = None,
    ) -> list[RowUsage]:
        """The usage of the rows that a condition names (empty: all)."""
        chosen = f"{ROW_USAGE}{which} AND at >= :since AND at < :until"
        chosen += "" if model is None else f" AND {self._db.dialect.answered_by}"
        found = self._db.rows(
            f"{chosen} ORDER BY at DESC, seq DESC LIMIT :newest",
            agent=agent,
            since=-EVER if since is None else micros(since),
            until=EVER if until is None else micros(until),
            model=model,
            newest=EVER if newest is None else newest,
        )
        return [to_row_usage(row) for row in reversed(found)]

    def usage_totals(
        self,
        agent: AgentId,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        step: timedelta = timedelta(hours=1),
    ) -> list[UsageTotal]:
        start, end = whole_quarters(since, until)
        if start is not None and end is not None and start >= end:
            return add_up(self._spent("", since, until, agent=agent), step)
        found = self._db.rows(
            TOTALS,
            agent=agent,
            first=-EVER if start is None else quarters(start),
            end=EVER if end is None else quarters(end),
            step=step // QUARTER,
        )
        totals = [to_total(row) for row in found]
        if since != start:
            totals += add_up(self._spent("", since, start, agent=agent))
        if until != end:
            totals += add_up(self._spent("", end, until, agent=agent))
        return merged(totals, step)

    def withdrawn_usage(
        self,
        agent: AgentId,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        step: timedelta = timedelta(hours=1),
    ) -> list[UsageTotal]:
        return add_up(self._spent(" AND withdrawn IS NOT NULL", since, until, agent=agent), step)

    def usage_of_all(self, since: datetime, tenant: str | None = None) -> list[UsageTotal]:
        statement = _TOTALS_OF_ALL.format(of="" if tenant is None else _OF_TENANT)
        values = {} if tenant is None else {"tenant": tenant}
        found = self._db.rows(statement, first=quarters(since), **values)
        return merged(map(to_total, found), QUARTER)


def _stored(row: Message, seq: int, first: int) -> Message:
    """The row with its number, and with texts that UTF-8 can hold."""
    return replace(
        row,
        seq=seq,
        completion=first if row.completion == 0 else row.completion,
        text=storable(row.text),
        shown=storable(row.shown),
        name=row.name and storable(row.name),
        speaker=storable(row.speaker),
        call_id=row.call_id and storable(row.call_id),
    )
