"""Text to lexical units, the same for every store and for queries.

Made in Python so that SQLite, PostgreSQL and the in-memory store match alike: lower case, no diacritics,
English words stemmed; Chinese, Japanese and Korean runs as characters and pairs of characters, in order
(``你好吗`` is ``你 你好 好 好吗 吗``), because they have no spaces to cut at; an emoji is a unit. Stop
words are kept: the ranker decides which a query leaves out. Of an unbroken run of letters the first 200
count.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import cast

import Stemmer  # pyright: ignore[reportMissingTypeStubs]

from pagefault.message_meta import MessageMeta
from pagefault.types import Role

__all__ = ["message_terms", "passage_terms", "terms"]

_LONGEST = 200  # FTS5 would silently truncate a token at 32 KB

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_UNITS = re.compile(
    rf"(?P<cjk>[{_CJK}]+)|(?P<word>[^\W_{_CJK}]+)|(?P<sign>[\u2600-\u27bf\U0001f000-\U0001faff])"
)
_ASCII = re.compile(r"[a-z0-9]+")
_english = cast(
    Callable[[str], str],
    Stemmer.Stemmer("english", 0).stemWord,  # pyright: ignore[reportUnknownMemberType]
)
_stem = lru_cache(maxsize=50_000)(_english)


def terms(text: str) -> list[str]:
    """The units of ``text`` in order. Adjacent units stand for adjacent text."""
    folded = text.lower()
    if folded.isascii():  # no scripts to tell apart, and three times as fast
        return [_word(word) for word in _ASCII.findall(folded)]
    marks = unicodedata.normalize("NFKD", folded)
    folded = unicodedata.normalize("NFC", "".join(c for c in marks if unicodedata.category(c) != "Mn"))
    units: list[str] = []
    for found in _UNITS.finditer(folded):
        unit = found.group()
        if found.lastgroup == "cjk":
            for index, character in enumerate(unit):
                units.append(character)
                if index + 1 < len(unit):
                    units.append(unit[index : index + 2])
        else:
            units.append(_word(unit) if found.lastgroup == "word" else unit)
    return units


def _word(word: str) -> str:
    whole = word[:_LONGEST]
    return _stem(whole) if whole.isalpha() else whole


def message_terms(role: str, text: str, meta: MessageMeta) -> list[str]:
    """The units by which a row of the log is found. A result with source ids is text that was recalled; it
    has none, so that the log does not feed on itself."""
    return [] if role == Role.RESULT and meta.sources else terms(text)


def passage_terms(title: str, text: str) -> list[str]:
    """The units by which a passage is found: those of its title, then those of its text."""
    return terms(f"{title} {text}" if title else text)
