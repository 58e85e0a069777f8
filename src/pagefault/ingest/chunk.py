"""Pages to chunks: the passages that archival storage holds and search finds.

A page is cut at headings, paragraphs and sentences into pieces of a bounded number of tokens, which overlap a
little. A chunk is always a part of its page: ``page.text[start:stop]``, character for character. Left out:
storing them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pagefault.ingest.pages import Leaf, heading_at, slabs, splitter
from pagefault.models.tokens import Counter

__all__ = ["Chunk", "chunks", "spans"]

CHUNK = 256  # tokens
_OVERLAP = 8  # a chunk may share an eighth with the one before


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a page (from 1): its text, the heading above it, its offsets in characters."""

    text: str
    page: int
    section: str
    start: int
    stop: int


def chunks(
    leaf: Leaf, page: int, counter: Counter, *, markdown: bool, grammar: object = None
) -> Iterator[Chunk]:
    """Yield the chunks of a page, in order. A blank page has none."""
    seen = 0
    for start, stop in spans(leaf.text, counter, markdown=markdown, grammar=grammar):
        fresh = leaf.text[max(start, seen) : stop]  # the overlap belongs to the section before
        begin = stop - len(fresh.lstrip())
        yield Chunk(leaf.text[start:stop], page, heading_at(leaf.headings, begin), start, stop)
        seen = stop


def spans(
    text: str, counter: Counter, *, markdown: bool, grammar: object = None
) -> Sequence[tuple[int, int]]:
    """Return (start, stop) of each piece, of at most ``CHUNK`` tokens, without white space at its ends.

    The splitter counts characters, which is 50 times as fast as counting tokens for each try. The number of
    characters is estimated, and estimated again until every piece is within the bound.
    """
    found, start = list[tuple[int, int]](), 0
    for slab in slabs(text):
        found += ((start + first, start + last) for first, last in _spans(slab, counter, markdown, grammar))
        start += len(slab)
    return found


def _spans(text: str, counter: Counter, markdown: bool, grammar: object) -> list[tuple[int, int]]:
    most, capacity = counter.count(text), len(text)
    while True:
        if most > CHUNK:
            capacity = max(1, min(capacity - 1, capacity * CHUNK // most))
        size, overlap = max(1, capacity), capacity // _OVERLAP
        cut = splitter(size, markdown=markdown, grammar=grammar, overlap=overlap)
        found = cut.chunk_indices(text)
        most = max((counter.count(piece) for _, piece in found), default=0)
        if most <= CHUNK or capacity <= 1:
            return [_trimmed(start, piece) for start, piece in found if piece.strip()]


def _trimmed(start: int, piece: str) -> tuple[int, int]:
    """Return the offsets without the indentation of a Markdown block, which the splitter keeps."""
    first = start + len(piece) - len(piece.lstrip())
    return first, first + len(piece.strip())
