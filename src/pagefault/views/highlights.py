"""The words of a query in a text that was found by it, so that a page can mark them.

Words are compared as search compares them: stemmed, without case and diacritics; in scripts without spaces by
characters and pairs of these. Left out: the excerpt to show (``hits``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Set

from pagefault.retrieval.query import content_terms
from pagefault.storage.terms import UNSPACED, terms

__all__ = ["TextPart", "highlights"]

TextPart = tuple[bool, str]
"""A part of a text, and whether it is of the query."""

_LONGEST = 50_000
"""The characters in which words are looked for; what is behind them is one part."""

_PART = re.compile(r"[^\s!-/:-@\[-`{-~\u2010-\u205e\u3001-\u3003\u3008-\u3020\uff0c\uff1f\uff01]+")


def highlights(text: str, query: str) -> list[TextPart]:
    """The text in parts, in order; together they are the text."""
    wanted, known = frozenset(content_terms(query)) if query.strip() else frozenset[str](), dict[str, bool]()
    parts, end = list[TextPart](), 0
    if wanted:
        for start, stop in _places(text[:_LONGEST], wanted, known):
            if start > end:
                parts.append((False, text[end:start]))
            if parts and parts[-1][0]:
                parts[-1] = (True, parts[-1][1] + text[start:stop])
            else:
                parts.append((True, text[start:stop]))
            end = stop
    return [*parts, (False, text[end:])] if end < len(text) else parts


def _places(text: str, wanted: Set[str], known: dict[str, bool]) -> Iterator[tuple[int, int]]:
    """Where words of the query begin and end; ``known``: the words that were looked at before."""
    for found in _PART.finditer(text):
        word = found[0]
        if UNSPACED.search(word):
            yield from _characters(word, found.start(), wanted)
        else:
            if word not in known:
                known[word] = not wanted.isdisjoint(terms(word))
            if known[word]:
                yield found.span()


def _characters(word: str, start: int, wanted: Set[str]) -> Iterator[tuple[int, int]]:
    """The characters of a run that stand in the query with one of their neighbours, or have none there."""
    pairs = {unit for unit in wanted if len(unit) > 1}
    for at, character in enumerate(word):
        around = word[max(0, at - 1) : at + 1], word[at : at + 2]
        if not pairs.isdisjoint(around) or (not pairs and character in wanted):
            yield start + at, start + at + 1
