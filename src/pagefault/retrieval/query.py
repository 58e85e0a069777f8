"""A query as understood: what to match, and what must match exactly."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pagefault.storage.terms import terms

__all__ = ["Query", "understand"]

_CJK_STOP_WORDS = "的了吗呢吧啊是我你他她它在有和就也都什么还记得请谁哪几怎"
_STOP_WORDS = frozenset(
    terms(
        "a an and are as at be been but by can could did do does for from had has have he her him his how i "
        "if in is it its me my no not of on or our please she should so some that the their them then there "
        "these they this to us was we were what when where which who why will with would you your am about "
        "hey remember talked talk said mentioned mention tell told know just ever s t m d ll re ve"
    )
).union(_CJK_STOP_WORDS, ("什么", "我的", "你的", "记得", "怎么"))
_QUOTED = re.compile(r'"([^"]+)"|“([^”]+)”|「([^」]+)」')
_IDENTIFIER = re.compile(
    r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"  # a UUID
    r"|(?<![\w])(?=[\w.:/-]*\d)[A-Za-z0-9](?:[\w.:/-]*[A-Za-z0-9])?(?![\w])",  # a word with a digit in it
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Query:
    """A query as understood: text, its terms without stop words, what must match exactly."""

    text: str
    terms: tuple[str, ...]
    exact: tuple[tuple[str, ...], ...]


def understand(text: str) -> Query:
    """Split a query into terms to match and sequences that must be there (quoted text, codes, numbers)."""
    quoted = [next(group for group in found if group) for found in _QUOTED.findall(text)]
    bare = _QUOTED.sub(" ", text)
    exact = [terms(item) for item in (*quoted, *_IDENTIFIER.findall(bare))]
    units = list(dict.fromkeys(terms(bare)))
    content = [unit for unit in units if unit not in _STOP_WORDS] or units
    return Query(text, tuple(content), tuple(tuple(item) for item in exact if item))
