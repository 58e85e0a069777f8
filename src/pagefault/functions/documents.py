"""Leafing through documents: which there are, one page of one, and where in it a text stands.

Offered to agents that have documents (the setting ``documents``, which loading switches on). What a document
says is shown as data, with its id and page, within the token share of a page. Searching over all documents is
``archival_search``'s business.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from pagefault.context import paging, stamp
from pagefault.errors import FunctionError
from pagefault.functions import Function, Outcome
from pagefault.functions.describing import describe
from pagefault.functions.results import PAGE, Results, brief, counted, labels
from pagefault.models.tokens import Counter
from pagefault.quoting import normal, quoted
from pagefault.storage import Store, Transaction
from pagefault.types import AgentId, Document, Page

_LISTED = 10  # documents on one page of the list
_FRAME = 16  # tokens that the id and the number of a part take
_AT_ONCE = 64  # pages read and looked through at a time
_CJK = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_BETWEEN_CJK = re.compile(rf"(?<=[{_CJK}])\s+(?=[{_CJK}])")


@dataclass(frozen=True, slots=True)
class DocumentCalls:
    """The document functions of one agent."""

    store: Store
    results: Results

    async def document_list(self, page: int = 1, archive: str = "") -> Outcome:
        """The documents that were loaded, newest first."""
        found = await self.store.read(lambda tx: self.results.storages.documents(tx, archive))
        shown, pages = paging.page_of(found, page, _LISTED)
        lines = [paging.showing(len(shown), len(found), page, pages), *map(self._line, shown)]
        ids = tuple(document.id for document in shown)
        return Outcome("\n".join(lines), sources=ids, framed=True)

    async def document_open(self, id: str, page: int = 1, part: int = 1) -> Outcome:
        """Read a page of a document; a long page has several parts."""

        def read(tx: Transaction) -> tuple[Document, Page | None]:
            owner, document = self.results.storages.document(tx, id)
            there = 1 <= page <= document.pages
            return document, tx.document_page(owner, document.number, page) if there else None

        document, leaf = await self.store.read(read)
        if leaf is None:
            raise FunctionError(f"There is no page {page} in {id}; pages go from 1 to {document.pages}.")
        where = f"{brief(document.title)}, page {page} of {document.pages}"
        where += f", {brief(leaf.heading)}" if leaf.heading else ""
        taken = self.results.counter.count(where) + _FRAME
        size = max(16, self.results.page - taken)
        pieces = paging.split(quoted(leaf.text), size, self.results.counter)
        (piece,), parts = paging.page_of(pieces, part, 1)
        where += f"; part {part} of {parts}" if parts > 1 else ""
        text = f"[{id} {where}]\n{quoted(piece) or '(blank)'}"
        return Outcome(text, sources=(id,), framed=True)

    async def document_find(self, id: str, text: str, page: int = 1) -> Outcome:
        """Find the pages of a document with this text; case and accents do not matter."""
        if not (wanted := pattern(text)):
            raise FunctionError("text is empty; give the text to look for.")
        owner, document = await self.store.read(lambda tx: self.results.storages.document(tx, id))
        found = await pages_with(self.store, owner, document, wanted)
        shown, pages = paging.page_of(found, page, PAGE)
        room = self.results.line_size()
        lines = [f"{paging.showing(len(shown), len(found), page, pages)}: pages of {id} with that text"]
        for leaf, count in shown:
            label = f"[{id} p. {leaf.number}{f', {count} times' if count > 1 else ''}]"
            size = max(12, room - self.results.counter.count(label))
            found_there = excerpt_of(leaf.text, wanted, size, self.results.counter)
            lines.append(f"{label} {quoted(found_there, opens_line=False)}")
        return Outcome("\n".join(lines), sources=(id,), framed=True)

    def _line(self, document: Document) -> str:
        about = f"{document.id} {stamp(document.at, self.results.zone)} {labels(document.tags)}".rstrip()
        return f"[{about}] {brief(document.title)} ({counted(document.pages, 'page')})"


@cache
def document_functions(*, archives: bool = False) -> tuple[Function, ...]:
    """The document functions in the order of the prompt, described once a process and not bound yet.
    ``archives``: the parameter ``archive``."""
    calls = (DocumentCalls.document_list, DocumentCalls.document_open, DocumentCalls.document_find)
    hidden = "" if archives else "archive"
    return tuple(describe(call, "query", DocumentCalls, hidden) for call in calls)


async def pages_with(
    store: Store, agent: AgentId, document: Document, wanted: re.Pattern[str]
) -> list[tuple[Page, int]]:
    """The pages of a document that have a text (see ``pattern``), in order, and how often."""
    found: list[tuple[Page, int]] = []
    for first in range(1, document.pages + 1, _AT_ONCE):
        last = first + _AT_ONCE - 1
        leaves = await store.read(
            lambda tx, first=first, last=last: tx.document_pages(agent, document.number, first, last)
        )
        counts = ((leaf, sum(1 for _ in wanted.finditer(fold(leaf.text)))) for leaf in leaves)
        found += [(leaf, count) for leaf, count in counts if count]
    return found


def excerpt_of(text: str, wanted: re.Pattern[str], size: int, counter: Counter) -> str:
    """One line of about ``size`` tokens around the first place where the text stands."""
    places = [index for index, character in enumerate(text) for _ in fold(character)]
    found = wanted.search(fold(text))
    start = places[found.start()] if found else 0
    width = max(20, len(text) * size // max(1, counter.count(text)))
    low = max(0, min(start - width // 4, len(text) - width))
    cut = " ".join(text[low : low + width].split())
    return f"{'…' if low else ''}{cut}{'…' if low + width < len(text) else ''}"


def fold(text: str) -> str:
    """Text without case and accents. Each character folds by itself, so that places stay known."""
    if not text.isascii():
        parts = normal("NFKD", text)
        text = "".join(c for c in parts if not unicodedata.combining(c))
    return text.casefold()


def pattern(text: str) -> re.Pattern[str] | None:
    """A text as it may stand on a page: any white space for white space, and lines may end between two
    Chinese or Japanese characters. None for a blank one."""
    words: Sequence[str] = _BETWEEN_CJK.sub("", fold(text)).split()
    if not words:
        return None
    joined = r"\s+".join(map(re.escape, words))
    return re.compile(re.sub(rf"(?<=[{_CJK}])(?=[{_CJK}])", r"\\s*", joined))
