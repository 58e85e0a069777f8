"""Archival storage in SQL: passages, and documents with their pages and chunks.

Each insertion and each deletion, of however many passages, is one change of the archive; a deletion is
recorded too, so that an index in memory can follow. Leaves out searching (``source``, ``vectors``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from pagefault.storage.index.blocks import ROWS, seal
from pagefault.storage.rows import micros, passage_values, storable, to_document, to_page, to_passage
from pagefault.storage.sqlite import lexicon
from pagefault.storage.sqlite.queues import TAKE_NUMBER, QueueRows
from pagefault.storage.sqlite.source import SQLiteSource
from pagefault.storage.sqlite.vectors import delete_vectors
from pagefault.storage.terms import passage_terms
from pagefault.types import AgentId, Document, Page, Passage, Place

__all__ = ["ArchiveRows"]

_TAKE_PASSAGES = """
    UPDATE agents SET last_passage = last_passage + :count, archival_rows = archival_rows + :rows,
    archival_units = archival_units + :units, archival_changes = archival_changes + 1
    WHERE id = :agent RETURNING last_passage"""
_INSERT_PASSAGE = """
    INSERT INTO passages (agent, number, at, units, embed, tags, source, title, document, page, section,
    start, stop, text) VALUES (:agent, :number, :at, :units, :embed, :tags, :source, :title, :document, :page,
    :section, :start, :stop, :text)"""
_TAG = "INSERT OR IGNORE INTO passage_tags (agent, number, tag) VALUES (:agent, :number, :tag)"
_PASSAGES = """
    SELECT text, at, tags, source, title, document, page, section, start, stop, number FROM passages
    WHERE agent = :agent AND number IN (SELECT value FROM json_each(:numbers))"""
_DELETE_PASSAGES = "DELETE FROM passages WHERE agent = :agent AND {which} RETURNING number, units"
_LEAVE_ARCHIVE = """
    UPDATE agents SET archival_rows = archival_rows - :rows, archival_units = archival_units - :units,
    archival_changes = archival_changes + 1 WHERE id = :agent RETURNING archival_changes"""
_UNTAG = "DELETE FROM passage_tags WHERE agent = :agent AND number = :number"
_RECORD_DELETION = "INSERT INTO deletions (agent, change, number) VALUES (:agent, :change, :number)"

_DOCUMENT = "SELECT source, title, media, digest, at, pages, tags, number FROM documents WHERE agent = :agent"
_INSERT_DOCUMENT = """
    INSERT INTO documents (agent, number, source, title, media, digest, at, pages, tags)
    VALUES (:agent, :number, :source, :title, :media, :digest, :at, :pages, :tags)"""
_INSERT_PAGE = """
    INSERT INTO document_pages (agent, document, page, heading, text)
    VALUES (:agent, :document, :page, :heading, :text)"""
_PAGES = """
    SELECT page, heading, text FROM document_pages
    WHERE agent = :agent AND document = :number AND page BETWEEN :first AND :last ORDER BY page"""
_DELETE_PAGES = "DELETE FROM document_pages WHERE agent = :agent AND document = :number"
_DELETE_DOCUMENT = "DELETE FROM documents WHERE agent = :agent AND number = :number"


class ArchiveRows(QueueRows):
    """The part of a transaction that is about passages and documents."""

    # passages
    def insert_passage(self, agent: AgentId, passage: Passage) -> Passage:
        return self.insert_passages(agent, [passage])[0]

    def insert_passages(self, agent: AgentId, passages: Sequence[Passage]) -> list[Passage]:
        units = [passage_terms(passage.title, passage.text) for passage in passages]
        last = self._take(
            _TAKE_PASSAGES,
            agent,
            count=len(passages),
            rows=sum(map(bool, units)),
            units=sum(map(len, units)),
        )
        first = last - len(passages) + 1
        stored = [_stored(passage, number) for number, passage in enumerate(passages, first)]
        values = zip(stored, map(len, units), strict=True)
        self._db.many(_INSERT_PASSAGE, [passage_values(agent, passage, length) for passage, length in values])
        tags = [{"agent": agent, "number": p.number, "tag": tag} for p in stored for tag in p.tags]
        self._db.many(_TAG, tags)
        lexicon.index(self._db, agent, "archival", list(enumerate(units, first)))
        seal(SQLiteSource(self._db), agent, "archival", ROWS, first - 1, last)
        return stored

    def passage(self, agent: AgentId, number: int) -> Passage | None:
        found = self.passages(agent, [number])
        return found[0] if found else None

    def passages(self, agent: AgentId, numbers: Sequence[int]) -> list[Passage]:
        rows = self._db.rows(_PASSAGES, agent=agent, numbers=json.dumps(list(numbers)))
        found = {row[-1]: to_passage(row) for row in rows}
        return [found[number] for number in numbers if number in found]

    def delete_passage(self, agent: AgentId, number: int) -> bool:
        return self._delete_passages(agent, "number = :value", number) > 0

    def _delete_passages(self, agent: AgentId, which: str, value: int) -> int:
        """Delete the passages that a condition on ``:value`` names, with all that hangs on them."""
        gone = self._db.rows(_DELETE_PASSAGES.format(which=which), agent=agent, value=value)
        if not gone:
            return 0
        rows, units = sum(units > 0 for _, units in gone), sum(units for _, units in gone)
        change = self._take(_LEAVE_ARCHIVE, agent, rows=rows, units=units)
        for number, _ in gone:
            self._db.run(_UNTAG, agent=agent, number=number)
            self._db.run(_RECORD_DELETION, agent=agent, change=change, number=number)
            delete_vectors(self._db, agent, number)
            lexicon.unindex(self._db, agent, "archival", number)
        SQLiteSource(self._db).drop_blocks(agent, "archival", (number for number, _ in gone))
        return len(gone)

    # documents
    def put_document(
        self, agent: AgentId, document: Document, pages: Sequence[Page], chunks: Sequence[Passage]
    ) -> Document:
        if known := self.document_by_source(agent, document.source):
            self.delete_document(agent, known.number)
        number = known.number if known else self._take(TAKE_NUMBER.format(what="document"), agent)
        stored = replace(document, number=number, pages=len(pages))
        self._db.run(
            _INSERT_DOCUMENT,
            agent=agent,
            number=number,
            source=stored.source,
            title=stored.title,
            media=stored.media,
            digest=stored.digest,
            at=micros(stored.at),
            pages=stored.pages,
            tags=json.dumps(stored.tags),
        )
        of = {"agent": agent, "document": number}
        texts = ((page.number, storable(page.heading), storable(page.text)) for page in pages)
        self._db.many(_INSERT_PAGE, [of | {"page": n, "heading": h, "text": t} for n, h, t in texts])
        self.insert_passages(
            agent,
            [replace(c, place=replace(c.place or Place(number, 1), document=number)) for c in chunks],
        )
        return stored

    def documents(self, agent: AgentId) -> list[Document]:
        return [to_document(row) for row in self._db.rows(f"{_DOCUMENT} ORDER BY number", agent=agent)]

    def document(self, agent: AgentId, number: int) -> Document | None:
        row = self._db.one(f"{_DOCUMENT} AND number = :number", agent=agent, number=number)
        return to_document(row) if row else None

    def document_by_source(self, agent: AgentId, source: str) -> Document | None:
        row = self._db.one(f"{_DOCUMENT} AND source = :source", agent=agent, source=source)
        return to_document(row) if row else None

    def document_page(self, agent: AgentId, number: int, page: int) -> Page | None:
        found = self.document_pages(agent, number, page, page)
        return found[0] if found else None

    def document_pages(self, agent: AgentId, number: int, first: int, last: int) -> list[Page]:
        rows = self._db.rows(_PAGES, agent=agent, number=number, first=first, last=last)
        return [to_page(row) for row in rows]

    def delete_document(self, agent: AgentId, number: int) -> bool:
        self._delete_passages(agent, "document = :value", number)
        self._db.run(_DELETE_PAGES, agent=agent, number=number)
        return self._db.run(_DELETE_DOCUMENT, agent=agent, number=number) > 0


def _stored(passage: Passage, number: int) -> Passage:
    """The passage with its number, and with texts that UTF-8 can hold."""
    place = passage.place
    if place and (section := storable(place.section)) is not place.section:
        place = replace(place, section=section)
    return replace(
        passage,
        number=number,
        text=storable(passage.text),
        tags=tuple(map(storable, passage.tags)),
        source=storable(passage.source),
        title=storable(passage.title),
        place=place,
    )
