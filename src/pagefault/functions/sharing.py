"""Changes of what agents share: made in one transaction, or sent by the outbox and made once on arrival.

A shared section has its text, and each agent that is attached to it a copy. A new text goes to the copies by
the section's own outbox, in the order of its versions: ``deliveries`` has of each agent the version that it
was given last. A change that a turn cannot make in its own transaction goes by the outbox of the agent: there
it has the number of the last one that was made. Left out: delivering (``kernel.outbox``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, cast

from pagefault.errors import NotFoundError
from pagefault.functions.facts import FactRules, keep_fact
from pagefault.functions.section_edits import EDITS, SectionEdit
from pagefault.models.tokens import Counter
from pagefault.shared import Attachment, Outgoing, SharedRecord
from pagefault.storage import Transaction
from pagefault.types import AgentId, AgentRecord, Event, EventKind, Passage, Section

__all__ = [
    "FORGET",
    "SharedText",
    "apply_outgoing",
    "edit_shared",
    "held_section",
    "hops_of",
    "send",
    "shared_texts",
    "text_of",
    "update_copy",
    "write_shared",
]

FORGET = "forget"
"""The kind of what an agent sends to itself, to forget a text once its turn is over."""

_WRITTEN = "written"  # the kind of a new text on its way to the copies


@dataclass(frozen=True, slots=True)
class SharedText:
    """A version of a shared section's text on its way to the copies. ``by``: the name of the agent that wrote
    it, empty for a person; ``hops``: as of the event about it."""

    version: int
    text: str
    by: str
    hops: int

    @classmethod
    def of(cls, outgoing: Outgoing) -> SharedText:
        """The text in an outbox; ``ValueError`` if there is none in it."""
        if outgoing.kind != _WRITTEN:
            raise ValueError(f"{outgoing.kind!r} is no change of a copy")
        return cls(**_read(outgoing, version=int, text=str, by=str, hops=int))


def text_of(tx: Transaction, shared: SharedRecord) -> Section:
    """The section as it is shared, under the name that it has now; ``NotFoundError`` if it is gone."""
    for section in tx.sections(shared.id):
        return replace(section, name=shared.name)
    raise NotFoundError(f"There is no shared section {shared.name}; `pagefault section list` shows them.")


def held_section(tx: Transaction, agent: AgentId, name: str) -> Attachment | None:
    """The agent's hold on the shared section of this name, None if it is not attached."""
    held = (each for each in tx.attachments(agent) if (each.kind, each.name) == ("section", name))
    return next(held, None)


def shared_texts(rows: Sequence[Outgoing]) -> list[SharedText]:
    """The texts in the outbox of a shared section, in the order of their versions, without what is parked or
    cannot be read."""
    found = list[SharedText]()
    for row in rows:
        try:
            found += [] if row.parked else [SharedText.of(row)]
        except ValueError:  # whoever delivers parks it
            continue
    return sorted(found, key=lambda text: text.version)


def write_shared(
    tx: Transaction, shared: SharedRecord, section: Section, now: datetime, by: str = "", hops: int = 0
) -> Section:
    """Store a new text of a shared section, which is locked, and send it to the copies."""
    (former,) = tx.sections(shared.id)  # its history goes on, whatever it was called when it was made
    stored = tx.put_section(shared.id, replace(section, name=former.name), now)
    text = SharedText(stored.version, stored.text, by, hops)
    send(tx, shared.id, shared.stored_name, _WRITTEN, now, **asdict(text))
    return replace(stored, name=shared.name)


def update_copy(
    tx: Transaction, shared: SharedRecord, section: Section, agent: AgentRecord, texts: Sequence[SharedText],
    now: datetime,
) -> bool:  # fmt: skip
    """Give an agent the texts that its copy has not had, each with an event unless the agent wrote it; return
    whether an event was posted."""
    last = tx.delivered(agent.id, shared.id)
    held = held_section(tx, agent.id, shared.name)
    posted = False
    for text in texts if held else ():
        if text.version <= last:
            continue
        copy = replace(section, text=text.text, read_only=bool(held and held.read_only))
        tx.put_section(agent.id, copy, now)
        last = text.version
        tx.set_delivered(agent.id, shared.id, last)
        if text.by != agent.name:
            by = f"agent {text.by}" if text.by else "a person"
            said = f"The shared section {shared.name} was edited by {by}; it now reads: {text.text}"
            tx.post(agent.id, Event(EventKind.EDITED, said, at=now, hops=text.hops))
            posted = True
    return posted


def edit_shared(
    tx: Transaction, shared: SharedRecord, agent: AgentRecord, edit: SectionEdit, counter: Counter, hops: int,
    now: datetime,
) -> Section:  # fmt: skip
    """Edit a shared section for an agent, and send the new text to the copies; an answer to another agent
    follows from all texts that are on their way to them."""
    tx.delivered(shared.id, agent.id)  # locked, before its text is read
    edited = edit.applied(text_of(tx, shared), counter)
    if hops > 1:
        hops = max((hops, *(text.hops + 1 for text in shared_texts(tx.outgoing(shared.id)))))
    return write_shared(tx, shared, edited, now, agent.name, hops)


def send(tx: Transaction, sender: AgentId, target: str, kind: str, now: datetime, **payload: object) -> None:
    """Put a change of what is shared, ``target`` by its stored name, into the outbox of its sender."""
    tx.put_outgoing(sender, Outgoing(target, kind, json.dumps(payload), now))


def apply_outgoing(
    tx: Transaction, target: SharedRecord, sender: AgentRecord, outgoing: Outgoing, counter: Counter,
    now: datetime,
) -> None:  # fmt: skip
    """Make a change that an agent has sent. ``ValueError`` for what is no change, ``FunctionError`` for one
    that cannot be made."""
    if target.kind == "section":
        if (kind := outgoing.kind) not in EDITS:
            raise ValueError(f"{kind!r} is no change of a section")
        values = _read(outgoing, text=str, old=str, hops=int)
        edit = SectionEdit(kind, values["text"], values["old"])
        edit_shared(tx, target, sender, edit, counter, values["hops"], now)
    elif outgoing.kind == "insert":
        values = _read(outgoing, text=str, tags=list)
        tags = tuple(str(tag) for tag in values["tags"])
        keep_fact(tx, target.id, Passage(values["text"], outgoing.at, tags), FactRules(is_shared=True))
    elif outgoing.kind == "delete":
        tx.delete_passage(target.id, _read(outgoing, number=int)["number"])
    else:
        raise ValueError(f"{outgoing.kind!r} is no change of an archive")


def hops_of(outgoing: Outgoing) -> int:
    """The messages and edits between agents that an edit of a section follows from; 0 for another change."""
    return _read(outgoing, hops=int)["hops"] if outgoing.kind in EDITS else 0


def _read(outgoing: Outgoing, **kinds: type[Any]) -> dict[str, Any]:
    """The values of a payload; ``ValueError`` if one is not there, or of another kind."""
    values = json.loads(outgoing.payload)
    for name, kind in kinds.items():
        if not isinstance(values, dict) or type(cast("dict[str, Any]", values).get(name)) is not kind:
            raise ValueError(f"the payload of {outgoing.kind} has no {name}")
    return {name: values[name] for name in kinds}
