"""What can be done inside a transaction: ``pagefault.storage.Transaction`` in SQL.

Here: agents, the log, sections. Passages and documents are in ``archive``, the inbox and the schedules in
``queues``, vectors in ``vectors``, searching in ``storage.index``. Leaves out beginning and
committing (``worker``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from pagefault.errors import NameTakenError
from pagefault.storage import Filter, Found, Match, RowUsage, UsageTotal
from pagefault.storage.index.blocks import ROWS, seal
from pagefault.storage.index.cache import IndexCache
from pagefault.storage.index.search import search
from pagefault.storage.rows import (
    message_values,
    micros,
    moment,
    quarters,
    queue_values,
    speakers_of,
    storable,
    to_agent,
    to_message,
    to_section,
    to_spent,
    to_total,
    total_values,
)
from pagefault.storage.sqlite import lexicon
from pagefault.storage.sqlite.archive import ArchiveRows
from pagefault.storage.sqlite.connection import Connection
from pagefault.storage.sqlite.queues import AGENT
from pagefault.storage.sqlite.source import SQLiteSource
from pagefault.storage.sqlite.vectors import VectorRows
from pagefault.storage.terms import message_terms
from pagefault.storage.usage import QUARTER, add_up, merged, whole_quarters
from pagefault.types import (
    AgentId,
    AgentRecord,
    Message,
    QueueState,
    Role,
    Section,
    Tier,
)

__all__ = ["ADD_TOTAL", "TOTALS", "SQLiteTransaction"]

_CREATE_AGENT = """
    INSERT INTO agents (tenant, name, created, start, summary, pinned, head, warned, ratio, settings)
    VALUES (:tenant, :name, :created, :start, :summary, :pinned, :head, :warned, :ratio, :settings)
    RETURNING id"""
_SAVE_QUEUE = """
    UPDATE agents SET start = :start, summary = :summary, pinned = :pinned, head = :head, warned = :warned,
    ratio = :ratio WHERE id = :agent"""
_TAKE_SEQS = """
    UPDATE agents SET last_seq = last_seq + :count, recall_changes = recall_changes + 1,
    recall_rows = recall_rows + :rows, recall_units = recall_units + :units
    WHERE id = :agent RETURNING last_seq"""
_APPEND = """
    INSERT INTO messages (agent, seq, role, at, event, completion, tokens, units, embed, call_id, name, meta,
    text, shown, speaker, usage) VALUES (:agent, :seq, :role, :at, :event, :completion, :tokens, :units,
    :embed, :call_id, :name, :meta, :text, :shown, :speaker, :usage)"""
_KNOW_SPEAKER = "INSERT OR IGNORE INTO speakers (agent, name) VALUES (:agent, :name)"
_SPEAKERS = "SELECT name FROM speakers WHERE agent = :agent ORDER BY name"
_MESSAGE = """
    SELECT role, text, at, shown, tokens, event, completion, call_id, name, meta, seq, speaker, usage
    FROM messages
    WHERE agent = :agent"""
_MESSAGES = (
    _MESSAGE
    + """ AND seq BETWEEN :first AND :last
    AND (:roles IS NULL OR role IN (SELECT value FROM json_each(:roles)))"""
)
_NEWEST_FIRST = " ORDER BY seq DESC LIMIT :newest"
_SPENT = """
    SELECT seq, at, event, role, usage FROM messages WHERE agent = :agent AND at >= :since AND at < :until
    AND usage IS NOT NULL AND (:model IS NULL OR EXISTS (
        SELECT 1 FROM json_each(usage) WHERE json_extract(value, '$.model') = :model))
    ORDER BY at DESC, seq DESC LIMIT :newest"""
_KEY = "start, model, answered, tier"
_SUMS = ("requests", "estimated", "input", "output", "cached", "written", "thinking", "measured", "off")
ADD_TOTAL = f"""
    INSERT INTO usage_totals (agent, {_KEY}, {", ".join(_SUMS)})
    VALUES (:agent, :start, :model, :answered, :tier, {", ".join(f":{name}" for name in _SUMS)})
    ON CONFLICT (agent, {_KEY}) DO UPDATE SET
    {", ".join(f"{name} = usage_totals.{name} + excluded.{name}" for name in _SUMS)}"""
TOTALS = f"""
    SELECT start / :step * :step, model, answered, tier,
    {", ".join(f"CAST(sum({name}) AS bigint)" for name in _SUMS)}
    FROM usage_totals WHERE agent = :agent AND start >= :first AND start < :end
    GROUP BY 1, 2, 3, 4"""
_SECTION = "SELECT v.name, description, token_limit, text, read_only, v.version, at FROM section_versions v"
_SECTIONS = (
    _SECTION
    + """ JOIN sections s ON s.agent = v.agent AND s.name = v.name AND s.version = v.version
    WHERE s.agent = :agent AND token_limit > 0 ORDER BY s.id"""
)
_PUT_SECTION = """
    INSERT INTO sections (agent, name, version) VALUES (:agent, :name, 1)
    ON CONFLICT (agent, name) DO UPDATE SET version = version + 1 RETURNING version"""
_PUT_SECTION_VERSION = """
    INSERT INTO section_versions (agent, name, version, at, description, token_limit, text, read_only)
    VALUES (:agent, :name, :version, :at, :description, :limit, :text, :read_only)"""


_EVER = 2**62


class SQLiteTransaction(ArchiveRows, VectorRows):
    """``pagefault.storage.Transaction`` on one connection, inside a transaction that the worker opened.

    ``cache``: what searches keep in memory; None in a connection that writes.
    """

    def __init__(self, connection: Connection, cache: IndexCache | None = None) -> None:
        super().__init__(connection)
        self._cache = cache

    # agents
    def create_agent(self, record: AgentRecord) -> AgentRecord:
        if self.agent(record.name, record.tenant):
            raise NameTakenError(record.name)
        values = {"created": micros(record.created), "settings": json.dumps(record.settings)}
        (number,) = self._db.one(
            _CREATE_AGENT, tenant=record.tenant, name=record.name, **values, **queue_values(record.queue)
        )
        return replace(record, id=AgentId(number))

    def agent(self, name: str, tenant: str = "") -> AgentRecord | None:
        row = self._db.one(f"{AGENT} WHERE tenant = :tenant AND name = :name", tenant=tenant, name=name)
        return to_agent(row) if row else None

    def agent_by_id(self, agent: AgentId) -> AgentRecord | None:
        row = self._db.one(f"{AGENT} WHERE id = :agent", agent=agent)
        return to_agent(row) if row else None

    def agents(self) -> list[AgentRecord]:
        return [to_agent(row) for row in self._db.rows(f"{AGENT} ORDER BY name, tenant")]

    def delete_agent(self, agent: AgentId) -> None:
        lexicon.unindex_agent(self._db, agent)
        self._change("DELETE FROM agents WHERE id = :agent", f"agent {agent}", agent=agent)

    def rename_agent(self, agent: AgentId, name: str) -> None:
        record = self.agent_by_id(agent)
        if record and self.agent(name, record.tenant):
            raise NameTakenError(name)
        rename = "UPDATE agents SET name = :name WHERE id = :agent"
        self._change(rename, f"agent {agent}", agent=agent, name=name)

    def save_settings(self, agent: AgentId, settings: dict[str, object]) -> None:
        save = "UPDATE agents SET settings = :settings WHERE id = :agent"
        self._change(save, f"agent {agent}", agent=agent, settings=json.dumps(settings))

    def save_queue(self, agent: AgentId, queue: QueueState) -> None:
        self._change(_SAVE_QUEUE, f"agent {agent}", agent=agent, **queue_values(queue))

    # recall storage
    def append(self, agent: AgentId, rows: Sequence[Message]) -> list[Message]:
        units = [message_terms(row.role, row.text, row.meta) for row in rows]
        indexed = {"rows": sum(map(bool, units)), "units": sum(map(len, units))}
        last = self._take(_TAKE_SEQS, agent, count=len(rows), **indexed)
        first = last - len(rows) + 1
        stored = [
            replace(
                row,
                seq=seq,
                completion=first if row.completion == 0 else row.completion,
                text=storable(row.text),
                shown=storable(row.shown),
                name=row.name and storable(row.name),
                speaker=storable(row.speaker),
                call_id=row.call_id and storable(row.call_id),
            )
            for seq, row in enumerate(rows, first)
        ]
        lengths = map(len, units)
        self._db.many(
            _APPEND, [message_values(agent, row, length) for row, length in zip(stored, lengths, strict=True)]
        )
        lexicon.index(self._db, agent, "recall", list(enumerate(units, first)))
        for speaker in speakers_of(stored):
            self._db.run(_KNOW_SPEAKER, agent=agent, name=speaker)
        if totals := add_up(
            RowUsage(row.seq, row.at, row.event, row.role, row.usage) for row in stored if row.usage
        ):
            self._db.many(ADD_TOTAL, [total_values(agent, total) for total in totals])
        seal(SQLiteSource(self._db), agent, "recall", ROWS, first - 1, last)
        return stored

    def speakers(self, agent: AgentId) -> list[str]:
        return [name for (name,) in self._db.rows(_SPEAKERS, agent=agent)]

    def message(self, agent: AgentId, seq: int) -> Message | None:
        row = self._db.one(f"{_MESSAGE} AND seq = :seq", agent=agent, seq=seq)
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
    ) -> list[Message]:
        found = self._db.rows(
            _MESSAGES + (" AND event = :event" if event is not None else "") + _NEWEST_FIRST,
            agent=agent,
            first=first,
            last=2**62 if last is None else last,
            roles=None if roles is None else json.dumps(roles),
            event=event,
            newest=-1 if newest is None else newest,
        )
        return [to_message(row) for row in reversed(found)]

    def spent(
        self,
        agent: AgentId,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        model: str | None = None,
        newest: int | None = None,
    ) -> list[RowUsage]:
        found = self._db.rows(
            _SPENT,
            agent=agent,
            since=-(2**62) if since is None else micros(since),
            until=2**62 if until is None else micros(until),
            model=model,
            newest=-1 if newest is None else newest,
        )
        return [to_spent(row) for row in reversed(found)]

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
            return add_up(self.spent(agent, since=since, until=until), step)
        found = self._db.rows(
            TOTALS,
            agent=agent,
            first=-_EVER if start is None else quarters(start),
            end=_EVER if end is None else quarters(end),
            step=step // QUARTER,
        )
        totals = [to_total(row) for row in found]
        if since != start:
            totals += add_up(self.spent(agent, since=since, until=start))
        if until != end:
            totals += add_up(self.spent(agent, since=end, until=until))
        return merged(totals, step)

    # working context
    def sections(self, agent: AgentId) -> list[Section]:
        return [to_section(row) for row in self._db.rows(_SECTIONS, agent=agent)]

    def put_section(self, agent: AgentId, section: Section, at: datetime) -> Section:
        (version,) = self._db.one(_PUT_SECTION, agent=agent, name=section.name)
        self._db.run(
            _PUT_SECTION_VERSION,
            agent=agent,
            name=section.name,
            version=version,
            at=micros(at),
            description=section.description,
            limit=section.limit,
            text=section.text,
            read_only=section.read_only,
        )
        return replace(section, version=version)

    def section_history(self, agent: AgentId, name: str) -> list[tuple[datetime, Section]]:
        history = f"{_SECTION} WHERE agent = :agent AND name = :name ORDER BY version"
        return [(moment(row[-1]), to_section(row)) for row in self._db.rows(history, agent=agent, name=name)]

    # search
    def search(self, agent: AgentId, tier: Tier, match: Match, filter: Filter, fingerprint: str) -> Found:
        # What a writing transaction sees may yet be undone: it is not kept.
        cache = IndexCache() if self._cache is None else self._cache
        return search(SQLiteSource(self._db), cache, agent, tier, match, filter, fingerprint)
