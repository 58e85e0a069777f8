"""The outbox: effects of one owner's transaction on another, and the last that was applied to each target."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pagefault.shared import Outgoing
from pagefault.storage.readable import UNREADABLE, require
from pagefault.storage.rows import micros, moment
from pagefault.storage.sql.part import SqlPart
from pagefault.types import AgentId

__all__ = ["SqlOutbox"]

_PUT = """
    INSERT INTO outbox (agent, number, target, kind, payload, at)
    VALUES (:agent, :number, :target, :kind, :payload, :at)"""
_OUTGOING = """
    SELECT target, kind, payload, at, number, parked FROM outbox WHERE agent = :agent ORDER BY number"""
_PARK = "UPDATE outbox SET parked = :why WHERE agent = :agent AND number = :number"
_REMOVE = "DELETE FROM outbox WHERE agent = :agent AND number = :number"
_DELIVERED = "SELECT number FROM deliveries WHERE agent = :agent AND sender = :sender"
_SET_DELIVERED = """
    INSERT INTO deliveries (agent, sender, number) VALUES (:agent, :sender, :number)
    ON CONFLICT (agent, sender) DO UPDATE SET number = excluded.number"""


class SqlOutbox(SqlPart):
    """The part of a transaction on effects that are on their way."""

    reaches_others = True

    def put_outgoing(self, sender: AgentId, outgoing: Outgoing) -> Outgoing:
        number = self._next("outgoing", sender)
        values = {"target": outgoing.target, "kind": outgoing.kind, "payload": outgoing.payload}
        self._db.send(_PUT, agent=sender, number=number, at=micros(outgoing.at), **values)
        return replace(outgoing, number=number, parked="")

    def outgoing(self, sender: AgentId) -> list[Outgoing]:
        return [_to_outgoing(row) for row in self._db.rows(_OUTGOING, agent=sender)]

    def outboxes(self) -> list[AgentId]:
        found = self._db.rows("SELECT DISTINCT agent FROM outbox")
        return sorted(AgentId(agent) for (agent,) in found)

    def park_outgoing(self, sender: AgentId, number: int, why: str) -> None:
        self._change(_PARK, f"outgoing effect {number}", agent=sender, number=number, why=why)

    def remove_outgoing(self, sender: AgentId, number: int) -> bool:
        return self._db.changed(_REMOVE, agent=sender, number=number)

    def delivered(self, target: AgentId, sender: AgentId) -> int:
        self._require(target)
        found = self._db.one(_DELIVERED, agent=target, sender=sender)
        return found[0] if found else 0

    def set_delivered(self, target: AgentId, sender: AgentId, number: int) -> None:
        self._db.send(_SET_DELIVERED, agent=target, sender=sender, number=number)


def _to_outgoing(row: Any) -> Outgoing:
    """The effect; one that cannot be read is parked, with the reason."""
    target, kind, payload, at, number, parked = row
    try:
        require(target, kind, payload, parked or "", kind=str)
        return Outgoing(target, kind, payload, moment(at), number, parked or "")
    except UNREADABLE as error:
        why = f"The stored effect {number} cannot be read ({error})."
        return Outgoing(str(target), str(kind), str(payload), moment(0), number, why)
