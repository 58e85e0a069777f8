"""Text cut to its token share: pages, heads with a handle, and the line that says which page this is.

Nothing is ever cut silently: what is left out is named, with the call that brings it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from pagefault.errors import FunctionError
from pagefault.models.tokens import Counter

T = TypeVar("T")

_FRAME = 56  # tokens of a page that its label and its handle take
_LOOK_BACK = 80  # characters a page may give up to end at a line or a space


def text_size(page_limit: int) -> int:
    """Tokens of text on one page, so that with label and handle it takes at most ``page_limit``."""
    return max(16, page_limit - _FRAME)


def split(text: str, size: int, counter: Counter) -> list[str]:
    """Cut text into pieces of at most ``size`` tokens, at lines or spaces where there are any."""
    total = counter.count(text)
    if total <= size:
        return [text]
    step = max(1, len(text) * size // total)
    pieces: list[str] = []
    start = 0
    while start < len(text):
        end = min(len(text), start + step)
        while end - start > 1 and counter.count(text[start:end]) > size:
            end = start + (end - start) * 9 // 10
        if end < len(text):
            end = _boundary(text, max(start, end - _LOOK_BACK), end)
        pieces.append(text[start:end])
        start = end
    return pieces


def _boundary(text: str, low: int, high: int) -> int:
    for mark in ("\n", " ", "。"):
        at = text.rfind(mark, low + 1, high)
        if at > low:
            return at + 1
    return high


def head(text: str, size: int, counter: Counter, reads_on: str) -> tuple[str, int]:
    """The text itself if it is at most ``size`` tokens, else its first page, its size and how to read
    on, ``reads_on`` being the call that brings page 2; and the number of pages."""
    pieces = split(text, size, counter)
    if len(pieces) == 1:
        return text, 1
    shown = (
        f"{pieces[0].rstrip()}\n[shown: 1 of {len(pieces)} pages, {counter.count(text):,} tokens in all; "
        f"{reads_on} reads on]"
    )
    return shown, len(pieces)


def showing(shown: int, total: int, page: int, pages: int) -> str:
    """The first line of every search result."""
    return f"Showing {shown} of {total} results (page {page}/{pages})"


def page_of(items: Sequence[T], page: int, size: int) -> tuple[Sequence[T], int]:
    """The items of one page (from 1) and the number of pages; ``FunctionError`` if there is none such."""
    pages = max(1, -(-len(items) // size))
    if not 1 <= page <= pages:
        raise FunctionError(f"There is no page {page}; pages go from 1 to {pages}.")
    return items[(page - 1) * size : page * size], pages
