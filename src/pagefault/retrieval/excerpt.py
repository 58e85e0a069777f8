"""A one-line excerpt of a found text around the words of the query."""

from __future__ import annotations

import re
from bisect import bisect_left

from pagefault.models.tokens import Counter
from pagefault.retrieval.query import content_terms
from pagefault.storage.terms import terms

__all__ = ["excerpt"]

# Not ``\w+``: marks and invisible characters within a word belong to it.
_WORD = re.compile(r"[^\s!-/:-@\[-`{-~\u2010-\u205e\u3001-\u3003\u3008-\u3020]+")


def excerpt(text: str, query: str, size: int, counter: Counter) -> str:
    """One line of at most about ``size`` tokens from where the query's terms stand closest together."""
    line = " ".join(text.split())
    total = counter.count(line)
    if total <= size:
        return line
    width = max(20, len(line) * size // total)
    wanted = set(content_terms(query))
    words = {word for word in set(_WORD.findall(line)) if wanted and wanted.intersection(terms(word))}
    places = [m.start() for m in _WORD.finditer(line) if m.group() in words]
    crowd = [bisect_left(places, at + width) - i for i, at in enumerate(places)]
    start = places[crowd.index(max(crowd))] if places else 0
    start = 0 if start < width // 2 else min(start - width // 4, len(line) - width)
    cut = line[start : start + width]
    if start and " " in cut[:20]:
        cut = cut[cut.index(" ") + 1 :]
    return ("…" if start else "") + cut.strip() + ("…" if start + width < len(line) else "")
