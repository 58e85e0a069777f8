"""The first walk over a page: where its content is, which tables are layout, and the names of the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagefault.ingest.html.metadata import Metadata
from pagefault.ingest.html.tree import HEADINGS, LISTS, NOTES, SKIPPED, TEXT, line_of

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

__all__ = ["Survey"]

_DECLARE = frozenset(("meta", "script", "time", "a"))
_NOT_DATA = frozenset(HEADINGS) | LISTS | {"pre"}  # a table with one of these in it is layout


_NOTES = frozenset(
    ("doc-footnote", "doc-endnote", "doc-endnotes", "footnote", "footnotes", "endnote", "endnotes")
)


def _is_note(node: LexborNode) -> bool:
    about = node.attributes
    return not _NOTES.isdisjoint(f"{about.get('role') or ''} {about.get('epub:type') or ''}".lower().split())


class Survey:
    """The first walk: where the content is, which tables are layout, and the names of the page."""

    def __init__(self, whole: bool) -> None:
        self.layouts: set[int] = set()
        self.named = self.first = ""
        self.notes: list[LexborNode] = []  # foot- and endnotes
        self.metadata = Metadata()
        self._whole = whole
        self._in_head = False
        self._length = 0  # characters of text so far
        self._contents: dict[int, tuple[str, LexborNode]] = {}
        self._sizes: dict[int, int] = {}  # by node; characters before it while it is open, then in it
        self._tables: list[int] = []
        self._named: list[str] | None = None  # the text of a title or first h1 at work

    def enter(self, node: LexborNode) -> bool:
        tag = node.tag or ""
        if tag == TEXT:
            self._text(node.text_content or "")
        elif tag in ("title", "h1"):
            self._named = []
        elif tag in ("main", "article"):
            self._contents[node.mem_id] = (tag, node)
            self._sizes[node.mem_id] = self._length
        elif tag == "head":
            self._in_head = True
        elif tag == "table":
            self._lay_out()
            self._tables.append(node.mem_id)
        if tag in _NOT_DATA:
            self._lay_out()
        self._take(tag, node)
        return tag == "head" or tag not in SKIPPED

    def _take(self, tag: str, node: LexborNode) -> None:
        if tag in _DECLARE:
            self.metadata.take(node)
        elif tag in NOTES and _is_note(node):
            self.notes.append(node)

    def leave(self, node: LexborNode) -> None:
        tag = node.tag or ""
        if tag == "head":
            self._in_head = False
        elif tag in ("title", "h1") and self._named is not None:
            text = line_of("".join(self._named))
            self._named = None
            if tag == "h1":
                self.first = self.first or text
            else:
                self.named = self.named or text
        elif tag in ("main", "article"):
            self._sizes[node.mem_id] = self._length - self._sizes[node.mem_id]
        elif tag == "table" and self._tables:
            self._tables.pop()

    def _text(self, text: str) -> None:
        self._length += 0 if self._in_head else len(text)
        if self._named is not None:
            self._named.append(text)

    def content(self, body: LexborNode) -> tuple[LexborNode, bool]:
        """Return where the content is, and whether that is an element of its own: the only ``main``, else the
        only ``article``, if it has half of the text at least."""
        for tag in () if self._whole else ("main", "article"):
            found = [node for name, node in self._contents.values() if name == tag]
            if len(found) == 1 and 2 * self._sizes[found[0].mem_id] >= self._length:
                return found[0], True
        return body, False

    def _lay_out(self) -> None:
        """Mark the open tables as layout: such a table's cells are no data."""
        for table in reversed(self._tables):
            if table in self.layouts:
                return
            self.layouts.add(table)
