"""Facts read as statements: who, what of them, and its value; and whether one contradicts another.

Read are whole texts of one sentence, by the patterns of each language (``fact_patterns``), of what there is
one of at a time: where somebody lives, a number, a password, an age. Of any other sentence is known only
whether it is denied. A text with a word of doubt, of the past, of a plan, of hearsay, a question, a quotation
or a second value is no statement. So whatever is found is seldom wrong, and much is not found.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache

from pagefault.quoting import normal
from pagefault.retrieval.fact_patterns import FactPatterns, fact_patterns
from pagefault.retrieval.wording import facts_list, key_of, words_of
from pagefault.storage.terms import UNSPACED, terms
from pagefault.text_caches import caches_texts

__all__ = ["Statement", "contradict", "read_statement"]

_LONGEST, _MOST_WORDS = 160, 14  # characters and words of a statement
# A question, a quotation, several lines or sentences, a list, markup, somebody's words after a colon.
_NO_STATEMENT = re.compile(
    r"[?\uff1f\n\t\"\u201c\u201d\u300c\u300d\u300e\u300f\u00ab\u00bb;\uff1b|<>{}()\uff08\uff09*\u3001]"
    r"|[^\W\d_]{3}[.!] |[\u3002\uff01]\s*\S|[:\uff1a](?!\d)"
)
_END = " .!\u3002\uff01\u2026"
_CLAIM = "claim"
_FIRST_PERSON = ("i", "we")
_BETWEEN_FIGURES = re.compile(r"[\s().\-]")


@dataclass(frozen=True, slots=True)
class Statement:
    """``subject`` and ``attribute`` name what it is about, of which there is one ``value`` at a time, unless
    it is ``denied``. ``attribute`` is ``claim`` where only that is known of a sentence. ``happened``: it says
    what happened, not what is. ``is_own``: it is about whoever said it."""

    subject: str
    attribute: str
    value: str
    denied: bool = False
    happened: bool = False
    is_own: bool = False

    @property
    def key(self) -> int:
        """The key of what it is about."""
        return key_of("about", self.subject, self.attribute)

    def is_same(self, other: Statement) -> bool:
        """Return whether it says the same as another one, be it in other words."""
        if self.happened or other.happened or self.attribute == _CLAIM:
            return False
        return self.key == other.key and (self.value, self.denied) == (other.value, other.denied)


def contradict(first: Statement, second: Statement) -> bool:
    """Return whether of two statements one holds at a time."""
    if (first.subject, first.attribute) != (second.subject, second.attribute):
        return False
    if first.denied or second.denied:
        return first.value == second.value and first.denied != second.denied
    return _are_apart(first, second)


def _are_apart(first: Statement, second: Statement) -> bool:
    """Return whether neither of two values may be a part of the other, or the other in more words."""
    one, other = (set(_parts(each.value)) for each in (first, second))
    if one <= other or other <= one:
        return False
    return first.attribute != "home" or _width(first.value) == _width(second.value)


def _parts(value: str) -> list[str]:
    return list(value) if UNSPACED.match(value) else value.split()


@cache
def _widths() -> dict[str, int]:
    lines = facts_list("wider")
    return {place.replace("_", " "): width for width, line in enumerate(lines) for place in line.split("|")}


def _width(place: str) -> int:
    """The kind of a place: continents, countries ...; -1 for those that are in no list."""
    return _widths().get(place, -1)


@lru_cache(maxsize=256)
def read_statement(text: str) -> Statement | None:
    """The statement that a text is; None if it is none that can be read."""
    if len(text) > _LONGEST:
        return None
    plain = normal("NFKC", text.strip()).replace("\u2019", "'").strip(_END)
    if not plain or _NO_STATEMENT.search(plain):
        return None
    patterns = fact_patterns(plain)
    return _read(patterns, patterns.bare(plain)) if patterns else None


caches_texts(read_statement)


def _read(patterns: FactPatterns, text: str) -> Statement | None:
    denied = patterns.negation.findall(text)
    if len(denied) > 1:
        return None
    said = patterns.affirmed(text) if denied else text
    if (found := patterns.fact(said)) is None:
        return _claimed(patterns, said, bool(denied))
    subject = _who(found.subject)
    if patterns.unsure.search(f"{found.subject} . {found.value}") or not subject:
        return None
    is_own = subject.split()[0] in _FIRST_PERSON
    return Statement(subject, found.attribute, _plain(found.value), bool(denied), found.happened, is_own)


def _claimed(patterns: FactPatterns, said: str, denied: bool) -> Statement | None:
    """Any sentence, of which is known only that it is said or denied."""
    if patterns.unsure.search(said) or re.search("[,\uff0c]", said):
        return None
    words = words_of(said)
    units = ["have" if unit == "has" else unit for unit in terms(" ".join(words))]
    if not 2 <= len(units) <= _MOST_WORDS * (1 if patterns.is_spaced else 3):
        return None
    is_own = words[0] in (*_FIRST_PERSON, "my", "our", "\u6211")
    return Statement(" ".join(units), _CLAIM, "", denied, is_own=is_own)


def _who(subject: str) -> str:
    """A subject as it is compared; one's own things begin with ``i`` or ``we``."""
    first, *others = [word.removesuffix("'s") for word in words_of(subject)] or [""]
    first = {"my": "i", "our": "we", "\u6211": "i"}.get(first, first)
    return " ".join([first, *others])


def _plain(value: str) -> str:
    """A value as it is compared: of a number without what separates its parts, of a code as it is."""
    if re.fullmatch(r"[\d\s().+\-]+", value):
        return _BETWEEN_FIGURES.sub("", value)
    if "@" in value:
        return value.lower()
    if re.search(r"\d", value) and not re.search(r"\s", value):
        return value
    words = words_of(value)
    return "".join(words) if UNSPACED.match(value) else " ".join(words)
