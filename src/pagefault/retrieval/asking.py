"""Reading a message: if it asks for something that memory may hold, and for which kind of answer.

By stated rules over the lists of phrases of each language (``languages``), sentence by sentence. A sentence
asks if it ends in a question mark or begins as a question or request does. It does not if all that is asked
is a phrase of contact ("How are you?", "You know what?", "isn't it?"), and an exclamation ("What a day!") is
no question. A question about the life of the person addressed asks: nobody can tell without looking that
memory does not hold the answer. Left out: irony, indirect questions ("It would help to have the date").
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
    context = plain(text)
    read = [
        (language, _cores(language, clauses), mark)
        for clauses, mark in _sentences(text)
        for language in spoken("".join(clauses), context)
    ]
    asking = [sentence for sentence in read if _asks(*sentence)]
    wanted = [
        (language, language.phrases["fact"].without("".join(START + core for core in cores)))
        for language, cores, _ in asking or read
    ]
    for kind in _KINDS:
        if any(language.phrases[kind].within(words) for language, words in wanted):
            return Asking(bool(asking), kind)
    return Asking(bool(asking))


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


def _cores(language: Language, clauses: list[str]) -> list[str]:
    """The parts of a sentence without what may stand before or after them."""
    contact, filler = language.phrases["contact"], language.phrases["filler"]
    cores = [clause if contact.are(clause) else filler.stripped(clause) for clause in clauses]
    return [core for core in cores if core.strip()]


def _asks(language: Language, cores: list[str], mark: str) -> bool:
    """Return True if a sentence asks for something: by its mark or by its words."""
    contact = language.phrases["contact"]
    is_marked = _ASKING.search(mark) is not None
    while cores and (contact.are(cores[-1]) or (len(cores) > 1 and _is_name(cores[-1]))):
        is_marked = is_marked and not contact.are(cores[-1])
        cores = cores[:-1]
    return bool(cores) and (
        is_marked or _asks_in_words(language, cores, _EXCLAIMING.search(mark) is not None)
    )


def _asks_in_words(language: Language, cores: list[str], is_exclaimed: bool) -> bool:
    phrases = language.phrases
    cores = [core for core in map(phrases["mask"].without, cores) if not phrases["idle"].begin(core)]
    if any(phrases["request"].begin(core) for core in cores):
        return True
    if not cores or is_exclaimed:
        return False
    opening = cores[1] if len(cores) > 1 and _is_name(cores[0]) else cores[0]
    return (
        phrases["question"].begin(opening)
        or phrases["particle"].end(cores[-1])
        or phrases["asking"].within("".join(cores))
    )


def _is_name(clause: str) -> bool:
    """Return True if a clause may be the name of the person addressed: one word, or four characters."""
    return len(clause.split()) == 1 and (len(clause) <= 6 or not UNSPACED.search(clause))
