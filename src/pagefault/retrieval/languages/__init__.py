"""The words by which messages and queries of each language are read: one TOML file a language, read at first
use.

A list is one text with a phrase a line. In a phrase ``a|b_c`` stands for ``a`` or ``b c``, ``...`` for some
words or none, ``*`` for the rest of a word, ``^`` for the beginning of a part of a sentence. Case, diacritics
and punctuation do not count. A phrase ends where a word ends, but not next to a character of a script without
spaces. To add a language, add a file.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib import resources
from typing import Any

from pagefault.quoting import normal
from pagefault.storage.terms import UNSPACED
from pagefault.text_caches import caches_texts

__all__ = ["START", "Language", "Lists", "Phrases", "languages", "plain", "spoken"]

START = ","
"""The mark of the beginning of a part of a sentence, for phrases with ``^``; plain words have no other."""

_GAP = 40  # characters that "..." stands for at most
_STROKES = {"ı": "i", "ł": "l", "ø": "o", "đ": "d"}  # letters that no normal form takes apart


class _Plain(dict[int, str]):
    """For ``str.translate``: a letter as it is, a space for what separates words, nothing for diacritics."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        category = unicodedata.category(character)
        combining = unicodedata.combining(character)
        if category == "Cf" or (category == "Mn" and (combining >= 200 or 27 <= combining <= 36)):
            self[code] = ""
        elif character.isalnum() or category in ("Mn", "Mc"):
            self[code] = _STROKES.get(character, character)
        else:
            self[code] = " "
        return self[code]


_PLAIN = _Plain()
_DATES = _Plain({ord(sign): sign for sign in "|{}"} | {ord("_"): "_"})
_LIST = _Plain({ord(sign): sign for sign in "|.*^_\n"} | {ord(sign): "_" for sign in "'’-"})  # signs stay


def plain(text: str) -> str:
    """The words of ``text`` as phrases are compared with them, between single spaces; ``" "`` for none."""
    return " ".join(["", *_folded(text, _PLAIN).split(), ""]) or " "


def _folded(text: str, table: _Plain) -> str:
    if text.isascii():
        return text.lower().translate(table)
    return normal("NFC", normal("NFKD", normal("NFKD", text).casefold()).translate(table))


class Lists(dict[str, "Phrases"]):
    """The lists of a language by name, each made when it is first used."""

    def __init__(self, texts: dict[str, str]) -> None:
        super().__init__()
        self.texts = texts

    def __missing__(self, name: str) -> Phrases:
        self[name] = Phrases.read(self.texts.get(name, ""))
        return self[name]


_Choices = tuple[bool, tuple[str, ...]]  # alternatives, longest first; True if a gap may stand before them
_Phrase = tuple[_Choices, ...]


@dataclass(frozen=True, slots=True)
class Phrases:
    """One list of phrases, to be compared with texts as made by ``plain``. ``by_word``: those that begin with
    a word; ``others``: those that may begin within one, or without spaces."""

    by_word: dict[str, list[_Phrase]]
    others: list[_Phrase]

    @classmethod
    def read(cls, text: str) -> Phrases:
        """The phrases of a list as it stands in a file."""
        by_word: dict[str, list[_Phrase]] = {}
        others: list[_Phrase] = []
        for line in _folded(text, _LIST).splitlines():
            if phrase := _phrase(line):
                (_, choices), *rest = phrase
                words = [choice for choice in choices if choice.lstrip(START).startswith(" ")]
                for word in words:
                    if word.endswith(" "):
                        by_word.setdefault(word.strip(START).split()[0], []).append(((False, (word,)), *rest))
                if within := tuple(
                    choice for choice in choices if not choice.endswith(" ") or choice not in words
                ):
                    others.append(((False, within), *rest))
        return cls(by_word, others)

    def begin(self, text: str) -> bool:
        """Return True if a text begins with a phrase."""
        return any(_end(phrase, text, 0) >= 0 for phrase in self._first(text))

    def end(self, text: str) -> bool:
        """Return True if a text ends with a phrase."""
        return self._ending(text) >= 0

    def are(self, text: str) -> bool:
        """Return True if a text is a phrase; after one that ends in a gap it may go on."""
        return any(_end(phrase, text, 0) >= len(text) - 1 for phrase in self._first(text))

    def within(self, text: str) -> bool:
        """Return True if a phrase stands anywhere in a text."""
        return any(True for phrase in self._possible(text) for _ in _found(phrase, text))

    def without(self, text: str) -> str:
        """A text with a space for each phrase in it."""
        for phrase in self._possible(text):
            for at, end in sorted(_found(phrase, text), reverse=True):
                text = f"{text[:at]} {text[end:].lstrip()}"
        return text

    def stripped(self, text: str) -> str:
        """A text without phrases at its beginning and its end."""
        while (end := max((_end(phrase, text, 0) for phrase in self._first(text)), default=0)) > 0:
            text = f" {text[end:].lstrip()}"
        while (at := self._ending(text)) >= 0:
            text = f"{text[:at].rstrip()} "
        return text

    def _first(self, text: str) -> list[_Phrase]:
        """The phrases that a text may begin with."""
        word = text.split(maxsplit=1)[:1]
        return [*self.by_word.get(word[0], ()), *self.others] if word else []

    def _possible(self, text: str) -> list[_Phrase]:
        """The phrases that may be in a text."""
        words = self.by_word.keys() & set(text.split())
        return [phrase for word in words for phrase in self.by_word[word]] + self.others

    def _ending(self, text: str) -> int:
        """Return where the phrase begins that ends a text; -1 for none."""
        for phrase in self._possible(text[-_GAP:]):
            for at, end in _found(phrase, text[-_GAP:]):
                if end >= len(text[-_GAP:]) - 1:
                    return max(0, len(text) - _GAP) + at
        return -1


