"""Items of external memory as the model reads them: as data, with id, date and origin.

One page of results, one page of a text, or a message with its neighbours; each within its token share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from itertools import islice

from pagefault.context import paging, stamp
from pagefault.errors import FunctionError
from pagefault.functions import Outcome
from pagefault.functions.archives import ArchivalStorages, number
from pagefault.models.tokens import Counter
from pagefault.quoting import inline, quoted
from pagefault.retrieval import Like, Ranking, excerpt, fold
from pagefault.storage import Transaction
from pagefault.types import AgentId, Message, Passage

PAGE = 5  # results on one page
_LARGEST_PAGE = 1200  # tokens: more than this is not read, whatever the window
_LABEL = 24  # tokens that an id, a date and a source take
_LONGEST_TITLE = 48  # characters
_HEAD = 600  # characters of a document that its event begins with


def find_row(tx: Transaction, agent: AgentId, id: str) -> Message:
    """The row of this id; ``FunctionError`` if there is none, or it was undone."""
    if (row := tx.message(agent, number(id, "m"))) and row.withdrawn is None:
        if row.erased:
            raise FunctionError(f"Message {id} was forgotten; nothing of it is left.")
        return row
    raise FunctionError(f"There is no message {id}; ids stand in search results.")


def label_of(item: Message | Passage, zone: tzinfo) -> str:
    """Date and origin: ``2026-11-20 Fri 18:54 user``, ``... event Ana``, ``... On tides, p. 12 #sea``, and
    when a fact holds: ``... until 2026-03-02``."""
    return " ".join(filter(None, (stamp(item.at, zone), _origin(item), validity_of(item, zone))))


def validity_of(item: Message | Passage, zone: tzinfo) -> str:
    """When a passage holds, as far as that is limited: ``from 2026-03-01 until 2026-03-02``, ``same as
    p7``."""
    if isinstance(item, Message):
        return ""
    limits = (("from", item.valid_from), ("until", item.ends))
    said = [f"{word} {at.astimezone(zone):%Y-%m-%d}" for word, at in limits if at]
    if item.superseded and not item.ended:
        said.append(f"same as p{item.superseded}")
    return " ".join(said)


def _origin(item: Message | Passage) -> str:
    if isinstance(item, Message):
        return f"{item.role} {brief(item.speaker)}".rstrip()
    where = brief(item.title or item.source)
    if item.place:
        where += f", p. {item.place.page}"
    return f"{where} {labels(item.tags)}".strip()


def labels(tags: Sequence[str]) -> str:
    """``#sea #2026``, cut if they are many."""
    return brief(" ".join(f"#{tag}" for tag in tags), 2 * _LONGEST_TITLE)


def brief(title: str, longest: int = _LONGEST_TITLE) -> str:
    """A title as part of a label: on one line, without brackets, cut if it is long."""
    return inline(title, longest)


def counted(count: int, noun: str) -> str:
    """``1 page``, ``1,000 pages``"""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def document_line(id: str, title: str, pages: int, begins: str) -> str:
    """The words by which an event says that it brought a document, with its ``begins``, the first page."""
    named = f'{id} "{brief(title, 80)}" ({counted(pages, "page")})'
    return f"is in archival storage: {named}. It begins: {brief(begins, _HEAD)}"


def _quote(part: str, before: str) -> str:
    return quoted(part, opens_line=before == "\n")


@dataclass(frozen=True, slots=True)
class Results:
    """``page``: the tokens that one page may take."""

    storages: ArchivalStorages
    zone: tzinfo
    counter: Counter
    page: int

    def fetch(self, tx: Transaction, hits: Ranking, query: str, page: int) -> Outcome:
        """One page of hits, each on a line; found by a query, equal ones are one, with a line that names the
        others. The total counts what is left."""
        like: Like = {}
        if query:
            hits, like = fold(tx, hits)
        shown, pages = paging.page_of(hits, page, PAGE)
        room = self.line_size()
        lines = [paging.showing(len(shown), len(hits), page, pages)]
        sources: list[str] = []
        for hit in shown:
            item = self.storages.item(tx, hit)
            if item is not None:
                more = paging.more_like_it([*map(self.storages.id_of, like.get(hit.key, ()))])
                size = max(12, room - self.counter.count(self.line(item, "") + more))
                lines.append(self.line(item, excerpt(item.text, query, size, self.counter)))
                lines += filter(None, [more])
                sources.append(item.id)
        return Outcome("\n".join(lines), sources=tuple(sources), framed=True)

    def line_size(self) -> int:
        """Tokens that one line of results may take, its label included."""
        return min(self.page, _LARGEST_PAGE) // PAGE

    def line(self, item: Message | Passage, text: str) -> str:
        """``[recall m12 2026-11-20 Fri 18:54 user] text``"""
        tier = "recall" if isinstance(item, Message) else "archival"
        return f"[{tier} {item.id} {label_of(item, self.zone)}] {quoted(text, opens_line=False)}"

    def short_line(self, item: Message | Passage, text: str) -> str:
        """``[m12 user Ana] text``: the day stands in a line before it, and the id says which storage."""
        label = " ".join(filter(None, (item.id, _origin(item), validity_of(item, self.zone))))
        return f"[{label}] {quoted(text, opens_line=False)}"

    def is_long(self, text: str) -> bool:
        """Return whether a text takes more than one page."""
        made = paging.pages(text, paging.text_size(self.page), self.counter, _quote)
        return len(list(islice(made, 2))) > 1

    def text_page(self, item: Message | Passage, page: int) -> Outcome:
        """One page of a text, counted as admission counts: page 1 is the head that the queue showed."""
        size = paging.text_size(self.page)
        piece, place = paging.page_at(item.text, page, size, self.counter, _quote)
        return Outcome(self.line(item, f"page {place}\n{piece}"), sources=(item.id,), framed=True)

    def around(self, row: Message, near: Sequence[Message]) -> Outcome:
        """A short message whole, its neighbours as excerpts."""
        left = self.page - self.counter.count(row.text)
        room = max(12, left // max(1, len(near)) - _LABEL)
        lines = [
            self.line(r, r.text if r.seq == row.seq else excerpt(r.text, "", room, self.counter))
            for r in near
        ]
        return Outcome("\n".join(lines), sources=tuple(r.id for r in near), framed=True)
