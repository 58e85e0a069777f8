"""Reading a message: if it asks for something that memory may hold, and for which kind of answer.

By stated rules over the lists of phrases of each language (``languages``), sentence by sentence. A sentence
asks if it ends in a question mark or begins as a question or request does; one that may as well begin a
subordinate clause ("when the bell rings ...") only if nothing follows. It does not if all that is asked is a
phrase of contact ("How are you?", "You know what?", "isn't it?"), and an exclamation ("What a day!") is no
question. A question about the life of the person addressed asks: nobody can tell without looking that memory
does not hold the answer. Left out: irony, indirect questions ("It would help to have the date"), sentences to
be completed ("the capital of Chad is").
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from pagefault.retrieval.languages import START, Language, plain, spoken
from pagefault.storage.terms import UNSPACED

__all__ = ["Asking", "Kind", "read", "states", "topic"]

Kind = Literal["fact", "order", "list", "summary", "advice"]
"""The kind of answer that is asked for; ``fact`` is the rest."""

_KINDS: tuple[Kind, ...] = ("order", "summary", "list", "advice")  # of several, the first
_LONGEST = 2_000  # characters that are read at the beginning of a message, and as many at its end
_MOST = 100  # sentences that are read there, as many at most: a sentence takes some tenths of a millisecond
_END = re.compile(r"((?:[.!?…]+(?!\w)|[。！？؟⁇⁈⁉❓❔‽\n])[\s.!?…。！？؟⁇⁈⁉❓❔‽]*)")
_ASKING = re.compile("[?？؟⁇⁈⁉❓❔‽]")
_EXCLAIMING = re.compile("[!！]")
_CLAUSE = re.compile(r"[,;:，、；：،؛()—–]| - ")


@dataclass(frozen=True, slots=True)
class Asking:
    """``asks``: the text asks for something that memory may hold. ``kind``: the kind of answer it wants, read
    from all of the text if nothing in it asks, for a query may be a few words."""

    asks: bool
    kind: Kind = "fact"


def read(text: str) -> Asking:
    """Read a message or a query; of a long one its beginning and its end."""
    if len(text) > 2 * _LONGEST:
        text = f"{text[:_LONGEST]}\n{text[-_LONGEST:]}"
    context, sentences = plain(text), _sentences(text)
    sentences[_MOST:-_MOST] = []
    read = [_sentence(clauses, mark, context) for clauses, mark in sentences]
    wanted = [words for asks, words in read if asks] or [words for _, words in read]
    asks = any(asks for asks, _ in read)
    for kind in _KINDS:
        if any(language.phrases[kind].within(words) for some in wanted for language, words in some):
            return Asking(asks, kind)
    return Asking(asks)


def states(text: str, phrases: str) -> bool:
    """Return True if a sentence of a text states what that list of phrases does."""
    words = "".join(START + plain(sentence) for sentence in _END.split(text)[::2])
    return any(language.phrases[phrases].within(words) for language in spoken(words.replace(START, "")))


def topic(text: str) -> str:
    """The words of a question that say what it is about: without stop words, and without those by which it
    asks for an order ("list the order in which I brought up different aspects of ...")."""
    words = plain(text)
    for language in spoken(words):
        words = language.phrases["frame"].without(words)
        words = " ".join(word for word in words.split() if word not in language.stop)
    return words


def _sentences(text: str) -> list[tuple[list[str], str]]:
    """Each sentence as its clauses in plain words, and the punctuation behind it."""
    found: list[tuple[list[str], str]] = []
    parts = [*_END.split(text), ""]  # a sentence, then what ends it, and so on
    for part, mark in zip(parts[::2], parts[1::2], strict=True):
        clauses = [words for clause in _CLAUSE.split(part) if (words := plain(clause)).strip()]
        if clauses:
            found.append((clauses, mark))
    return found


def _sentence(clauses: list[str], mark: str, context: str) -> tuple[bool, list[tuple[Language, str]]]:
    """Return True if a sentence asks, and its words in each of its languages."""
    cores = {language: _cores(language, clauses) for language in spoken("".join(clauses), context)}
    asked = {language: _asked(language, some) for language, some in cores.items()}
    is_marked = bool(_ASKING.search(mark)) and asked == cores
    is_exclaimed = bool(_EXCLAIMING.search(mark))
    asks = all(asked.values()) and any(
        is_marked or _asks_in_words(language, some, is_exclaimed) for language, some in asked.items()
    )
    words = [
        (one, one.phrases["fact"].without("".join(START + core for core in cores[one]))) for one in cores
    ]
    return asks, words


def _cores(language: Language, clauses: list[str]) -> list[str]:
    """The parts of a sentence without what may stand before or after them, and without a name at its end."""
    contact, filler = language.phrases["contact"], language.phrases["filler"]
    cores = [clause if contact.are(clause) else filler.stripped(clause) for clause in clauses]
    cores = [core for core in cores if core.strip()]
    while len(cores) > 1 and _is_name(cores[-1]) and not contact.are(cores[-1]):
        cores.pop()
    return cores


def _asked(language: Language, cores: list[str]) -> list[str]:
    """The parts of a sentence without phrases of contact at its end."""
    count = len(cores)
    while count and language.phrases["contact"].are(cores[count - 1]):
        count -= 1
    return cores[:count]


def _asks_in_words(language: Language, cores: list[str], is_exclaimed: bool) -> bool:
    phrases = language.phrases
    openings = () if is_exclaimed else ("question", "alone") if len(cores) == 1 else ("question",)
    cores = [core for core in map(phrases["mask"].without, cores) if not phrases["idle"].begin(core)]
    if any(phrases["request"].begin(core) for core in cores):
        return True
    if not cores:
        return False
    opening = cores[1] if len(cores) > 1 and _is_name(cores[0]) else cores[0]
    return (
        any(phrases[name].begin(opening) for name in openings)
        or phrases["particle"].end(cores[-1])
        or phrases["asking"].within("".join(cores))
    )


def _is_name(clause: str) -> bool:
    """Return True if a clause may be the name of the person addressed: one word, or four characters."""
    return len(clause.split()) == 1 and (len(clause) <= 6 or not UNSPACED.search(clause))
