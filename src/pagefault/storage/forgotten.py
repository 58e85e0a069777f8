"""Rows of the log as they are once they were forgotten: numbers and marks stay, nothing of the content."""

from __future__ import annotations

from dataclasses import replace

from pagefault.message_meta import MessageMeta
from pagefault.types import EventKind, Message, Role

__all__ = ["blanked"]

_SAID = (Role.USER, Role.EVENT, Role.ASSISTANT, Role.THOUGHT)
"""Roles whose ``name`` comes from outside, unless it is a kind of event that pagefault knows."""


def blanked(row: Message) -> Message:
    """The row without its content. A call stays one that its result belongs to."""
    named = row.name if row.role not in _SAID or row.name in tuple(EventKind) else None
    meta = row.meta
    kept = MessageMeta(
        saw=meta.saw, cut=meta.cut, surplus=meta.surplus, from_text=meta.from_text, failed=meta.failed,
        invalid=meta.invalid, heartbeat=meta.heartbeat, decision=meta.decision, stop=meta.stop,
        messages=meta.messages, through=meta.through, warned=meta.warned,
    )  # fmt: skip
    return replace(row, text="", shown="", tokens=0, name=named, meta=kept, speaker="", erased=True)
