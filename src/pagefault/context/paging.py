"""Text cut to its token share: pages, heads with a handle, and the line that says which page this is.

Nothing is ever cut silently: what is left out is named, with the call that brings it. A text of very many
pages is quoted and cut block by block, as far as it is read; how many pages it has is an estimate then, and
marked as one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from pagefault.errors import FunctionError
from pagefault.models.tokens import Counter

T = TypeVar("T")

_FRAME = 56  # tokens of a page that its label and its handle take
_LOOK_BACK = 80  # characters a page may give up to end at a line or a space
_BLOCK = 20_000  # characters of a block; more if pages are large
_NAMED = 8  # ids of hits that were folded into one
_SAMPLE, _SAMPLES = 500, 16  # characters, and places, at which a longer text is measured

Quote = Callable[[str, str], str]
"""Gives a part of a text as it is shown; the second argument is the character before it, if there is one."""


def text_size(page_limit: int) -> int:
    """Tokens of text on one page, so that with label and handle it takes at most ``page_limit``."""
    return max(16, page_limit - _FRAME)


def split(text: str, size: int, counter: Counter) -> list[str]:
    """Cut text into pieces of at most ``size`` tokens, at lines or spaces where there are any."""
    total = counter.count(text)
    return [text] if total <= size else list(_cut(text, size, len(text) * size // total, counter))


def _cut(text: str, size: int, step: int, counter: Counter) -> Iterator[str]:
    """The pieces, of about ``step`` characters."""
    start = 0
    while start < len(text):
        end = min(len(text), start + max(1, step))
        while end - start > 1 and counter.count(text[start:end]) > size:
            end = start + (end - start) * 9 // 10
        if end < len(text):
            end = _boundary(text, max(start, end - _LOOK_BACK), end)
        yield text[start:end]
        start = end


def _boundary(text: str, low: int, high: int) -> int:
    for mark in ("\n", " ", "。"):
        at = text.rfind(mark, low + 1, high)
        if at > low:
            return at + 1
    return high


def pages(text: str, size: int, counter: Counter, quote: Quote) -> Iterator[str]:
    """The pages of a text. Those of a long one are cut when they are asked for, and each block by itself."""
    block = _block(size)
    if len(text) <= block:
        yield from split(quote(text, ""), size, counter)
        return
    step, start = len(text) * size // max(size, _measured(text, counter)), 0
    while start < len(text):
        end = start + block
        if end < len(text):
            end = _boundary(text, end - _LOOK_BACK, end)
        yield from _cut(quote(text[start:end], text[max(0, start - 1) : start]), size, step, counter)
        start = end


def page_at(text: str, page: int, size: int, counter: Counter, quote: Quote) -> tuple[str, str]:
    """One page of a text (from 1), and which: ``2/7`` or ``2/~700``; ``FunctionError`` if there is none."""
    last = page + 1 if len(text) > _block(size) and page > 0 else None
    made = list(islice(pages(text, size, counter, quote), last))
    (piece,), known = page_of(made, page, 1)
    if last is None or page == known:
        return piece, f"{page}/{known}"
    return piece, f"{page}/~{max(known, -(-_measured(text, counter) // size))}"


def head(text: str, size: int, counter: Counter, reads_on: str, quote: Quote) -> tuple[str, int]:
    """The text itself if it is at most ``size`` tokens, else its first page, its size and how to read
    on, ``reads_on`` being the call that brings page 2; and the number of pages."""
    if len(text) <= _block(size):
        shown = quote(text, "")
        first, *others = split(shown, size, counter)
        if not others:
            return shown, 1
        count, tokens, about = 1 + len(others), counter.count(shown), ""
    else:
        first, about = next(pages(text, size, counter, quote)), "about "
        tokens = _measured(text, counter)
        count = max(2, -(-tokens // size))
    return (
        f"{first.rstrip()}\n[shown: 1 of {about}{count} pages, {about}{tokens:,} tokens in all; "
        f"{reads_on} reads on]"
    ), count


def _block(size: int) -> int:
    return max(_BLOCK, 16 * size)


def _measured(text: str, counter: Counter) -> int:
    """About how many tokens a text of more than a block has, by samples of it."""
    starts = (len(text) * place // _SAMPLES for place in range(_SAMPLES))
    found = sum(counter.count(text[at : at + _SAMPLE]) for at in starts)
    return found * len(text) // (_SAMPLES * _SAMPLE)


def showing(shown: int, total: int, page: int, pages: int) -> str:
    """The first line of every search result."""
    return f"Showing {shown} of {total} results (page {page}/{pages})"


def more_like_it(ids: Sequence[str]) -> str:
    """``[and 2 more like it: m7, m3]``; nothing without ids. It begins with a word, so that no text can
    imitate it (``quoting``)."""
    named = ", ".join(ids[:_NAMED]) + (", ..." if len(ids) > _NAMED else "")
    return f"[and {len(ids):,} more like it: {named}]" if ids else ""


def page_of(items: Sequence[T], page: int, size: int) -> tuple[Sequence[T], int]:
    """The items of one page (from 1) and the number of pages; ``FunctionError`` if there is none such."""
    pages = max(1, -(-len(items) // size))
    if not 1 <= page <= pages:
        raise FunctionError(f"There is no page {page}; pages go from 1 to {pages}.")
    return items[(page - 1) * size : page * size], pages
