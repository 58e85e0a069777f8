"""Traces of words in texts and files: the forms in which one that was deleted could still be there.

A word is looked for in any case and Unicode form, also escaped as in JSON. Left out: what is compressed, as
the terms of an index are whose first letters stand in their neighbour; of these the stores look themselves.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

from pagefault.errors import StorageError, UsageError
from pagefault.quoting import normal
from pagefault.storage.terms import terms

__all__ = [
    "ByteCounter", "by_place", "checked_words", "count_in", "folded", "folded_forms", "folded_row", "forms",
    "needles", "row_sentences", "sole_unit",
]  # fmt: skip

_Form = Literal["NFC", "NFD", "NFKC", "NFKD"]
_FORMS: tuple[_Form, ...] = get_args(_Form)
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_SHORTEST = 4  # bytes: fewer stand somewhere in any file of vectors
_CHUNK = 2**22  # bytes


class ByteCounter:
    """The places where a pattern stands in bytes that come in chunks."""

    def __init__(self, wanted: Sequence[bytes]) -> None:
        self._pattern = re.compile(b"|".join(map(re.escape, wanted)))
        self._overlap = max(map(len, wanted)) - 1
        self._before = b""
        self.count = 0

    def add(self, chunk: bytes) -> None:
        text = self._before + chunk.lower()
        # What begins in the part that was seen is not counted again.
        self.count += len(self._pattern.findall(text)) - len(self._pattern.findall(self._before))
        self._before = text[-self._overlap :]


def checked_words(words: Iterable[str]) -> list[str]:
    """The words, each once; ``UsageError`` if there is none, or one is so short that chance finds it."""
    found = [word for word in dict.fromkeys(word.strip() for word in words) if word]
    if not found:
        raise UsageError("There is no word to look for; give one, or one a line on standard input with -.")
    if short := [word for word in found if len(word.encode("utf-8", "replace")) < _SHORTEST]:
        raise UsageError(f"{short[0]!r} is too short to look for: any file holds it; give a longer text.")
    return found


def folded(text: str) -> str:
    """The text without case and differences of Unicode form, to look for folded words in."""
    return text.lower() if text.isascii() else normal("NFKC", text).casefold()


def folded_row(texts: Iterable[str | None]) -> str:
    """The texts of a row, to look for folded words in; what JSON escapes, also unescaped."""
    whole = "\n".join(text for text in texts if text)
    if "\\u" in whole:
        plain = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), whole)
        whole += plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return folded(whole)


def folded_forms(word: str) -> set[str]:
    """The forms of a word to look for in folded rows: as it is, and as JSON escapes it."""
    return {folded(word), folded(json.dumps(word, ensure_ascii=False)[1:-1])}


def forms(word: str) -> set[str]:
    """The spellings of a word that are looked for, as they are and as JSON escapes them."""
    composed = {unicodedata.normalize(form, word) for form in _FORMS}
    cased = {s for n in composed for s in (n, n.lower(), n.upper(), n.title(), n.casefold())}
    return cased | {json.dumps(spelling)[1:-1] for spelling in cased}


def sole_unit(word: str) -> str | None:
    """The lexical unit of a word that has one alone; of several, each is of other texts, too."""
    units = terms(word)
    return units[0] if len(units) == 1 else None


def needles(word: str) -> list[bytes]:
    """The forms of a word in bytes of which ASCII is in small letters."""
    return sorted({spelling.encode("utf-8", "surrogatepass").lower() for spelling in forms(word)})


def count_in(file: Path, word: str) -> int:
    """The number of places in a file where a form of the word stands; 0 if there is no file."""
    counter = ByteCounter(needles(word))
    try:
        with file.open("rb") as source:
            while chunk := source.read(_CHUNK):
                counter.add(chunk)
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise StorageError(f"{file} cannot be read ({error.strerror}); make it readable.") from error
    return counter.count


def by_place(
    found: Iterable[tuple[str, str, int | None]], names: Mapping[int, object]
) -> dict[tuple[str, str], tuple[int, set[str]]]:
    """By word and table: how many rows have it, and of which agents; given word, table and agent of each."""
    places = defaultdict[tuple[str, str], tuple[int, set[str]]](lambda: (0, set()))
    for word, table, agent in found:
        count, agents = places[word, table]
        owner = set[str]() if agent is None else {str(names.get(agent, agent))}
        places[word, table] = count + 1, agents | owner
    return dict(places)


def row_sentences(rows: Mapping[tuple[str, str], tuple[int, set[str]]]) -> Iterator[str]:
    """A sentence for each word and table of which rows have it; given how many do, and of which agents."""
    for (word, table), (count, agents) in sorted(rows.items()):
        of = f" ({', '.join(sorted(agents))})" if agents else ""
        yield f"{count:,} rows of {table}{of} hold {word!r}; they are not deleted."
