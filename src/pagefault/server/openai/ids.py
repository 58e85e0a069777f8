"""Ids of answers: each names its agent and event, and is sealed by a digest of the event as it is stored.

An id passes through the client. A made-up one does not fit the event, and any server of the database can
tell.
"""

from __future__ import annotations

import json
import re
from hashlib import sha256

from pagefault.errors import NotFoundError
from pagefault.server.auth import Caller
from pagefault.server.problems import Problem
from pagefault.types import AgentId, Event
from pagefault.views.events import stored_event

__all__ = ["answer_id", "event_of_answer"]

_ID = re.compile(r"resp_([1-9]\d{0,17})_([1-9]\d{0,17})_[0-9a-f]{24}")


def answer_id(agent: AgentId, event: Event, prefix: str = "resp_") -> str:
    """The id of the answer to an event."""
    at = event.at and event.at.timestamp()
    facts = json.dumps([agent, event.id, event.kind, event.key, event.sender, at, event.text])
    return f"{prefix}{agent}_{event.id}_{sha256(facts.encode()).hexdigest()[:24]}"


async def event_of_answer(caller: Caller, id: str, param: str = "response_id") -> tuple[str, Event]:
    """The name of the agent and the event of an answer; a ``Problem`` if the caller may not reach it, or the
    id is none of ours."""
    unknown = Problem(
        404, "Not found", "There is no such response, or none that this key may reach.", param=param
    )
    found = _ID.fullmatch(id)
    if not found:
        raise unknown
    agent = AgentId(int(found[1]))
    stored = await stored_event(caller.kernel, agent, int(found[2]))
    if stored is None or answer_id(agent, stored[1]) != id:
        raise unknown
    record, event = stored
    try:
        await caller.check(record.name)
        own = await caller.kernel.record(record.name)  # a name may be another agent's in another tenant
    except (Problem, NotFoundError):
        raise unknown from None
    if own.id != agent:
        raise unknown
    return record.name, event
