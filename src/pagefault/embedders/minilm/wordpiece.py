"""WordPiece as BERT's uncased models read text (Devlin et al., arXiv 1810.04805): from a text to its ids.

Equal to the library ``tokenizers`` with the model's own ``tokenizer.json``, to which the tests hold it.
``characters.txt`` has the code points that this library drops and those it takes for punctuation: its
tables are of an older Unicode than Python's, which differ from version to version, and a vector must not.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from unicodedata import normalize

__all__ = ["WordPiece"]

_MOST = 256  # ids of a text, with the two that mark its start and end
_LONGEST = 100  # characters of a word; a longer one is unknown
_REMEMBERED = 30_000  # characters: some megabytes, and more than any text but a hostile one has
_SPECIAL = re.compile(r"(\[(?:PAD|UNK|CLS|SEP|MASK)\])")  # tokens that a text may spell out
_HAN = [
    (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F), (0x2B920, 0x2CEAF), (0x2F800, 0x2FA1F),
]  # fmt: skip
"""Characters that are words of their own; the seventh range starts where the library lets it start."""


class WordPiece:
    """The vocabulary of ``vocab.txt`` in ``folder``, a token a line, and the ``characters.txt`` beside it."""

    def __init__(self, folder: Path) -> None:
        tokens = (folder / "vocab.txt").read_text("utf-8").split("\n")
        self._first = {token: number for number, token in enumerate(tokens)}
        self._inner = {token[2:]: number for token, number in self._first.items() if token[:2] == "##"}
        self._widest = max(map(len, tokens))
        self._characters = _Characters((folder / "characters.txt").read_text("ascii"))
        self._start, self._end, self._unknown = (self._first[f"[{name}]"] for name in ("CLS", "SEP", "UNK"))

    def ids(self, text: str) -> list[int]:
        """Return the ids of a text, cut after the 256th; the last one marks the end in any case."""
        ids = [self._start]
        for number, part in enumerate(_SPECIAL.split(text)):
            words = [part] if number % 2 else part.translate(self._characters).split()
            for word in words:
                ids += [self._first[word]] if number % 2 else self._pieces(word)
                if len(ids) >= _MOST:
                    return [*ids[: _MOST - 1], self._end]
        return [*ids, self._end]

    def _pieces(self, word: str) -> Sequence[int]:
        """The longest piece that the word starts with, then that of the rest, and so on."""
        pieces: list[int] = []
        known, start = self._first, 0
        while start < len(word) <= _LONGEST:
            stops = range(min(len(word), start + self._widest), start, -1)
            stop = next((stop for stop in stops if word[start:stop] in known), 0)
            if not stop:
                return [self._unknown]
            pieces.append(known[word[start:stop]])
            known, start = self._inner, stop
        return pieces or [self._unknown]


class _Characters(dict[int, str]):
    """Code point -> its replacement, for ``str.translate``: no accents, lower case, spaces around a character
    that is a word of its own. Filled as characters are met, up to a bound."""

    def __init__(self, table: str) -> None:
        self._dropped, self._apart = (_Ranges(line) for line in table.splitlines())

    def __missing__(self, code: int) -> str:
        found = "".join(map(self._read, normalize("NFD", chr(code))))
        if any(first <= code <= last for first, last in _HAN):
            found = f" {found} "
        if len(self) < _REMEMBERED:
            self[code] = found
        return found

    def _read(self, character: str) -> str:
        if ord(character) in self._dropped:
            return ""
        return f" {character} " if ord(character) in self._apart else character.lower()


class _Ranges:
    """Code points, given as hexadecimal ranges ``FIRST-LAST`` with spaces between."""

    def __init__(self, ranges: str) -> None:
        bounds = [each.partition("-") for each in ranges.split()]
        self._firsts = [int(first, 16) for first, _, _ in bounds]
        self._lasts = [int(last, 16) for _, _, last in bounds]

    def __contains__(self, code: int) -> bool:
        place = bisect_right(self._firsts, code) - 1
        return place >= 0 and code <= self._lasts[place]
