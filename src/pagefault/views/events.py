"""The inboxes: events that wait, and those that are parked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pagefault.images import with_media
from pagefault.kernel import Kernel
from pagefault.storage import Transaction
from pagefault.types import AgentId, AgentRecord, Event, EventState
from pagefault.views.asking import zone_shown

__all__ = ["EventView", "events", "stored_event"]

_OPEN: tuple[EventState, ...] = ("active", "waiting", "pending", "parked")


@dataclass(frozen=True, slots=True)
class EventView:
    """An event of an inbox. ``attempts``: times its turn was begun since it last got on; ``parked``: why it
    is not served any more, empty otherwise; ``at``: when it was posted, in the agent's zone."""

    agent: str
    id: int
    kind: str
    text: str
    sender: str | None
    at: datetime | None
    state: EventState
    attempts: int
    parked: str


async def events(kernel: Kernel, name: str | None = None, *, parked: bool = False) -> tuple[EventView, ...]:
    """The events of one agent's inbox, or of all, that are open or parked; only the parked ones if so."""
    records = [await kernel.record(name)] if name is not None else await kernel.agents()
    states: tuple[EventState, ...] = ("parked",) if parked else _OPEN

    def read(tx: Transaction) -> list[tuple[AgentRecord, Event]]:
        return [
            (record, event) for record in records for s in states for event in tx.events(record.id, state=s)
        ]

    return tuple(_view(record, event) for record, event in await kernel.store.read(read))


async def stored_event(kernel: Kernel, agent: AgentId, number: int) -> tuple[AgentRecord, Event] | None:
    """The agent and the event of these numbers, whatever the agent is called now; None if there is none."""

    def read(tx: Transaction) -> tuple[AgentRecord, Event] | None:
        record, event = tx.agent_by_id(agent), tx.event(agent, number)
        return (record, event) if record and event else None

    return await kernel.store.read(read)


def _view(record: AgentRecord, event: Event) -> EventView:
    at = event.at and event.at.astimezone(zone_shown(record))
    return EventView(
        record.name,
        event.id,
        event.kind,
        with_media(event.text, event.media),
        event.sender,
        at,
        event.state,
        event.attempts,
        event.parked,
    )
