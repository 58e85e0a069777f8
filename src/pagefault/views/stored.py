"""Stored values as they are, by their numbers: for protocols whose ids are made of these.

Agents and what they share with what hangs on them, rows of the log by event and by number, passages in the
order of their numbers, files of archives. Left out: how an edge shows them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pagefault.kernel import Kernel
from pagefault.shared import Attachment, SharedKind, SharedRecord, is_shared
from pagefault.storage import Filter, Match, Transaction
from pagefault.types import AgentId, AgentRecord, Document, Event, EventState, Message, Passage, Section

__all__ = [
    "AgentMemory",
    "SharedThing",
    "agent_by_number",
    "archive_documents",
    "document_text",
    "event_by_number",
    "events_of",
    "memories",
    "passage_numbers",
    "passages_of",
    "rows_between",
    "rows_of_event",
    "shared_by_number",
    "shared_of_kind",
]

_PAGED = "application/pdf"
"""The media type of documents that have pages of their own."""


@dataclass(frozen=True, slots=True)
class AgentMemory:
    """An agent with what hangs on it. ``shared``: its shared sections by name; ``archives``: those attached;
    ``waiting``: calls that wait for a decision, with the arguments that they would be run with."""

    record: AgentRecord
    sections: tuple[Section, ...]
    shared: dict[str, SharedRecord]
    archives: tuple[tuple[SharedRecord, Attachment], ...]
    waiting: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class SharedThing:
    """An archive or shared section. ``agents``: the names of those attached; ``section``: the text of a
    shared section, None for an archive."""

    record: SharedRecord
    agents: tuple[str, ...]
    section: Section | None = None


async def agent_by_number(kernel: Kernel, number: AgentId) -> AgentRecord | None:
    """The agent of a number; None if there is none in the kernel's tenant."""
    record = await kernel.store.read(lambda tx: tx.agent_by_id(number))
    return None if record is None or is_shared(record.name) else record


async def memories(kernel: Kernel, records: Sequence[AgentRecord]) -> list[AgentMemory]:
    """Agents with what hangs on them, read at once."""
    return await kernel.store.read(lambda tx: [_memory(tx, record) for record in records])


def _memory(tx: Transaction, record: AgentRecord) -> AgentMemory:
    shared, archives = dict[str, SharedRecord](), list[tuple[SharedRecord, Attachment]]()
    for held in tx.attachments(record.id):
        if found := tx.shared(held.kind, held.name):
            if held.kind == "archive":
                archives.append((found, held))
            else:
                shared[held.name] = found
    waiting = [
        replace(row, text=each.arguments)
        for each in tx.approvals(record.id)
        if not each.decision and (row := tx.message(record.id, each.number))
    ]
    return AgentMemory(record, tuple(tx.sections(record.id)), shared, tuple(archives), tuple(waiting))


async def shared_by_number(kernel: Kernel, kind: SharedKind, number: AgentId) -> SharedThing | None:
    """The archive or shared section of a number; None if there is none in the kernel's tenant."""

    def read(tx: Transaction) -> SharedThing | None:
        row = tx.agent_by_id(number)
        return _thing(tx, SharedRecord.of(row)) if row and row.name.startswith(f"{kind}:") else None

    return await kernel.store.read(read)


async def shared_of_kind(kernel: Kernel, kind: SharedKind) -> list[SharedThing]:
    """All archives or shared sections, in the order of their numbers."""
    found = await kernel.store.read(lambda tx: [_thing(tx, each) for each in tx.all_shared(kind)])
    return sorted(found, key=lambda each: each.record.id)


def _thing(tx: Transaction, record: SharedRecord) -> SharedThing:
    ids = tx.attached_to(record.kind, record.name)
    names = tuple(agent.name for id in ids if (agent := tx.agent_by_id(id)))
    sections = tx.sections(record.id) if record.kind == "section" else ()
    return SharedThing(record, names, next(iter(sections), None))


# the log


async def rows_of_event(kernel: Kernel, agent: AgentId, event: int, first: int = 1) -> list[Message]:
    """The rows of an event's turn from a number on."""
    return await kernel.store.read(lambda tx: tx.messages(agent, first=first, event=event))


async def rows_between(kernel: Kernel, agent: AgentId, first: int, last: int) -> list[Message]:
    """The rows with these numbers, both ends included."""
    return await kernel.store.read(lambda tx: tx.messages(agent, first=first, last=last))


async def event_by_number(kernel: Kernel, agent: AgentId, number: int) -> Event | None:
    """The event of a number; None if there is none."""
    return await kernel.store.read(lambda tx: tx.event(agent, number))


async def events_of(kernel: Kernel, agent: AgentId, *states: EventState) -> list[Event]:
    """The events of an agent in these states, or in all."""

    def read(tx: Transaction) -> list[Event]:
        return [event for state in states or (None,) for event in tx.events(agent, state=state)]

    return await kernel.store.read(read)


# passages and documents


async def passage_numbers(kernel: Kernel, owner: AgentId) -> list[int]:
    """The numbers of the passages of one storage that are no part of a document, ascending."""
    only = Filter(session=0)
    found = await kernel.store.read(lambda tx: tx.search(owner, "archival", Match(), only, ""))
    return [int(number) for number in found.number[found.may_show & (found.session == 0)]]


async def passages_of(kernel: Kernel, owner: AgentId, numbers: Sequence[int]) -> list[Passage]:
    """The passages of these numbers that there are, in the order asked."""
    return await kernel.store.read(lambda tx: tx.passages(owner, numbers))


async def archive_documents(kernel: Kernel, archive: AgentId) -> list[Document]:
    """The documents of an archive by number."""
    return await kernel.store.read(lambda tx: tx.documents(archive))


async def document_text(kernel: Kernel, archive: AgentId, document: Document) -> str:
    """The whole text of a document. Pages that are cut from a text follow one another as they are, perhaps in
    the middle of a word; those of a PDF are pages of their own."""
    pages = await kernel.store.read(lambda tx: tx.document_pages(archive, document.number, 1, document.pages))
    return ("\n\n" if document.media == _PAGED else "").join(page.text for page in pages)
