"""The part of the in-memory store on passages and documents."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from pagefault.storage.terms import passage_terms
from pagefault.testing.memory_successors import MemorySuccessors
from pagefault.types import (
    AgentId,
    Document,
    Page,
    Passage,
    Place,
)

__all__ = ["MemoryArchive"]


class MemoryArchive(MemorySuccessors):
    """The part of the in-memory store on passages and documents."""

    # archival storage
    def insert_passage(self, agent: AgentId, passage: Passage) -> Passage:
        owner = self._agent(agent)
        self.check_quota("rows")
        number = self._changes.next(owner.last, "passage")
        unmarked = replace(passage, withdrawn=None, superseded=None, ended=None, found=None)
        stored = replace(unmarked, number=number, born=owner.record.last_seq)
        self._changes.put(owner.passages, stored.number, stored)
        self._index(owner, "archival", stored.number, passage_terms(stored.title, stored.text))
        return stored

    def insert_passages(self, agent: AgentId, passages: Sequence[Passage]) -> list[Passage]:
        self._agent(agent)
        return [self.insert_passage(agent, passage) for passage in passages]

    def passage(self, agent: AgentId, number: int) -> Passage | None:
        owner = self._database.agents.get(agent)
        found = owner.passages.get(number) if owner else None
        return found if found and found.withdrawn is None else None

    def passages(self, agent: AgentId, numbers: Sequence[int]) -> list[Passage]:
        return [found for number in numbers if (found := self.passage(agent, number))]

    def delete_passage(self, agent: AgentId, number: int) -> bool:
        return self.passage(agent, number) is not None and self.erase_passages(agent, [number]) == 1

    def erase_passages(self, agent: AgentId, numbers: Collection[int]) -> int:
        owner = self._agent(agent)
        there, gone = owner.passages.keys() & set(numbers), dict[int, int | None]()
        for number in there:
            gone[number] = owner.passages[number].superseded
            self._changes.drop(owner.passages, number)
            self._unindex(owner, "archival", number)
        self._hand_on(owner, gone)
        return len(there)

    def holdings(self, agent: AgentId) -> tuple[int, int]:
        owner = self._database.agents.get(agent)
        passages = owner.passages.values() if owner else ()
        return sum(p.withdrawn is None for p in passages), len(owner.documents) if owner else 0

    # documents
    def put_document(
        self, agent: AgentId, document: Document, pages: Sequence[Page], chunks: Sequence[Passage]
    ) -> Document:
        owner = self._agent(agent)
        if known := self.document_by_source(agent, document.source):
            self.delete_document(agent, known.number)
        else:
            self.check_quota("documents")
        number = known.number if known else self._changes.next(owner.last, "document")
        stored = replace(document, number=number, pages=len(pages))
        self._changes.put(owner.documents, number, stored)
        self._changes.put(owner.pages, number, tuple(pages))
        for chunk in chunks:
            place = replace(chunk.place or Place(number, 1), document=number)
            self.insert_passage(agent, replace(chunk, place=place))
        return stored

    def documents(self, agent: AgentId) -> list[Document]:
        owner = self._database.agents.get(agent)
        return [owner.documents[number] for number in sorted(owner.documents)] if owner else []

    def document(self, agent: AgentId, number: int) -> Document | None:
        owner = self._database.agents.get(agent)
        return owner.documents.get(number) if owner else None

    def document_by_source(self, agent: AgentId, source: str) -> Document | None:
        return next((known for known in self.documents(agent) if known.source == source), None)

    def document_page(self, agent: AgentId, number: int, page: int) -> Page | None:
        return next(iter(self.document_pages(agent, number, page, page)), None)

    def document_pages(self, agent: AgentId, number: int, first: int, last: int) -> list[Page]:
        owner = self._database.agents.get(agent)
        pages = owner.pages.get(number, ()) if owner else ()
        return sorted((p for p in pages if first <= p.number <= last), key=lambda page: page.number)

    def erase_page(self, agent: AgentId, number: int, page: Page) -> bool:
        owner = self._agent(agent)
        pages = owner.pages.get(number, ())
        edited = tuple(page if each.number == page.number else each for each in pages)
        if pages:
            self._changes.put(owner.pages, number, edited)
        return any(each.number == page.number for each in pages)

    def delete_document(self, agent: AgentId, number: int) -> bool:
        if self.document(agent, number) is None:
            return False
        owner = self._agent(agent)
        for passage in list(owner.passages.values()):
            if passage.place and passage.place.document == number:
                self.erase_passages(agent, [passage.number])
        self._changes.drop(owner.documents, number)
        self._changes.drop(owner.pages, number)
        return True
