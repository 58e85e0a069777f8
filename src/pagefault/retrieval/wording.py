"""The words of a fact, by which two of them are the same: whatever differs in sense has to differ here.

Case counts but for a capital at the beginning of a word, so that codes, passwords and abbreviations stay
apart; so do numbers, units, signs, negations and the order. Articles, contractions, spellings and the
punctuation of sentences do not. Two facts whose words are in another order, the end of one being the
beginning of the other ("In summer Ana swims", "Ana swims in summer"), are alike, but no proof: vectors have
to say so too. Leaves out what a fact says (``statements``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from hashlib import sha256

from pagefault.quoting import normal
from pagefault.retrieval.languages import languages
from pagefault.storage.terms import UNSPACED
from pagefault.text_caches import caches_texts

__all__ = ["are_turned", "facts_list", "is_dated", "key_of", "key_of_words", "words_of"]

_LONGEST = 2_000  # characters; a longer text is the same only word for word
_LETTER = rf"(?:(?!{UNSPACED.pattern})[^\W\d_])"  # of a script with spaces
_WORD = re.compile(rf"\d+(?:[.,:/-]\d+)*|{_LETTER}+(?:['-]{_LETTER}+)*|\S")  # a number, a word, or a sign
_QUOTES = str.maketrans("\u2018\u2019\u02bc`\u201c\u201d\u00ab\u00bb", "''''\"\"\"\"")
_BETWEEN = frozenset('.,;:!"()[]*_\u3002\uff0c\u3001\uff1b\uff1a\uff01\u2026')  # of sentences, not of values


def words_of(text: str) -> tuple[str, ...]:
    """The words of a fact, in order."""
    return tuple(text.split()) if len(text) > _LONGEST else _words(text)


@lru_cache(maxsize=256)
def _words(text: str) -> tuple[str, ...]:
    read_as, idle, unless = _written()
    found = [word for each in _split(text) for word in read_as.get(each, (each,))]
    following = dict(enumerate(found[1:]))
    return tuple(w for place, w in enumerate(found) if w not in idle or following.get(place) in unless)


caches_texts(_words)


def _split(text: str) -> Iterator[str]:
    """The words as they are written, with their case if that says something."""
    whole = normal("NFKC", text).translate(_QUOTES)
    for match in _WORD.finditer(whole):
        word, before, after = match.group(), whole[: match.start()][-1:], whole[match.end() :][:1]
        if UNSPACED.match(word):
            yield from word
        elif word in _BETWEEN:
            if _is_within(before, after):
                yield word
        else:
            is_plain = word[1:].islower() or len(word) == 1
            yield word.lower() if is_plain and (before.isdigit() or not _is_part(before, after)) else word


def _is_within(before: str, after: str) -> bool:
    """Return whether a sign stands within something longer, and not between words or behind a sentence."""
    is_last = not after or after.isspace() or after in _BETWEEN or UNSPACED.match(after)
    return not is_last and bool(before) and not before.isspace()


def _is_part(before: str, after: str) -> bool:
    """Return whether a word is a part of a code or an address."""
    return before.isdigit() or after.isdigit() or before in tuple("@/_#=&") or after in tuple("@/_#=&")


@cache
def _written() -> tuple[dict[str, tuple[str, ...]], frozenset[str], frozenset[str]]:
    """The words that are read as others, those that change nothing, and those before which these do."""
    read_as = dict[str, tuple[str, ...]]()
    for line in facts_list("read_as"):
        word, _, others = line.partition(": ")
        read_as[word] = tuple(others.split())
    idle, unless = (
        frozenset(word for line in facts_list(name) for word in line.split()) for name in ("idle", "unless")
    )
    return read_as, idle, unless


def facts_list(name: str) -> list[str]:
    """The lines of a list on facts, of all languages."""
    texts = (language.facts.get(name, "") for language in languages())
    return [line for text in texts for line in text.strip().splitlines()]


def is_dated(text: str) -> bool:
    """Return whether a fact says of itself when it is: "today", "last week"."""
    return _dated().search(text) is not None


@cache
def _dated() -> re.Pattern[str]:
    words = [word.replace("_", " ") for line in facts_list("dated") for word in line.split("|")]
    spaced = [re.escape(word) for word in words if not UNSPACED.match(word)]
    unspaced = [re.escape(word) for word in words if UNSPACED.match(word)]
    return re.compile(rf"\b(?:{'|'.join(spaced)})\b|{'|'.join(unspaced)}", re.IGNORECASE)


def are_turned(first: tuple[str, ...], second: tuple[str, ...]) -> bool:
    """Return whether the one is the other with its end before its beginning, be it around an "is"."""
    if len(first) != len(second) or first == second:
        return False
    for copula in facts_list("copula"):
        if first.count(copula) == second.count(copula) == 1:
            first, second = (tuple(word for word in words if word != copula) for words in (first, second))
            return _is_turned(first, second)
    return _is_turned(first, second)


def _is_turned(first: tuple[str, ...], second: tuple[str, ...]) -> bool:
    return any(first[place:] + first[:place] == second for place in range(1, len(first)))


def key_of_words(words: Iterable[str]) -> int:
    """The key of words in any order."""
    return key_of("words", *sorted(words))


def key_of(*parts: str) -> int:
    """A positive number of 63 bits for some texts: for others it is another one, most likely."""
    return int.from_bytes(sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()[:8]) >> 1
