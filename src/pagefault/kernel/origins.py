"""The origins of forks: a note in the inbox of each, so that forgetting finds all that were made of an agent.

A note names all the agents before a fork by the times of their creation, so a fork is found when those
between are deleted. It has no words, and outlives a forgetting by text or time. Leaves out making a fork
(``forking``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pagefault.names import system_key
from pagefault.storage import Transaction
from pagefault.types import AgentId, AgentRecord, Event, EventKind

__all__ = [
    "ForkOrigin",
    "common_until",
    "forks_of",
    "is_origin_note",
    "note_origin",
    "note_origins",
    "origins_of",
]

_KEY = system_key("forked")


@dataclass(frozen=True, slots=True)
class ForkOrigin:
    """An agent of which a fork was made. ``created`` tells it from others, and is the same after a rename or
    a move to another database; ``at``: the number of the last row that both it and its fork have."""

    created: datetime
    at: int


def note_origin(tx: Transaction, fork: AgentRecord, agent: AgentRecord, at: int, now: datetime) -> None:
    """Note of which agent a fork was made, with all that this was made of."""
    note_origins(tx, fork.id, (ForkOrigin(agent.created, at), *_line(tx, agent)), now)


def note_origins(tx: Transaction, fork: AgentId, origins: tuple[ForkOrigin, ...], now: datetime) -> None:
    """Store the note of a fork that has none."""
    event = tx.post(fork, Event(EventKind.EDITED, _text(origins), _KEY, at=now))
    tx.set_event(fork, event.id, "done")
    tx.settle(fork)


def _text(origins: tuple[ForkOrigin, ...]) -> str:
    return json.dumps([[each.created.isoformat(), each.at] for each in origins])


def origins_of(tx: Transaction, agent: AgentId) -> tuple[ForkOrigin, ...]:
    """The agents of which a fork was made, the last one first, as it was noted; of an agent that is none,
    nothing."""
    event = tx.event_of_key(agent, _KEY)
    return _noted(event.text) if event else ()


def is_origin_note(event: Event) -> bool:
    """Return whether an event is the note of a fork, with nothing else in it."""
    words = (event.sender, event.trace, event.parked, *event.media)
    return (
        event.key == _KEY and not any(words) and bool(event.text) and _text(_noted(event.text)) == event.text
    )


def _noted(text: str) -> tuple[ForkOrigin, ...]:
    try:
        noted: Any = json.loads(text)
        pairs: Any = [(noted["created"], noted["at"])] if isinstance(noted, dict) else noted
        return tuple(ForkOrigin(datetime.fromisoformat(created), int(at)) for created, at in pairs)
    except (ValueError, TypeError, KeyError):  # a file has brought it
        return ()


def _line(tx: Transaction, agent: AgentRecord) -> Iterator[ForkOrigin]:
    """The agents before one, the last one first. A note may end with an agent that has one of its own."""
    known, current = set[datetime](), agent
    while current and (found := [each for each in origins_of(tx, current.id) if each.created not in known]):
        yield from found
        known |= {each.created for each in found}
        same = (each for each in tx.agents() if each.tenant == agent.tenant)  # read for forks alone
        current = next((each for each in same if each.created == found[-1].created), None)


def common_until(tx: Transaction, record: AgentRecord, fork: AgentRecord) -> int:
    """The number of the last row that an agent and a fork of it have in common; 0 if it is none."""
    last = fork.last_seq
    for origin in _line(tx, fork):
        last = min(last, origin.at)
        if origin.created == record.created:
            return last
    return 0


def forks_of(tx: Transaction, record: AgentRecord) -> list[AgentRecord]:
    """The agents of the same tenant that were forked from this one, and those forked from them, by name."""
    origins = [
        (each, {of.created for of in noted})
        for each in tx.agents()
        if each.tenant == record.tenant and (noted := origins_of(tx, each.id))
    ]
    known, wanted = {record.id: record}, {record.created}
    while more := [each for each, of in origins if not wanted.isdisjoint(of) and each.id not in known]:
        known |= {each.id: each for each in more}
        wanted = {each.created for each in more}
    return sorted((each for id, each in known.items() if id != record.id), key=lambda each: each.name)
