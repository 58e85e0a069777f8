"""All that is held of a person: what they sent and attached, what was answered to them, what names them.

What others said is left out unless it names them (``naming``), and of what quotes several people (results of
functions, what was prefetched) there are only the lines that do. Left out as well: chunks of documents, which
repeat the pages, and the bytes of images and files.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from functools import partial
from types import MappingProxyType
from typing import Any, Literal

from pagefault.functions.results import document_line
from pagefault.kernel import Kernel
from pagefault.kernel.owners import record_of
from pagefault.media import Media
from pagefault.shared import is_shared
from pagefault.storage import Transaction
from pagefault.types import (
    AgentId,
    AgentRecord,
    Document,
    Event,
    EventKind,
    Message,
    Passage,
    Role,
    Schedule,
    Section,
)
from pagefault.views.asking import zone_shown
from pagefault.views.held_items import HeldItem, HeldKind, HeldWhy
from pagefault.views.naming import PersonName, texts_in
from pagefault.views.stored import events_of

__all__ = ["export_lines", "held_of"]

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_LATER = datetime(9999, 1, 1, tzinfo=UTC)
_BATCH = 200  # rows, passages, pages
_QUOTING = (Role.RESULT, Role.PREFETCH)  # roles of rows with lines about different people


async def export_lines(
    kernel: Kernel, speaker: str, agents: Sequence[str] | None = None
) -> AsyncGenerator[dict[str, Any]]:
    """The lines of an export, as JSON values: whose it is, each item, and how many there are of each kind;
    without that last line it is not complete. Raises as ``held_of``, before the first line."""
    person = PersonName(speaker)
    owners = await kernel.store.read(partial(_owners, agents=agents))
    names = [record.name for record in owners]
    now = kernel.clock.now().isoformat(timespec="seconds")
    yield {"kind": "export", "speaker": person.name, "at": now, "owners": names}
    counts = Counter[str]()
    for record in owners:
        async for item in _Owner(kernel, record, person).items():
            counts[item.kind] += 1
            yield item.line()
    yield {"kind": "end", "items": dict(counts)}


async def held_of(
    kernel: Kernel, speaker: str, agents: Sequence[str] | None = None
) -> AsyncGenerator[HeldItem]:
    """All that is held of the person of this name by these agents and what is attached to them; None: by all
    agents, archives and shared sections. ``UsageError`` for a name without a letter, ``NotFoundError`` for
    an agent that there is not."""
    person = PersonName(speaker)
    for record in await kernel.store.read(partial(_owners, agents=agents)):
        async for item in _Owner(kernel, record, person).items():
            yield item


def _owners(tx: Transaction, agents: Sequence[str] | None) -> list[AgentRecord]:
    """The agents, and then what they share, each once."""
    found = tx.agents() if agents is None else [record_of(tx, name) for name in dict.fromkeys(agents)]
    shared = [each.row for kind in ("archive", "section") for each in tx.all_shared(kind)]
    if agents is not None:
        attached = {each.target for record in found for each in tx.attachments(record.id)}
        shared = [row for row in shared if row.name in attached]
    return [*found, *shared]


class _Owner:
    """An agent, or what agents share, and the person of whom things are looked for in it."""

    def __init__(self, kernel: Kernel, record: AgentRecord, person: PersonName) -> None:
        self._kernel = kernel
        self._record = record
        self._person = person
        self._zone: tzinfo = zone_shown(record)
        self._id: AgentId = record.id

    async def items(self) -> AsyncGenerator[HeldItem]:
        """Yield all that is held there."""
        events = await events_of(self._kernel, self._id)
        own = [event for event in events if self._person.is_of(event.sender)]
        for event in events:
            if item := self._event(event):
                yield item
        if not is_shared(self._record.name):
            async for item in self._messages({event.id for event in own}):
                yield item
        async for item in self._archival(own):
            yield item
        for item in await self._kernel.store.read(lambda tx: list(self._rest(tx))):
            yield item

    def _item(
        self, kind: HeldKind, why: HeldWhy, id: str, at: datetime | None, text: str,
        about: Mapping[str, Any] = _NOTHING, *, part: bool = False,
    ) -> HeldItem:  # fmt: skip
        stored = {name: value for name, value in about.items() if value}
        return HeldItem(
            kind, why, self._record.name, id, at and at.astimezone(self._zone), text, part, stored
        )

    # the inbox and the log

    def _event(self, event: Event) -> HeldItem | None:
        names = [media.name for media in event.media]
        key = event.key if event.key and event.key.isprintable() else ""  # those of the system are not
        if why := self._why(event.sender, event.text, key, *names):
            of = {
                "event": event.kind,
                "sender": event.sender,
                "key": key,
                "media": _files(event.media),
                "state": event.state,
            }
            return self._item("event", why, f"e{event.id}", event.at, event.text, of)
        return None

    def _why(self, speaker: str | None, *texts: str | None) -> Literal["sent", "names"] | None:
        if self._person.is_of(speaker):
            return "sent"
        return "names" if self._person.is_in(speaker, *texts) else None

    async def _messages(self, own: set[int]) -> AsyncGenerator[HeldItem]:
        for first in range(1, self._record.last_seq + 1, _BATCH):
            read = partial(_rows, agent=self._id, first=first, last=first + _BATCH - 1)
            for row in await self._kernel.store.read(read):
                if item := self._message(row, own):
                    yield item

    def _message(self, row: Message, own: set[int]) -> HeldItem | None:
        why = self._why_of(row, own)
        if why is None:
            return None
        quotes = row.role in _QUOTING and len(row.text.splitlines()) > 1
        part = why == "decided" or (why == "names" and quotes)
        text = self._person.lines_of(row.text) if part else row.text
        about = {"role": row.role.value, "name": row.name, "speaker": row.speaker, "event": row.event}
        about |= {"media": _files(row.meta.media), "decision": row.meta.decision if why == "decided" else ""}
        about |= {"undone": row.withdrawn is not None}
        return self._item("message", why, row.id, row.at, text, about, part=part)

    def _why_of(self, row: Message, own: set[int]) -> HeldWhy | None:
        inner = texts_in(row.text) if row.role in (Role.CALL, Role.RESULT) else ()
        if why := self._why(row.speaker, row.text, *inner, *(media.name for media in row.meta.media)):
            return why
        if row.role is Role.ASSISTANT and row.event in own:
            return "answered"
        return "decided" if self._person.is_of(row.meta.decided_by) else None

    # archival storage

    async def _archival(self, own: Sequence[Event]) -> AsyncGenerator[HeldItem]:
        after = 0
        while found := await self._kernel.store.read(partial(_passages, agent=self._id, after=after)):
            for passage in found:
                if passage.place is None and (item := self._passage(passage)):
                    yield item
            after = found[-1].number
        for document in await self._kernel.store.read(lambda tx: tx.documents(self._id)):
            async for item in self._document(document, own):
                yield item

    def _passage(self, passage: Passage) -> HeldItem | None:
        if not self._person.is_in(passage.text, passage.title, passage.source, *passage.tags):
            return None
        about = {"title": passage.title, "source": passage.source, "tags": list(passage.tags)}
        about |= {"undone": passage.withdrawn is not None}
        limits = {"valid_from": passage.valid_from, "valid_until": passage.ends}
        about |= {name: at.isoformat() for name, at in limits.items() if at}
        return self._item("passage", "names", passage.id, passage.at, passage.text, about)

    async def _document(self, document: Document, own: Sequence[Event]) -> AsyncGenerator[HeldItem]:
        """The document if it names the person or they attached it, and each page that names them, or all."""
        attached = False
        for first in range(1, document.pages + 1, _BATCH):
            last = first + _BATCH - 1
            read = partial(_pages, agent=self._id, number=document.number, first=first, last=last)
            pages = await self._kernel.store.read(read)
            if first == 1:
                attached = bool(pages) and _is_attached(document, pages[0].text, own)
                names = self._person.is_in(document.title, document.source, *document.tags)
                if attached or names:
                    yield self._listed(document, "attached" if attached else "names")
            for page in pages:
                if attached or self._person.is_in(page.heading, page.text):
                    why, id = "attached" if attached else "names", f"{document.id}/{page.number}"
                    about = {"title": document.title, "heading": page.heading}
                    yield self._item("page", why, id, document.at, page.text, about)

    def _listed(self, document: Document, why: Literal["attached", "names"]) -> HeldItem:
        about = {"source": document.source, "media": document.media, "tags": list(document.tags)}
        about |= {"pages": document.pages, "digest": document.digest}
        return self._item("document", why, document.id, document.at, document.title, about)

    # what is small

    def _rest(self, tx: Transaction) -> Iterator[HeldItem]:
        for _, section in tx.sections_at(self._id, _LATER):  # those that were removed, too
            yield from self._section(tx.section_history(self._id, section.name))
        for timer in tx.schedules(self._id, withdrawn=True):
            yield from self._timer(timer)
        yield from self._decisions(tx)
        for effect in tx.outgoing(self._id):
            if self._person.is_in(*texts_in(effect.payload)):
                about = {"target": effect.target, "change": effect.kind}
                yield self._item("outgoing", "names", str(effect.number), effect.at, effect.payload, about)
        for name, value in self._record.settings.items():
            text = json.dumps(value, ensure_ascii=False)
            if self._person.is_in(*texts_in(text)):
                yield self._item("setting", "names", name, None, text)

    def _section(self, history: Sequence[tuple[datetime, Section]]) -> Iterator[HeldItem]:
        """Each version of a section that names them, or is called as they are."""
        for at, section in history:
            if self._person.is_in(section.name, section.description, section.text):
                about = {"description": section.description, "version": section.version}
                about |= {"current": section is history[-1][1]}
                yield self._item("section", "names", section.name, at, section.text, about)

    def _timer(self, timer: Schedule) -> Iterator[HeldItem]:
        if self._person.is_in(timer.note):
            yield self._item("timer", "names", timer.id, timer.due, timer.note, {"cron": timer.cron})

    def _decisions(self, tx: Transaction) -> Iterator[HeldItem]:
        for call in tx.approvals(self._id):
            is_theirs = self._person.is_of(call.by)
            if is_theirs or self._person.is_in(
                call.note, *texts_in(call.arguments), *texts_in(call.changed or "")
            ):
                about = {"function": call.function, "decision": call.decision, "note": call.note}
                why = "decided" if is_theirs else "names"
                yield self._item("approval", why, call.id, call.asked, call.arguments, about)
        for grant in tx.grants(self._id):
            if self._person.is_of(grant.by):
                yield self._item("grant", "decided", grant.name, grant.at, grant.name)


def _rows(tx: Transaction, *, agent: AgentId, first: int, last: int) -> Sequence[Message]:
    return tx.messages(agent, first=first, last=last, withdrawn=True)


def _passages(tx: Transaction, *, agent: AgentId, after: int) -> Sequence[Passage]:
    return tx.stored_passages(agent, after, _BATCH)


def _pages(tx: Transaction, *, agent: AgentId, number: int, first: int, last: int) -> Any:
    return tx.document_pages(agent, number, first, last)


def _is_attached(document: Document, begins: str, own: Sequence[Event]) -> bool:
    """Return whether an event of the person brought the document: a text of theirs alone cannot say so,
    unless it knows how the document begins."""
    line = document_line(document.id, document.title, document.pages, begins)
    return any(event.kind == EventKind.FILE and line in event.text for event in own)


def _files(media: Sequence[Media]) -> list[dict[str, Any]]:
    return [{"name": m.name, "media_type": m.media_type, "size": m.size, "hash": m.hash} for m in media]
