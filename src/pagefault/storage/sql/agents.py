"""Agents, and the sections of their working context."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import chain, groupby, islice, zip_longest
from operator import itemgetter
from typing import Any

from pagefault.errors import NameTakenError
from pagefault.shared import is_shared
from pagefault.storage.acts import settings_changed
from pagefault.storage.rows import micros, moment, queue_values, to_agent, to_section
from pagefault.storage.sql.tenancy import AN_AGENT, SqlTenancy
from pagefault.types import AgentId, AgentRecord, QueueState, Section

__all__ = ["AGENT", "QUEUE", "SqlAgents"]

AGENT = """
    SELECT name, settings, created, id, last_seq, start, summary, pinned, head, warned, ratio, tenant,
    parked, attachment_changes, hold FROM agents"""
QUEUE = """
    start = :start, summary = :summary, pinned = :pinned, head = :head, warned = :warned, ratio = :ratio"""
_CREATE_AGENT = """
    INSERT INTO agents (tenant, name, created, start, summary, pinned, head, warned, ratio, settings)
    VALUES (:tenant, :name, :created, :start, :summary, :pinned, :head, :warned, :ratio, :settings)
    ON CONFLICT DO NOTHING RETURNING id"""
_SECTION = """
    SELECT v.name, description, token_limit, text, read_only, v.version, born, at FROM section_versions v"""
_SECTIONS = f"""
    {_SECTION} JOIN sections s ON s.agent = v.agent AND s.name = v.name AND s.version = v.version
    WHERE s.agent = :agent AND token_limit > 0 ORDER BY s.id"""
_SECTIONS_AT = f"""
    {_SECTION} JOIN sections s ON s.agent = v.agent AND s.name = v.name
    WHERE s.agent = :agent AND v.version = (
        SELECT max(o.version) FROM section_versions o
        WHERE o.agent = s.agent AND o.name = s.name AND o.at <= :at
    ) ORDER BY s.id"""
_PUT_SECTION = """
    INSERT INTO sections AS s (agent, name, version) VALUES (:agent, :name, 1)
    ON CONFLICT (agent, name) DO UPDATE SET version = s.version + 1 RETURNING version"""
_PUT_SECTION_VERSION = """
    INSERT INTO section_versions (agent, name, version, at, description, token_limit, text, read_only, born)
    VALUES (:agent, :name, :version, :at, :description, :limit, :text, :read_only, :born)"""


class SqlAgents(SqlTenancy):
    """The part of a transaction on agents and sections."""

    # agents
    def create_agent(self, record: AgentRecord) -> AgentRecord:
        if self.tenant is not None:
            record = replace(record, tenant=self.tenant)
        if not is_shared(record.name):
            self.check_quota("agents")
        values = {"created": micros(record.created), "settings": json.dumps(record.settings)}
        named = {"tenant": record.tenant, "name": record.name}
        made = self._db.one(_CREATE_AGENT, **named, **values, **queue_values(record.queue))
        if made is None or not self._register(AgentId(made[0]), record.tenant, record.name):
            raise NameTakenError(record.name)
        self.note(f"made {record.name}")
        return replace(record, id=AgentId(made[0]))

    @abstractmethod
    def _delete_owned(self, agent: AgentId) -> None:
        """Delete all that hung on an agent that was just deleted."""

    def agent(self, name: str) -> AgentRecord | None:
        return None if is_shared(name) else self._named(name, self.tenant or "")

    def _named(self, name: str, tenant: str) -> AgentRecord | None:
        """The row of this name, an agent's or of what agents share."""
        # Not one statement: where agents are spread over servers, names are not beside them.
        found = self._db.one(self._db.dialect.find_name, tenant=tenant, name=name)
        return self.agent_by_id(AgentId(found[0])) if found else None

    def agent_by_id(self, agent: AgentId) -> AgentRecord | None:
        row = self._db.one(f"{AGENT} WHERE id = :agent", agent=agent)
        record = to_agent(row) if row else None
        return record if record and self._belongs(record.tenant) else None

    def agents(self, after: str = "", limit: int | None = None) -> list[AgentRecord]:
        behind = f"name{self._db.dialect.by_code_point} > :after"
        return self._listed(f"{AN_AGENT} AND {behind}", limit, after=after)

    def agent_names(self) -> list[str]:
        return [name for (name,) in self._chosen("SELECT name FROM agents", AN_AGENT)]

    def _listed(self, condition: str, limit: int | None = None, **values: str) -> list[AgentRecord]:
        """The rows of ``agents`` that meet a condition, by name, then tenant."""
        return [to_agent(row) for row in self._chosen(AGENT, condition, limit, **values)]

    def _chosen(self, select: str, condition: str, limit: int | None = None, **values: Any) -> list[Any]:
        collate = self._db.dialect.by_code_point
        order = f" ORDER BY name{collate}, tenant{collate}"
        if self.tenant is not None:
            condition, values = f"tenant = :tenant AND {condition}", {**values, "tenant": self.tenant}
        if limit is not None:
            order, values = f"{order} LIMIT :limit", {**values, "limit": limit}
        return self._db.rows(f"{select} WHERE {condition}{order}", **values)

    def waiting(self, limit: int, after: str | None = None, but: Sequence[AgentId] = ()) -> list[AgentRecord]:
        if self.tenant is not None:
            parts, after = ("tenant = :after",), self.tenant
        else:
            parts = ("TRUE",) if after is None else ("tenant > :after", "tenant <= :after")
        tenants = chain.from_iterable(self._ready(part, limit, after=after, but=but) for part in parts)
        rounds = zip_longest(*islice(tenants, limit))
        return self._records([id for each in rounds for id in each if id is not None][:limit])

    def _ready(
        self, part: str, limit: int, *, but: Sequence[AgentId], **values: str | None
    ) -> Iterator[list[int]]:
        """Yield of each tenant the first ``limit`` agents that wait, by the index ``agents_ready``. Without
        recursion or windows, so that the nodes of a distributed database each answer for themselves."""
        excluded = self._db.dialect.among("id", "but", int)
        more: Mapping[str, str] = {}
        further, is_cut = "", True
        while is_cut:
            statement = f"""
                SELECT id, tenant FROM agents
                WHERE ready IS NOT NULL AND holder IS NULL AND parked IS NULL AND {part}{further}
                AND {AN_AGENT}
                AND NOT {excluded} ORDER BY tenant, ready, id LIMIT :limit"""
            rows = self._db.rows(statement, limit=limit, but=self._db.listed(but), **values, **more)
            found = [[id for id, _ in each] for _, each in groupby(rows, key=itemgetter(1))]
            is_cut = len(rows) == limit
            whole = not is_cut or len(found) == 1  # else more of the last may be behind the limit
            yield from found if whole else found[:-1]
            further = f" AND tenant {'>' if whole else '>='} :start"
            more = {"start": rows[-1][1]} if rows else {}

    def _records(self, ids: Sequence[int]) -> list[AgentRecord]:
        among = self._db.dialect.among("id", "ids", int)
        rows = self._db.rows(f"{AGENT} WHERE {among}", ids=self._db.listed(ids)) if ids else []
        records = {record.id: record for record in map(to_agent, rows)}
        return [records[AgentId(id)] for id in ids]

    def delete_agent(self, agent: AgentId) -> None:
        if self.by and (record := self.agent_by_id(agent)):
            self.note(f"deleted {record.name}")
        self._change("DELETE FROM agents WHERE id = :agent", f"agent {agent}", agent=agent)
        self._delete_owned(agent)

    def rename_agent(self, agent: AgentId, name: str) -> None:
        self._require(agent)
        record = self.agent_by_id(agent)
        if record is None or self._named(name, record.tenant):
            raise NameTakenError(name)
        self.note(f"renamed {record.name} to {name}")
        self._db.send("UPDATE agents SET name = :name WHERE id = :agent", agent=agent, name=name)
        if not self._register(agent, record.tenant, name):
            raise NameTakenError(name)

    def save_settings(self, agent: AgentId, settings: dict[str, object]) -> None:
        if self.by and (record := self.agent_by_id(agent)):
            self.note(settings_changed(record.name, record.settings, settings))
        save = "UPDATE agents SET settings = :settings WHERE id = :agent"
        self._change(save, f"agent {agent}", agent=agent, settings=json.dumps(settings))

    def save_queue(self, agent: AgentId, queue: QueueState) -> None:
        save = f"UPDATE agents SET {QUEUE} WHERE id = :agent"
        self._change(save, f"agent {agent}", agent=agent, **queue_values(queue))

    def park_agent(self, agent: AgentId, why: str) -> None:
        park = "UPDATE agents SET parked = :why WHERE id = :agent"
        self._change(park, f"agent {agent}", agent=agent, why=why or None)

    # working context
    def sections(self, agent: AgentId) -> list[Section]:
        return [to_section(row) for row in self._db.rows(_SECTIONS, agent=agent)]

    def put_section(self, agent: AgentId, section: Section, at: datetime) -> Section:
        born = self._require(agent)
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
            born=born,
        )
        return replace(section, version=version, born=born)

    def section_history(self, agent: AgentId, name: str) -> list[tuple[datetime, Section]]:
        history = f"{_SECTION} WHERE agent = :agent AND name = :name ORDER BY version"
        return [(moment(row[-1]), to_section(row)) for row in self._db.rows(history, agent=agent, name=name)]

    def sections_at(self, agent: AgentId, at: datetime) -> list[tuple[datetime, Section]]:
        found = self._db.rows(_SECTIONS_AT, agent=agent, at=micros(at))
        return [(moment(row[-1]), to_section(row)) for row in found]
