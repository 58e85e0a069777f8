"""The origins of forks: a note in the inbox of each, so that forgetting finds all that were made of an agent.

Leaves out making a fork (``forking``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from pagefault.names import system_key
from pagefault.storage import Transaction
from pagefault.types import AgentId, AgentRecord, Event, EventKind

__all__ = ["ForkOrigin", "common_until", "forks_of", "note_origin", "origin_of"]

_KEY = system_key("forked")


@dataclass(frozen=True, slots=True)
class ForkOrigin:
    """The agent of which a fork was made, as it was called then. ``created`` tells it from others, and is the
    same after a rename or a move to another database; ``at``: the number of the last row that both have."""

    name: str
    created: datetime
    at: int


def note_origin(tx: Transaction, fork: AgentRecord, origin: ForkOrigin, now: datetime) -> None:
    """Note of which agent a fork was made."""
    text = json.dumps({"name": origin.name, "created": origin.created.isoformat(), "at": origin.at})
    event = tx.post(fork.id, Event(EventKind.EDITED, text, _KEY, at=now))
    tx.set_event(fork.id, event.id, "done")
    tx.settle(fork.id)


def origin_of(tx: Transaction, agent: AgentId) -> ForkOrigin | None:
    """The origin of a fork; None for an agent that is none."""
    if (event := tx.event_of_key(agent, _KEY)) is None:
        return None
    try:
        noted = json.loads(event.text)
        return ForkOrigin(str(noted["name"]), datetime.fromisoformat(noted["created"]), int(noted["at"]))
    except (ValueError, TypeError, KeyError):  # a file has brought it
        return None


def common_until(tx: Transaction, record: AgentRecord, fork: AgentRecord) -> int:
    """The number of the last row that an agent and a fork of it have in common; 0 if it is none."""
    by_age = {each.created: each for each in tx.agents() if each.tenant == record.tenant}
    last, current = fork.last_seq, fork
    for _ in by_age:
        if current.id == record.id:
            return last
        if (origin := origin_of(tx, current.id)) is None or origin.created not in by_age:
            break
        last, current = min(last, origin.at), by_age[origin.created]
    return 0


def forks_of(tx: Transaction, record: AgentRecord) -> list[AgentRecord]:
    """The agents of the same tenant that were forked from this one, and those forked from them, by name."""
    origins = [
        (each, origin)
        for each in tx.agents()
        if each.tenant == record.tenant and (origin := origin_of(tx, each.id))
    ]
    known, wanted = {record.id: record}, {record.created}
    while more := [each for each, of in origins if of.created in wanted and each.id not in known]:
        known |= {each.id: each for each in more}
        wanted = {each.created for each in more}
    return sorted((each for id, each in known.items() if id != record.id), key=lambda each: each.name)