def _phrase(line: str) -> tuple[_Choices, ...]:
    found: list[_Choices] = []
    start, after_gap = START if line.startswith("^") else "", False
    for words in line.strip("^ ").replace("...", " ... ").split():
        if words == "...":
            after_gap = True
            continue
        choices = sorted(map(_choice, words.split("|")), key=len, reverse=True)
        found.append((after_gap, tuple(start + choice for choice in choices)))
        start, after_gap = "", False
    return (*found, (True, ("",))) if after_gap else tuple(found)


def _choice(word: str) -> str:
    """A word with a space at each end where it has to end."""
    found = word.strip("*").replace("_", " ").strip()
    begin = "" if word.startswith("*") or UNSPACED.match(found) else " "
    end = "" if word.endswith("*") or UNSPACED.match(found[-1:]) else " "
    return begin + found + end


def _found(phrase: tuple[_Choices, ...], text: str) -> Iterator[tuple[int, int]]:
    """Where a phrase begins and ends in a text, each time it does."""
    (_, choices), *rest = phrase
    for choice in choices:
        at = text.find(choice)
        while at >= 0:
            end = _end(rest, text, at + len(choice) - choice.endswith(" "))
            if end >= 0:
                yield at, end
            at = text.find(choice, at + 1)


def _end(phrase: Sequence[_Choices], text: str, at: int) -> int:
    """Return the end of a phrase that goes on at a space or next to a character; -1 if the text does not."""
    if not phrase:
        return at
    (is_gap, choices), *rest = phrase
    for end in _ends(choices, text, at, is_gap):
        found = _end(rest, text, end)
        if found >= 0:
            return found
    return -1


def _ends(choices: tuple[str, ...], text: str, at: int, is_gap: bool) -> Iterator[int]:
    if not is_gap:
        for begin in (at, at + 1) if text.startswith(" ", at) else (at,):
            if text.startswith(choices, begin):
                choice = next(choice for choice in choices if text.startswith(choice, begin))
                yield begin + len(choice) - choice.endswith(" ")
    elif choices == ("",):
        yield len(text)
    else:
        for choice in choices:
            found = text.find(choice, at, at + _GAP + len(choice))
            while found >= 0:
                yield found + len(choice) - choice.endswith(" ")
                found = text.find(choice, found + 1, at + _GAP + len(choice))


@dataclass(frozen=True, slots=True, eq=False)
class Language:
    """One language. ``script``: its letters, as first and last ones in pairs; with a letter of ``unless`` a
    text is of another language with that script. ``stop``: words without content. ``dates``: words of
    times, if it has them; ``facts``: how facts are worded, if it has that. The lists of phrases and of facts
    are explained in the English file."""

    code: str
    name: str
    script: str
    unless: str
    stop: frozenset[str]
    phrases: Lists = field(repr=False)
    dates: dict[str, str] = field(repr=False)
    facts: dict[str, str] = field(repr=False)

    def may_be_of(self, text: str) -> bool:
        """Return True if a text has letters of this language."""
        return _has(text, self.script) and not (self.unless and _has(text, self.unless))


def _has(text: str, ranges: str) -> bool:
    return _letter(ranges).search(text) is not None


@cache
def _letter(ranges: str) -> re.Pattern[str]:
    return re.compile(f"[{''.join(map('{}-{}'.format, ranges[::2], ranges[1::2]))}]")


@cache
def languages() -> tuple[Language, ...]:
    """All languages, in order of their codes."""
    files = [file for file in resources.files(__name__).iterdir() if file.name.endswith(".toml")]
    made = [_language(file.name[:-5], tomllib.loads(file.read_text("utf-8"))) for file in files]
    return tuple(sorted(made, key=lambda language: language.code))


def _language(code: str, data: dict[str, Any]) -> Language:
    stop = frozenset(plain(data["stop"]).split())
    dates = {name: _folded(text, _DATES) for name, text in data.get("dates", {}).items()}
    lists = Lists(data["phrases"])
    script, unless = data["script"], data.get("unless", "")
    return Language(code, data["name"], script, unless, stop, lists, dates, data.get("facts", {}))


@cache
def _known(language: Language) -> frozenset[str]:
    """The words of a language's file, to tell it from others by."""
    texts = [*language.phrases.texts.values(), *language.dates.values()]
    return language.stop.union(plain(" ".join(texts).replace("_", " ")).split())


@lru_cache(maxsize=16)  # a query is read for several things
def spoken(text: str, context: str = "") -> tuple[Language, ...]:
    """The languages of a text, as made by ``plain``, for each script in it. Of those that share a script they
    are the ones that know most of its words, stop words twice; of equals those that know most of
    ``context``."""
    found: dict[str, list[Language]] = {}
    for language in languages():
        if language.may_be_of(text):
            found.setdefault(language.script, []).append(language)
    return tuple(language for some in found.values() for language in _likely(some, text, context))


caches_texts(spoken)


def _likely(some: list[Language], text: str, context: str) -> list[Language]:
    for words in (set(text.split()), set(context.split())):
        if len(some) > 1:
            known = [len(words & language.stop) + len(words & _known(language)) for language in some]
            some = [language for language, count in zip(some, known, strict=True) if count == max(known)]
    return some
