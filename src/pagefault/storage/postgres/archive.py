"""Archival storage in PostgreSQL: passages, and documents with their pages and chunks.

Each insertion and each deletion, of however many passages, is one change of the archive; a deletion is
recorded too, so that an index in memory can follow. Leaves out searching (``source``, ``vectors``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from pagefault.storage.index.blocks import ROWS, seal
from pagefault.storage.postgres import postings
from pagefault.storage.postgres.queues import LOCK_AGENT, TAKE_NUMBER, QueueRows
from pagefault.storage.postgres.source import PostgresSource
from pagefault.storage.postgres.vectors import delete_vectors
from pagefault.storage.rows import micros, passage_values, to_document, to_page, to_passage
from pagefault.storage.terms import passage_terms
from pagefault.types import AgentId, Document, Page, Passage, Place

__all__ = ["ArchiveRows"]

_TAKE_PASSAGES = """
    UPDATE agents SET last_passage = last_passage + %(count)s, archival_rows = archival_rows + %(rows)s,
    archival_units = archival_units + %(units)s, archival_changes = archival_changes + 1
    WHERE id = %(agent)s RETURNING last_passage"""
# Columns as arrays: one statement for many passages.
_COLUMNS = {
    "number": "bigint", "at": "bigint", "units": "integer", "embed": "boolean", "tags": "text",
    "source": "text", "title": "text", "document": "bigint", "page": "integer", "section": "text",
    "start": "bigint", "stop": "bigint", "text": "text",
}  # fmt: skip
_INSERT_PASSAGES = f"""
    INSERT INTO passages (agent, {", ".join(_COLUMNS)}) SELECT %(agent)s, * FROM
    unnest({", ".join(f"%({name})s::{kind}[]" for name, kind in _COLUMNS.items())})"""
_TAG = """
    INSERT INTO passage_tags (agent, number, tag) SELECT %(agent)s, *
    FROM unnest(%(numbers)s::bigint[], %(tags)s::text[]) ON CONFLICT DO NOTHING"""
_PASSAGES = """
    SELECT text, at, tags, source, title, document, page, section, start, stop, number FROM passages
    WHERE agent = %(agent)s AND number = ANY(%(numbers)s::bigint[])"""
_DELETE_PASSAGES = "DELETE FROM passages WHERE agent = %(agent)s AND {which} RETURNING number, title, text"
_LEAVE_ARCHIVE = """
    UPDATE agents SET archival_rows = archival_rows - %(rows)s, archival_units = archival_units - %(units)s,
    archival_changes = archival_changes + 1 WHERE id = %(agent)s RETURNING archival_changes"""
_UNTAG = "DELETE FROM passage_tags WHERE agent = %(agent)s AND number = ANY(%(numbers)s::bigint[])"
_RECORD_DELETION = """
    INSERT INTO deletions (agent, change, number)
    SELECT %(agent)s, %(change)s, unnest(%(numbers)s::bigint[])"""

_DOCUMENT = """
    SELECT source, title, media, digest, at, pages, tags, number FROM documents WHERE agent = %(agent)s"""
_INSERT_DOCUMENT = """
    INSERT INTO documents (agent, number, source, title, media, digest, at, pages, tags) VALUES (%(agent)s,
    %(number)s, %(source)s, %(title)s, %(media)s, %(digest)s, %(at)s, %(pages)s, %(tags)s)"""
_INSERT_PAGES = """
    INSERT INTO document_pages (agent, document, page, heading, text) SELECT %(agent)s, %(document)s, *
    FROM unnest(%(pages)s::integer[], %(headings)s::text[], %(texts)s::text[])"""
_PAGES = """
    SELECT page, heading, text FROM document_pages
    WHERE agent = %(agent)s AND document = %(number)s AND page BETWEEN %(first)s AND %(last)s ORDER BY page"""
_DELETE_PAGES = "DELETE FROM document_pages WHERE agent = %(agent)s AND document = %(number)s"
_DELETE_DOCUMENT = "DELETE FROM documents WHERE agent = %(agent)s AND number = %(number)s"
_TOGETHER = 1000  # passages or pages in one statement


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
        stored = [replace(passage, number=number) for number, passage in enumerate(passages, first)]
        pairs = list(zip(stored, units, strict=True))
        for start in range(0, len(pairs), _TOGETHER):
            batch = pairs[start : start + _TOGETHER]
            values = [passage_values(agent, passage, len(found)) for passage, found in batch]
            columns = {name: [row[name] for row in values] for name in _COLUMNS}
            self._db.send(_INSERT_PASSAGES, agent=agent, **columns)
            tags = [(passage.number, tag) for passage, _ in batch for tag in passage.tags]
            if tags:
                numbers, names = map(list, zip(*tags, strict=True))
                self._db.send(_TAG, agent=agent, numbers=numbers, tags=names)
            postings.index(self._db, agent, "archival", [(passage.number, found) for passage, found in batch])
        seal(PostgresSource(self._db), agent, "archival", ROWS, first - 1, last)
        return stored

    def passage(self, agent: AgentId, number: int) -> Passage | None:
        found = self.passages(agent, [number])
        return found[0] if found else None

    def passages(self, agent: AgentId, numbers: Sequence[int]) -> list[Passage]:
        rows = self._db.rows(_PASSAGES, agent=agent, numbers=list(numbers))
        found = {row[-1]: to_passage(row) for row in rows}
        return [found[number] for number in numbers if number in found]

    def delete_passage(self, agent: AgentId, number: int) -> bool:
        return self._delete_passages(agent, "number = %(value)s", number) > 0

    def _delete_passages(self, agent: AgentId, which: str, value: int) -> int:
        """Delete the passages that a condition on ``value`` names, with all that hangs on them."""
        self._db.send(LOCK_AGENT, agent=agent)
        gone = self._db.rows(_DELETE_PASSAGES.format(which=which), agent=agent, value=value)
        if not gone:
            return 0
        units = {number: passage_terms(title, text) for number, title, text in gone}
        rows, total = sum(map(bool, units.values())), sum(map(len, units.values()))
        change = self._take(_LEAVE_ARCHIVE, agent, rows=rows, units=total)
        numbers = list(units)
        self._db.send(_RECORD_DELETION, agent=agent, change=change, numbers=numbers)
        self._db.send(_UNTAG, agent=agent, numbers=numbers)
        for number, found in units.items():
            delete_vectors(self._db, agent, number)
            postings.unindex(self._db, agent, "archival", number, found)
        PostgresSource(self._db).drop_blocks(agent, "archival", numbers)
        return len(gone)

    # documents
    def put_document(
        self, agent: AgentId, document: Document, pages: Sequence[Page], chunks: Sequence[Passage]
    ) -> Document:
        self._db.send(LOCK_AGENT, agent=agent)
        if known := self.document_by_source(agent, document.source):
            self.delete_document(agent, known.number)
        number = known.number if known else self._take(TAKE_NUMBER.format(what="document"), agent)
        stored = replace(document, number=number, pages=len(pages))
        self._db.send(
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
        for start in range(0, len(pages), _TOGETHER):
            batch = pages[start : start + _TOGETHER]
            self._db.send(
                _INSERT_PAGES,
                agent=agent,
                document=number,
                pages=[page.number for page in batch],
                headings=[page.heading for page in batch],
                texts=[page.text for page in batch],
            )
        places = (replace(chunk.place or Place(number, 1), document=number) for chunk in chunks)
        placed = [replace(chunk, place=place) for chunk, place in zip(chunks, places, strict=True)]
        self.insert_passages(agent, placed)
        return stored

    def documents(self, agent: AgentId) -> list[Document]:
        return [to_document(row) for row in self._db.rows(f"{_DOCUMENT} ORDER BY number", agent=agent)]

    def document(self, agent: AgentId, number: int) -> Document | None:
        row = self._db.one(f"{_DOCUMENT} AND number = %(number)s", agent=agent, number=number)
        return to_document(row) if row else None

    def document_by_source(self, agent: AgentId, source: str) -> Document | None:
        row = self._db.one(f"{_DOCUMENT} AND source = %(source)s", agent=agent, source=source)
        return to_document(row) if row else None

    def document_page(self, agent: AgentId, number: int, page: int) -> Page | None:
        found = self.document_pages(agent, number, page, page)
        return found[0] if found else None

    def document_pages(self, agent: AgentId, number: int, first: int, last: int) -> list[Page]:
        rows = self._db.rows(_PAGES, agent=agent, number=number, first=first, last=last)
        return [to_page(row) for row in rows]

    def delete_document(self, agent: AgentId, number: int) -> bool:
        self._delete_passages(agent, "document = %(value)s", number)
        self._db.send(_DELETE_PAGES, agent=agent, number=number)
        return self._db.changed(_DELETE_DOCUMENT, agent=agent, number=number)
