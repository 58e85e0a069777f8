"""Text to lexical units, the same for every store and for queries.

Made in Python so that SQLite, PostgreSQL and the in-memory store match alike: compatible forms are one (``ﬁ``
is ``fi``, ``①`` and ``१`` are ``1``), no case, no diacritics, no invisible characters, English words stemmed.
Scripts without spaces to cut at (Chinese, Japanese, Korean, Thai, Lao, Khmer, Burmese ...) are characters
with their signs, and pairs of these, in order (``你好吗`` is ``你 你好 好 好吗 吗``); an emoji is a unit.
Texts that differ in their Unicode normal form alone have the same units. Stop words are kept: the ranker
decides which a query leaves out. Of an unbroken run of letters the first 200 count. A change of units needs
a migration.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from itertools import chain, pairwise
from typing import cast

import Stemmer  # pyright: ignore[reportMissingTypeStubs]

from pagefault.message_meta import MessageMeta
from pagefault.quoting import normal
from pagefault.text_caches import caches_texts

__all__ = ["UNSPACED", "is_character", "message_terms", "passage_terms", "terms"]

_LONGEST = 200  # FTS5 would silently truncate a token at 32 KB

# Han, kana, Hangul, Yi, Tangut and the like; then what Unicode breaks into lines by a dictionary (class SA),
# Javanese and Balinese, without their digits.
_UNSPACED = (
    "\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3038-\u303c\u3040-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\ua000-\ua48c\uac00-\ud7af\uf900-\ufaff\U00016fe0-\U00018dff\U0001aff0-\U0001b2ff"
    "\U00020000-\U0003ffff"
    "\u0e01-\u0e4e\u0e81-\u0ecf\u0edc-\u0edf\u1000-\u103f\u1050-\u108f\u109a-\u109f\u1780-\u17dd"
    "\u1950-\u1974\u1980-\u19c9\u19de\u19df\u1a20-\u1a7c\u1aa0-\u1aad\u1b00-\u1b4c\ua980-\ua9c0"
    "\ua9e0-\ua9ef\ua9fa-\ua9fe\uaa60-\uaadf\U00011700-\U0001172b"
)
UNSPACED = re.compile(f"[{_UNSPACED}]")
"""A character of a script without spaces."""

_RUNS = re.compile(f"(?P<unspaced>[{_UNSPACED}]+)|[^{_UNSPACED}]+")
_CHARACTER = re.compile(r"\w\W*|\W+")  # a letter with its signs, which are no letters to ``re``
_SIGN = re.compile("[\u2600-\u27bf\U0001f000-\U0001faff]")
_ASCII = bytes(b if b < 128 and chr(b).isalnum() else 32 for b in bytes(range(256)).lower())
_FILLERS = "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f"  # invisible letters and marks
_STROKES = {"ı": "i", "ł": "l", "ø": "o", "đ": "d"}  # letters that no normal form takes apart
_SIGN_CLASSES = {
    0,
    9,
    *range(84, 133),
}  # combining classes of vowel signs and tones; of others, of diacritics
_KNOWN = 65_536  # characters that the table remembers
_english = cast(
    Callable[[str], str],
    Stemmer.Stemmer("english", 0).stemWord,  # pyright: ignore[reportUnknownMemberType]
)
_stem = lru_cache(maxsize=50_000)(_english)
caches_texts(_stem)


class _Folding(dict[int, str]):
    """For ``str.translate``: each character of a text as it is in units, a space for what separates them."""

    def __missing__(self, code: int) -> str:
        folded = _folded(chr(code))
        if len(self) < _KNOWN:
            self[code] = folded
        return folded


def _folded(character: str) -> str:
    category = unicodedata.category(character)
    if category in ("Cf", "Me") or character in _FILLERS or "\ufe00" <= character <= "\ufe0f":
        return ""
    if category == "Mn":
        is_sign = unicodedata.combining(character) in _SIGN_CLASSES and character < "\U000e0000"
        return character if is_sign else ""
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if character.isalnum() or category == "Mc":
        return _STROKES.get(character, character)
    return f" {character} " if _SIGN.match(character) else " "


_FOLDING = _Folding()


def terms(text: str) -> list[str]:
    """The units of ``text`` in order. Adjacent units stand for adjacent text."""
    if text.isascii():  # nothing to fold, no scripts to tell apart
        return list(map(_word, text.encode().translate(_ASCII).decode().split()))
    words = normal("NFC", normal("NFKD", normal("NFKD", text).casefold()).translate(_FOLDING)).split()
    units = {word: _units(word) for word in set(words)}  # most words of a long text are there often
    return list(chain.from_iterable(map(units.__getitem__, words)))


def _units(word: str) -> list[str]:
    units: list[str] = []
    for run in _RUNS.finditer(word):
        units += _characters(run.group()) if run["unspaced"] else [_word(run.group())]
    return units


def _characters(run: str) -> list[str]:
    """Each character of a run of a script without spaces, followed by it and the next one together."""
    found = _CHARACTER.findall(run)
    units = [found[0]]
    for before, character in pairwise(found):
        units += [before + character, character]
    return units


def is_character(unit: str) -> bool:
    """Return True if a unit is one character of a script without spaces, and no pair."""
    return UNSPACED.match(unit) is not None and _CHARACTER.fullmatch(unit) is not None


def _word(word: str) -> str:
    whole = word[:_LONGEST]
    return _stem(whole) if whole.isalpha() else whole


def message_terms(text: str, meta: MessageMeta) -> list[str]:
    """The units by which a row of the log is found. One with source ids is text that was recalled; it has
    none, so that the log does not feed on itself."""
    return [] if meta.sources else terms(text)


def passage_terms(title: str, text: str) -> list[str]:
    """The units by which a passage is found: those of its title, then those of its text."""
    return terms(f"{title} {text}" if title else text)
