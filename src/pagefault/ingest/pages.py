"""The text of a document: its title and its pages, and the cutting of a long text into pages.

A page of a PDF is one page. Other formats have no pages, so their text is cut at headings and paragraphs into
pages of about the size of a printed one. Left out: reading a format.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from semantic_text_splitter import CodeSplitter, MarkdownSplitter, TextSplitter

__all__ = [
    "MOST_UNPACKED",
    "Extracted",
    "Heading",
    "Leaf",
    "ReadPart",
    "clean",
    "heading_at",
    "heading_path",
    "markdown_headings",
    "paginate",
    "slabs",
    "splitter",
]

MOST_UNPACKED = 256 << 20  # bytes that the files of one packed document may have, and its parts
PAGE = 3_000  # characters of a page, for formats without pages
_SLAB = 100_000  # characters split at a time: the splitter is quadratic in text without a break
_NAME = 200  # characters of a heading in a path, which stands in every passage below it
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ufffe\uffff]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_BLOCKS = [
    "code",
    "fence",
    "hr",
    "html_block",
    "heading",
    "lheading",
    "paragraph",
]  # lists cost most of the time
_GAP = re.compile(r"\n(?:[ \t]*\n){3,}")


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading, from the offset ``start`` (in characters) on; ``path`` is such as ``Tides › Ebb``."""

    start: int
    path: str


@dataclass(frozen=True, slots=True)
class Leaf:
    """One page: its text, and its headings by offset in that text."""

    text: str
    headings: tuple[Heading, ...] = ()


@dataclass(frozen=True, slots=True)
class ReadPart:
    """A document within another, as read: the name of its file, the media type that was declared, its bytes;
    ``why``: the reason if it cannot be loaded; ``skip``: the reason if nothing is wrong with that."""

    name: str
    declared: str = ""
    data: bytes = b""
    why: str = ""
    skip: str = ""


@dataclass(frozen=True, slots=True)
class Extracted:
    """A document as read. ``title`` is empty if it has none; ``markdown`` is True if the text of its pages is
    Markdown; ``notes``: sentences on what of it was not read as it stands; ``parts``: the documents in it."""

    title: str
    leaves: tuple[Leaf, ...]
    markdown: bool = False
    notes: tuple[str, ...] = ()
    parts: tuple[ReadPart, ...] = ()


def clean(text: str) -> str:
    """Return the text with plain line ends, and without control characters and long gaps."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return _GAP.sub("\n\n\n", _SURROGATE.sub("\ufffd", _CONTROL.sub("", lines)))


def heading_at(headings: Sequence[Heading], offset: int) -> str:
    """Return the path of headings above the character at ``offset``, empty before the first heading."""
    index = bisect_right(headings, offset, key=lambda heading: heading.start)
    return headings[index - 1].path if index else ""


def heading_path(above: dict[int, str], level: int, name: str) -> str:
    """Return the path of a heading, and note it in ``above``: the last heading of each level."""
    for lower in [other for other in above if other >= level]:
        del above[lower]
    above[level] = name[:_NAME]
    return " › ".join(above.values())


def markdown_headings(text: str) -> list[Heading]:
    """Return the headings of a Markdown text, each with those above it."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark")
    parser.core.ruler.enableOnly(["normalize", "block"])
    parser.block.ruler.enableOnly(_BLOCKS)
    tokens = parser.parse(text)
    starts = [0, *(found.end() for found in re.finditer("\n", text))]
    above: dict[int, str] = {}
    headings: list[Heading] = []
    for token, content in pairwise(tokens):
        if token.type == "heading_open" and token.map and (name := " ".join(content.content.split())):
            depth = int(token.tag[1:])
            headings.append(Heading(starts[token.map[0]], heading_path(above, depth, name)))
    return headings


def splitter(
    capacity: int, *, markdown: bool, grammar: object = None, overlap: int = 0, trim: bool = True
) -> TextSplitter | MarkdownSplitter | CodeSplitter:
    """Return what cuts a text into pieces of so many characters; ``grammar``: of a language of programs."""
    from semantic_text_splitter import CodeSplitter, MarkdownSplitter, TextSplitter

    if grammar is not None:
        return CodeSplitter(grammar, capacity, overlap=overlap, trim=trim)
    kind = MarkdownSplitter if markdown else TextSplitter
    return kind(capacity, overlap=overlap, trim=trim)


def paginate(
    text: str, headings: Sequence[Heading], *, markdown: bool, grammar: object = None
) -> Iterator[Leaf]:
    """Yield the pages of a text, cut along its structure; blank pages are left out."""
    cut = splitter(PAGE, markdown=markdown, grammar=grammar, trim=False)
    start = 0
    for slab in slabs(text):
        for piece in cut.chunks(slab):
            if piece.strip():
                yield Leaf(piece, tuple(_within(headings, start, start + len(piece))))
            start += len(piece)


def _within(headings: Sequence[Heading], start: int, stop: int) -> Iterator[Heading]:
    """Yield the headings of a page, including the one above its beginning."""
    if path := heading_at(headings, start):
        yield Heading(0, path)
    first = bisect_right(headings, start, key=lambda heading: heading.start)
    for heading in headings[first:]:
        if heading.start >= stop:
            break
        yield Heading(heading.start - start, heading.path)


def slabs(text: str) -> Iterator[str]:
    """Yield a text in parts of bounded length, cut at a paragraph, a line or a word if there is one."""
    start = 0
    while len(text) - start > 2 * _SLAB:
        low, high = start + _SLAB, start + 2 * _SLAB
        breaks = (text.find(mark, low, high - 2) + len(mark) for mark in ("\n\n", "\n", " "))
        stop = next((place for place in breaks if place > low), high)
        yield text[start:stop]
        start = stop
    yield text[start:]
