"""Loaded documents: the list, one of them, one of its pages, and where in it a text stands.

Left out: loading (``ingest``), deleting (``kernel.edits``), and search over all documents (``memory``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from pagefault.config import zone_for
from pagefault.errors import NotFoundError, UsageError
from pagefault.functions.documents import excerpt_of, pages_with, pattern
from pagefault.kernel import Kernel
from pagefault.kernel.owners import find_stored, not_stored
from pagefault.models.tokens import HeuristicCounter
from pagefault.shared import StorageOwner, archive_of
from pagefault.storage import Transaction
from pagefault.types import AgentId, AgentRecord, Document, Page
from pagefault.views.asking import page_of

__all__ = [
    "DocumentFinds",
    "DocumentList",
    "DocumentPage",
    "DocumentView",
    "PageFind",
    "document",
    "document_page",
    "documents",
    "find",
]

_LISTED = 20  # documents on a page of the list
_FOUND = 10  # pages on a page of finds
_EXCERPT = 60  # tokens


@dataclass(frozen=True, slots=True)
class DocumentView:
    """A document. ``pages``: how many there are; ``at``: when it was loaded; ``source``: its path or URL;
    ``media``: its media type; ``digest``: the SHA-256 of its bytes, hexadecimal."""

    id: str
    title: str
    pages: int
    media: str
    tags: tuple[str, ...]
    at: datetime
    source: str
    digest: str


@dataclass(frozen=True, slots=True)
class DocumentList:
    """One page of the list, newest first; ``total``: of all pages."""

    total: int
    page: int
    pages: int
    results: tuple[DocumentView, ...]

    def __iter__(self) -> Iterator[DocumentView]:
        return iter(self.results)


@dataclass(frozen=True, slots=True)
class DocumentPage:
    """One page of a document, numbered from 1; ``heading``: the one it is under, empty for none."""

    document: DocumentView
    number: int
    heading: str
    text: str


@dataclass(frozen=True, slots=True)
class PageFind:
    """A page that has the text ``times`` times; ``excerpt``: one line around the first."""

    number: int
    heading: str
    times: int
    excerpt: str


@dataclass(frozen=True, slots=True)
class DocumentFinds:
    """One page of the pages found, in the document's order; ``total``: of all pages."""

    document: str
    total: int
    page: int
    pages: int
    results: tuple[PageFind, ...]


async def documents(
    kernel: Kernel, name: StorageOwner, *, page: int = 1, size: int = _LISTED
) -> DocumentList:
    """The documents of an agent, without those of attached archives, or of an archive, newest first; ``page``
    from 1."""
    record = await kernel.record(name)
    found = await kernel.store.read(lambda tx: tx.documents(record.id))
    found = [replace(each, archive=archive_of(record)) for each in reversed(found)]
    shown, pages = page_of(found, page, size)
    zone = zone_for(record)
    return DocumentList(len(found), page, pages, tuple(_view(each, zone) for each in shown))


async def document(kernel: Kernel, name: StorageOwner, id: str) -> DocumentView:
    """The document of this id (``d1``, ``manuals/d1``); ``NotFoundError`` if there is none."""
    record = await kernel.record(name)
    _, found = await kernel.store.read(lambda tx: _stored(tx, record, id))
    return _view(found, zone_for(record))


async def document_page(kernel: Kernel, name: StorageOwner, id: str, page: int = 1) -> DocumentPage:
    """One page of a document; ``NotFoundError`` if there is no such document or page."""
    record = await kernel.record(name)

    def read(tx: Transaction) -> tuple[Document, Page | None]:
        owner, found = _stored(tx, record, id)
        return found, tx.document_page(owner, found.number, page)

    found, leaf = await kernel.store.read(read)
    if leaf is None:
        raise NotFoundError(f"There is no page {page} in {id}; pages go from 1 to {found.pages}.")
    return DocumentPage(_view(found, zone_for(record)), page, leaf.heading, leaf.text)


async def find(kernel: Kernel, name: StorageOwner, id: str, text: str, *, page: int = 1) -> DocumentFinds:
    """The pages of a document that have this text; case and accents do not matter."""
    if not (wanted := pattern(text)):
        raise UsageError("The text to find is empty; give the text to look for.")
    record = await kernel.record(name)
    owner, found = await kernel.store.read(lambda tx: _stored(tx, record, id))
    leaves = await pages_with(kernel.store, owner, found, wanted)
    shown, pages = page_of(leaves, page, _FOUND)
    counter = HeuristicCounter()
    results = [
        PageFind(leaf.number, leaf.heading, times, excerpt_of(leaf.text, wanted, _EXCERPT, counter))
        for leaf, times in shown
    ]
    return DocumentFinds(found.id, len(leaves), page, pages, tuple(results))


def _stored(tx: Transaction, record: AgentRecord, id: str) -> tuple[AgentId, Document]:
    """The document, and the id of its owner."""
    storage, number = find_stored(tx, record, id, "d")
    if found := tx.document(storage.id, number):
        return storage.id, replace(found, archive=storage.name)
    raise not_stored(record, id, "d")


def _view(document: Document, zone: ZoneInfo) -> DocumentView:
    return DocumentView(
        document.id,
        document.title,
        document.pages,
        document.media,
        document.tags,
        document.at.astimezone(zone),
        document.source,
        document.digest,
    )
