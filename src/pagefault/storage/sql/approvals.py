"""Approvals and grants: calls that wait for a decision, and functions that are allowed for good."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, get_args

from pagefault.approvals import Approval, Decision, Grant
from pagefault.storage.readable import UNREADABLE, require
from pagefault.storage.rows import micros, moment
from pagefault.storage.sql.part import SqlPart
from pagefault.types import AgentId

__all__ = ["SqlApprovals"]

_COLUMNS = "number, event, name, arguments, asked, expires, decision, note, changed, decided, person"
_PUT = f"""
    INSERT INTO approvals (agent, {_COLUMNS}) VALUES (:agent, :number, :event, :name, :arguments, :asked,
    :expires, :decision, :note, :changed, :decided, :person)
    ON CONFLICT (agent, number) DO UPDATE SET event = excluded.event, name = excluded.name,
    arguments = excluded.arguments, asked = excluded.asked, expires = excluded.expires,
    decision = excluded.decision, note = excluded.note, changed = excluded.changed,
    decided = excluded.decided, person = excluded.person"""
_OF_AGENT = f"SELECT {_COLUMNS} FROM approvals WHERE agent = :agent ORDER BY number"
_UNDECIDED = f"SELECT agent, {_COLUMNS} FROM approvals WHERE decision = ''"
_OF_TENANT = " AND (SELECT tenant FROM agents a WHERE a.id = approvals.agent) = :tenant"
_REMOVE = "DELETE FROM approvals WHERE agent = :agent AND event = :event"
_GRANT = """
    INSERT INTO grants (agent, name, at, person) VALUES (:agent, :name, :at, :person)
    ON CONFLICT (agent, name) DO UPDATE SET at = excluded.at, person = excluded.person"""
_GRANTS = "SELECT name, at, person FROM grants WHERE agent = :agent"
_REVOKE = "DELETE FROM grants WHERE agent = :agent AND name = :name"
_DECISIONS: tuple[str, ...] = get_args(Decision)


class SqlApprovals(SqlPart):
    """The part of a transaction on approvals and grants."""

    def put_approvals(self, agent: AgentId, approvals: Sequence[Approval]) -> None:
        self._require(agent)
        for each in approvals:
            self._db.send(_PUT, agent=agent, **_values(each))

    def approvals(self, agent: AgentId, *, lock: bool = False) -> list[Approval]:
        if lock:
            self._lock(agent)
        return [_to_approval(row) for row in self._db.rows(_OF_AGENT, agent=agent)]

    def remove_approvals(self, agent: AgentId, event: int) -> None:
        self._db.send(_REMOVE, agent=agent, event=event)

    def undecided(self, limit: int, due: datetime | None = None) -> list[tuple[AgentId, Approval]]:
        of = "" if self.tenant is None else _OF_TENANT
        values: dict[str, Any] = {} if self.tenant is None else {"tenant": self.tenant}
        if due is None:
            asked = f"{_UNDECIDED}{of} ORDER BY asked, agent, number LIMIT :limit"
            rows = self._db.rows(asked, limit=limit, **values)
        else:
            expired = f"{_UNDECIDED}{of} AND expires <= :due ORDER BY expires, agent, number LIMIT :limit"
            rows = self._db.rows(expired, due=micros(due), limit=limit, **values)
        return [(AgentId(agent), _to_approval(row)) for agent, *row in rows]

    def put_grant(self, agent: AgentId, grant: Grant) -> None:
        self._require(agent)
        self._db.send(_GRANT, agent=agent, name=grant.name, at=micros(grant.at), person=grant.by)

    def grants(self, agent: AgentId) -> list[Grant]:
        rows = self._db.rows(_GRANTS, agent=agent)
        return sorted((Grant(name, moment(at), by) for name, at, by in rows), key=lambda grant: grant.name)

    def revoke(self, agent: AgentId, name: str) -> bool:
        return self._db.changed(_REVOKE, agent=agent, name=name)


def _values(approval: Approval) -> dict[str, Any]:
    return {
        "number": approval.number,
        "event": approval.event,
        "name": approval.name,
        "arguments": approval.arguments,
        "asked": micros(approval.asked),
        "expires": approval.expires and micros(approval.expires),
        "decision": approval.decision,
        "note": approval.note,
        "changed": approval.changed,
        "decided": approval.decided and micros(approval.decided),
        "person": approval.by,
    }


def _to_approval(row: Any) -> Approval:
    """The approval; one that cannot be read counts as refused, with the reason."""
    number, event, name, arguments, asked, expires, decision, note, changed, decided, person = row
    try:
        require(name, arguments, note, changed or "{}", person, kind=str)
        require(json.loads(arguments), json.loads(changed or "{}"), kind=dict)
        if decision not in _DECISIONS:
            raise ValueError(f"{decision!r} is no decision")
        until, at = expires and moment(expires), decided and moment(decided)
        return Approval(
            number, event, name, arguments, moment(asked), until, decision, note, changed, at, person
        )
    except UNREADABLE as error:
        why = f"The stored decision on m{number} cannot be read ({error})."
        return Approval(number, event, str(name), "{}", moment(0), None, "refused", why)
