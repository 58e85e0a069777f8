"""What can be done inside a transaction: ``pagefault.storage.Transaction`` in PostgreSQL's SQL.

Here: agents, the log, sections. Passages and documents are in ``archive``, the inbox and the schedules in
``queues``, the lexical index in ``postings``, vectors in ``vectors``. Leaves out beginning and committing
(``store``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from pagefault.errors import NameTakenError, NotFoundError
from pagefault.storage import Filter, Found, Match, RowUsage, UsageTotal
from pagefault.storage.index.blocks import ROWS, seal
from pagefault.storage.index.cache import IndexCache
from pagefault.storage.index.search import search
from pagefault.storage.postgres import postings
from pagefault.storage.postgres.archive import ArchiveRows
from pagefault.storage.postgres.connection import Connection
from pagefault.storage.postgres.queues import AGENT, LOCK_AGENT
from pagefault.storage.postgres.source import PostgresSource
from pagefault.storage.postgres.vectors import VectorRows
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

__all__ = ["ADD_TOTAL", "TOTALS", "PostgresTransaction"]

_CREATE_AGENT = """
    INSERT INTO agents (tenant, name, created, start, summary, pinned, head, warned, ratio, settings) VALUES
    (%(tenant)s, %(name)s, %(created)s, %(start)s, %(summary)s, %(pinned)s, %(head)s, %(warned)s, %(ratio)s,
    %(settings)s) RETURNING id"""
_NAME_AGENT = """
    INSERT INTO agent_names (tenant, name, agent) VALUES (%(tenant)s, %(name)s, %(agent)s)
    ON CONFLICT DO NOTHING"""
_NAMED = "SELECT agent FROM agent_names WHERE tenant = %(tenant)s AND name = %(name)s"
_OWNED = (
    "messages", "speakers", "sections", "section_versions", "passages", "passage_tags", "deletions",
    "documents", "document_pages", "inbox", "schedules", "vectors", "vector_marks", "postings", "agent_names",
    "usage_totals", "index_blocks",
)  # fmt: skip
_TAKE_YOUR_TIME = """
    SELECT set_config(name, '0', true) FROM pg_settings WHERE name = 'transaction_timeout'"""
_SAVE_QUEUE = """
    UPDATE agents SET start = %(start)s, summary = %(summary)s, pinned = %(pinned)s, head = %(head)s,
    warned = %(warned)s, ratio = %(ratio)s WHERE id = %(agent)s"""
_TAKE_SEQS = """
    UPDATE agents SET last_seq = last_seq + %(count)s, recall_rows = recall_rows + %(rows)s,
    recall_units = recall_units + %(units)s, recall_changes = recall_changes + 1
    WHERE id = %(agent)s RETURNING last_seq"""
# Columns as arrays: one statement for many rows.
_COLUMNS = {
    "seq": "bigint", "role": "text", "at": "bigint", "event": "bigint", "completion": "bigint",
    "tokens": "integer", "units": "integer", "embed": "boolean", "call_id": "text", "name": "text",
    "meta": "text", "text": "text", "shown": "text", "speaker": "text",
    "usage": "text",
}  # fmt: skip
_APPEND = f"""
    INSERT INTO messages (agent, {", ".join(_COLUMNS)}) SELECT %(agent)s, * FROM
    unnest({", ".join(f"%({name})s::{kind}[]" for name, kind in _COLUMNS.items())})"""
_KNOW_SPEAKERS = """
    INSERT INTO speakers (agent, name) SELECT %(agent)s, unnest(%(names)s::text[]) ON CONFLICT DO NOTHING"""
_SPEAKERS = 'SELECT name FROM speakers WHERE agent = %(agent)s ORDER BY name COLLATE "C"'
_MESSAGE = """
    SELECT role, text, at, shown, tokens, event, completion, call_id, name, meta, seq, speaker, usage
    FROM messages
    WHERE agent = %(agent)s"""
_MESSAGES = f"{_MESSAGE} AND seq BETWEEN %(first)s AND %(last)s"
_NEWEST_FIRST = " ORDER BY seq DESC LIMIT %(newest)s"
_SPENT = """
    SELECT seq, at, event, role, usage FROM messages WHERE agent = %(agent)s AND at >= %(since)s
    AND at < %(until)s AND usage IS NOT NULL"""
_OF_MODEL = """
    AND EXISTS (SELECT FROM json_array_elements(usage::json) r WHERE r ->> 'model' = %(model)s)"""
_LAST_SPENT = " ORDER BY at DESC, seq DESC LIMIT %(newest)s"
_KEY = "start, model, answered, tier"
_SUMS = ("requests", "estimated", "input", "output", "cached", "written", "thinking", "measured", "off")
ADD_TOTAL = f"""
    INSERT INTO usage_totals (agent, {_KEY}, {", ".join(_SUMS)})
    VALUES (%(agent)s, %(start)s, %(model)s, %(answered)s, %(tier)s,
    {", ".join(f"%({name})s" for name in _SUMS)})
    ON CONFLICT (agent, {_KEY}) DO UPDATE SET
    {", ".join(f"{name} = usage_totals.{name} + excluded.{name}" for name in _SUMS)}"""
TOTALS = f"""
    SELECT start / %(step)s * %(step)s, model, answered, tier,
    {", ".join(f"CAST(sum({name}) AS bigint)" for name in _SUMS)}
    FROM usage_totals WHERE agent = %(agent)s AND start >= %(first)s AND start < %(end)s
    GROUP BY 1, 2, 3, 4"""
_SECTION = "SELECT v.name, description, token_limit, text, read_only, v.version, at FROM section_versions v"
_SECTIONS = f"""
    {_SECTION} JOIN sections s ON s.agent = v.agent AND s.name = v.name AND s.version = v.version
    WHERE s.agent = %(agent)s AND token_limit > 0 ORDER BY s.id"""
_PUT_SECTION = """
    INSERT INTO sections AS s (agent, name, version) VALUES (%(agent)s, %(name)s, 1)
    ON CONFLICT (agent, name) DO UPDATE SET version = s.version + 1 RETURNING version"""
_PUT_SECTION_VERSION = """
    INSERT INTO section_versions (agent, name, version, at, description, token_limit, text, read_only)
    VALUES (%(agent)s, %(name)s, %(version)s, %(at)s, %(description)s, %(limit)s, %(text)s, %(read_only)s)"""
_NEXT_FENCE = "UPDATE agents SET fence = fence + 1 WHERE id = %(agent)s RETURNING fence"
_EVER = 2**62


class PostgresTransaction(ArchiveRows, VectorRows):
    """``pagefault.storage.Transaction`` on one connection, inside a transaction that the store opened.

    ``cache``: what searches keep in memory; None in a transaction that writes.
    """

    def __init__(self, connection: Connection, cache: IndexCache | None = None) -> None:
        super().__init__(connection)
        self._cache = cache

    # agents
    def create_agent(self, record: AgentRecord) -> AgentRecord:
        values = {"created": micros(record.created), "settings": json.dumps(record.settings)}
        named = {"tenant": record.tenant, "name": record.name}
        (number,) = self._db.one(_CREATE_AGENT, **named, **values, **queue_values(record.queue))
        if not self._db.changed(_NAME_AGENT, **named, agent=number):
            raise NameTakenError(record.name)
        return replace(record, id=AgentId(number))

    def agent(self, name: str, tenant: str = "") -> AgentRecord | None:
        row = self._db.one(f"{AGENT} WHERE id = ({_NAMED})", tenant=tenant, name=name)
        return to_agent(row) if row else None

    def agent_by_id(self, agent: AgentId) -> AgentRecord | None:
        row = self._db.one(f"{AGENT} WHERE id = %(agent)s", agent=agent)
        return to_agent(row) if row else None

    def agents(self) -> list[AgentRecord]:
        return [
            to_agent(row) for row in self._db.rows(f'{AGENT} ORDER BY name COLLATE "C", tenant COLLATE "C"')
        ]

    def delete_agent(self, agent: AgentId) -> None:
        self._db.send(_TAKE_YOUR_TIME)
        self._change("DELETE FROM agents WHERE id = %(agent)s", f"agent {agent}", agent=agent)
        for table in _OWNED:
            self._db.send(f"DELETE FROM {table} WHERE agent = %(agent)s", agent=agent)

    def rename_agent(self, agent: AgentId, name: str) -> None:
        rename = "UPDATE agents SET name = %(name)s WHERE id = %(agent)s RETURNING tenant"
        tenant = self._take(rename, agent, name=name)
        self._db.send("DELETE FROM agent_names WHERE agent = %(agent)s", agent=agent)
        if not self._db.changed(_NAME_AGENT, tenant=tenant, name=name, agent=agent):
            raise NameTakenError(name)

    def save_settings(self, agent: AgentId, settings: dict[str, object]) -> None:
        save = "UPDATE agents SET settings = %(settings)s WHERE id = %(agent)s"
        self._change(save, f"agent {agent}", agent=agent, settings=json.dumps(settings))

    def save_queue(self, agent: AgentId, queue: QueueState) -> None:
        self._change(_SAVE_QUEUE, f"agent {agent}", agent=agent, **queue_values(queue))

    def next_fence(self, agent: AgentId) -> int | None:
        """Begin a new turn's fence: writes of turns begun before are refused. None: no such agent."""
        row = self._db.one(_NEXT_FENCE, agent=agent)
        return row[0] if row else None

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
        values = [message_values(agent, row, len(of)) for row, of in zip(stored, units, strict=True)]
        columns = {
            name: [str(row[name]) if name == "role" else row[name] for row in values] for name in _COLUMNS
        }
        self._db.send(_APPEND, agent=agent, **columns)
        postings.index(self._db, agent, "recall", list(enumerate(units, first)))
        if names := speakers_of(stored):
            self._db.send(_KNOW_SPEAKERS, agent=agent, names=names)
        if totals := add_up(
            RowUsage(row.seq, row.at, row.event, row.role, row.usage) for row in stored if row.usage
        ):
            self._db.many(ADD_TOTAL, [total_values(agent, total) for total in totals])
        seal(PostgresSource(self._db), agent, "recall", ROWS, first - 1, last)
        return stored

    def speakers(self, agent: AgentId) -> list[str]:
        return [name for (name,) in self._db.rows(_SPEAKERS, agent=agent)]

    def message(self, agent: AgentId, seq: int) -> Message | None:
        row = self._db.one(f"{_MESSAGE} AND seq = %(seq)s", agent=agent, seq=seq)
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
        chosen = "" if event is None else " AND event = %(event)s"
        chosen += "" if roles is None else " AND role = ANY(%(roles)s::text[])"
        found = self._db.rows(
            _MESSAGES + chosen + _NEWEST_FIRST,
            agent=agent,
            first=first,
            last=_EVER if last is None else last,
            roles=None if roles is None else list(roles),
            event=event,
            newest=newest,
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
        of_model = "" if model is None else _OF_MODEL
        found = self._db.rows(
            _SPENT + of_model + _LAST_SPENT,
            agent=agent,
            since=-_EVER if since is None else micros(since),
            until=_EVER if until is None else micros(until),
            model=model,
            newest=newest,
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
        if self._db.one(LOCK_AGENT, agent=agent) is None:
            raise NotFoundError(f"There is no agent {agent}; it may have been deleted.")
        (version,) = self._db.one(_PUT_SECTION, agent=agent, name=section.name)
        self._db.send(
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
        history = f"{_SECTION} WHERE agent = %(agent)s AND name = %(name)s ORDER BY version"
        return [(moment(row[-1]), to_section(row)) for row in self._db.rows(history, agent=agent, name=name)]

    # search
    def search(self, agent: AgentId, tier: Tier, match: Match, filter: Filter, fingerprint: str) -> Found:
        # What a writing transaction sees may yet be undone: it is not kept.
        cache = IndexCache() if self._cache is None else self._cache
        return search(PostgresSource(self._db), cache, agent, tier, match, filter, fingerprint)
