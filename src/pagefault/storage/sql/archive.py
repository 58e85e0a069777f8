"""Archival storage: passages, and documents with their pages and chunks.

Each insertion and each deletion, of however many passages, is one change of the archive; a deletion is
recorded too, so that an index in memory can follow. Leaves out searching, and withdrawing (``withdrawing``).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from pagefault.storage.index.blocks import ROWS, seal
from pagefault.storage.rows import micros, passage_values, storable, to_document, to_page, to_passage
from pagefault.storage.sql.leaving import SqlLeaving
from pagefault.storage.sql.successors import PASSAGES, SqlSuccessors
from pagefault.storage.sql.tenancy import SqlTenancy
from pagefault.storage.terms import passage_terms
from pagefault.types import AgentId, Document, Page, Passage, Place

__all__ = ["SqlArchive"]

_TOGETHER = 1000  # passages or pages in one statement
_TAKE_PASSAGES = """
    UPDATE agents SET last_passage = last_passage + :count, archival_rows = archival_rows + :rows,
    archival_units = archival_units + :units, archival_changes = archival_changes + 1,
    unembedded = coalesce(unembedded, :since) WHERE id = :agent RETURNING last_passage, last_seq"""
_COUNTS = " AND withdrawn IS NULL"
_DELETE_PASSAGES = """
    DELETE FROM passages WHERE agent = :agent AND {which}
    RETURNING number, title, text, withdrawn, superseded"""
_HOLDINGS = f"""
    SELECT (SELECT count(*) FROM passages WHERE agent = :agent{_COUNTS}),
    (SELECT count(*) FROM documents WHERE agent = :agent)"""
_DOCUMENT = "SELECT source, title, media, digest, at, pages, tags, number FROM documents WHERE agent = :agent"
_INSERT_DOCUMENT = """
    INSERT INTO documents (agent, number, source, title, media, digest, at, pages, tags)
    VALUES (:agent, :number, :source, :title, :media, :digest, :at, :pages, :tags)"""
_PAGES = """
    SELECT page, heading, text FROM document_pages
    WHERE agent = :agent AND document = :number AND page BETWEEN :first AND :last ORDER BY page"""
_ERASE_PAGE = """
    UPDATE document_pages SET heading = :heading, text = :text
    WHERE agent = :agent AND document = :number AND page = :page"""
_DELETE_PAGES = "DELETE FROM document_pages WHERE agent = :agent AND document = :number"
_DELETE_DOCUMENT = "DELETE FROM documents WHERE agent = :agent AND number = :number"


class SqlArchive(SqlLeaving, SqlSuccessors, SqlTenancy):
    """The part of a transaction on passages and documents."""

    # passages
    def insert_passage(self, agent: AgentId, passage: Passage) -> Passage:
        return self.insert_passages(agent, [passage])[0]

    def insert_passages(self, agent: AgentId, passages: Sequence[Passage]) -> list[Passage]:
        self.check_quota("rows")
        units = [passage_terms(passage.title, passage.text) for passage in passages]
        last, born = self._taken(
            _TAKE_PASSAGES,
            agent,
            count=len(passages),
            rows=sum(map(bool, units)),
            units=sum(map(len, units)),
            since=min((micros(p.at) for p in passages if p.text.strip()), default=None),
        )
        first = last - len(passages) + 1
        stored = [_stored(passage, number, born) for number, passage in enumerate(passages, first)]
        for start in range(0, len(stored), _TOGETHER):
            part = list(zip(stored[start : start + _TOGETHER], units[start : start + _TOGETHER], strict=True))
            self._db.insert("passages", agent, [passage_values(agent, p, len(found)) for p, found in part])
            tags = [{"agent": agent, "number": p.number, "tag": tag} for p, _ in part for tag in p.tags]
            self._db.insert("passage_tags", agent, tags, if_absent=True)
            self._enter(agent, "archival", [(p.number, found) for p, found in part])
        seal(self._source(), agent, "archival", ROWS, first - 1, last)
        return stored

    def passage(self, agent: AgentId, number: int) -> Passage | None:
        found = self.passages(agent, [number])
        return found[0] if found else None

    def passages(self, agent: AgentId, numbers: Sequence[int]) -> list[Passage]:
        chosen = f"{PASSAGES}{_COUNTS} AND {self._db.dialect.among('number', 'numbers', int)}"
        rows = self._db.rows(chosen, agent=agent, numbers=self._db.listed(list(numbers)))
        found = {row[-1]: to_passage(row) for row in rows}
        return [found[number] for number in numbers if number in found]

    def delete_passage(self, agent: AgentId, number: int) -> bool:
        return self._delete_passages(agent, f"number = :value{_COUNTS}", value=number) > 0

    def erase_passages(self, agent: AgentId, numbers: Collection[int]) -> int:
        among = self._db.dialect.among("number", "numbers", int)
        return self._delete_passages(agent, among, numbers=self._db.listed(sorted(numbers)))

    def _delete_passages(self, agent: AgentId, which: str, **values: Any) -> int:
        """Delete the passages that a condition names, with all that hangs on them."""
        self._lock(agent)
        gone = self._db.rows(_DELETE_PASSAGES.format(which=which), agent=agent, **values)
        units = {
            number: passage_terms(title, text)
            for number, title, text, withdrawn, _ in gone
            if withdrawn is None
        }
        self._leave(agent, "archival", units)  # what was withdrawn has left before
        self._hand_on(agent, {number: by for number, *_, by in gone})
        return len(gone)

    def holdings(self, agent: AgentId) -> tuple[int, int]:
        passages, documents = self._db.one(_HOLDINGS, agent=agent)
        return passages, documents

    # documents
    def put_document(
        self, agent: AgentId, document: Document, pages: Sequence[Page], chunks: Sequence[Passage]
    ) -> Document:
        self._lock(agent)
        if known := self.document_by_source(agent, document.source):
            self.delete_document(agent, known.number)
        else:
            self.check_quota("documents")
        number = known.number if known else self._next("document", agent)
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
        of = {"agent": agent, "document": number}
        texts = [(page.number, storable(page.heading), storable(page.text)) for page in pages]
        for start in range(0, len(texts), _TOGETHER):
            batch = [
                of | {"page": n, "heading": h, "text": t} for n, h, t in texts[start : start + _TOGETHER]
            ]
            self._db.insert("document_pages", agent, batch)
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

    def erase_page(self, agent: AgentId, number: int, page: Page) -> bool:
        of = {"agent": agent, "number": number, "page": page.number}
        changed = self._db.changed(
            _ERASE_PAGE, **of, heading=storable(page.heading), text=storable(page.text)
        )
        self._purge()
        return changed

    def delete_document(self, agent: AgentId, number: int) -> bool:
        self._delete_passages(agent, "document = :value", value=number)
        self._db.send(_DELETE_PAGES, agent=agent, number=number)
        return self._db.changed(_DELETE_DOCUMENT, agent=agent, number=number)


def _stored(passage: Passage, number: int, born: int) -> Passage:
    """The passage with its number, and with texts that UTF-8 can hold."""
    place = passage.place
    if place and (section := storable(place.section)) is not place.section:
        place = replace(place, section=section)
    return replace(
        passage,
        number=number,
        born=born,
        withdrawn=None,
        superseded=None,
        ended=None,
        found=None,
        text=storable(passage.text),
        tags=tuple(map(storable, passage.tags)),
        source=storable(passage.source),
        title=storable(passage.title),
        place=place,
    )
