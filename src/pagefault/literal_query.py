"""The match of a query, literally after normalising: what is only similar never matches.

A text and the query are compared without case, differences of Unicode form and of white space; what JSON
escapes, in the arguments of calls and in what they returned, is compared unescaped as well. Left out: where
texts stand (``planning``).
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pagefault.errors import UsageError
from pagefault.quoting import normal, whole

__all__ = ["SHORTEST", "LiteralQuery", "folded"]

SHORTEST = 3
"""Characters that a query has at least: one that is shorter stands in almost every text. One of Chinese,
Japanese or Korean counts as two, for many names have two of them."""

REDACTED = "█"
"""The character that stands in a document's page for each one that was forgotten."""

_NESTED = 3  # levels of JSON within JSON that are unescaped
_ESCAPE = re.compile(r'\\(?:u([0-9a-fA-F]{4})|(["\\/bfnrt]))')
_PLAIN = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def folded(text: str) -> str:
    """The text without case and differences of Unicode form, runs of white space as one space."""
    plain = text.casefold() if text.isascii() else normal("NFKC", normal("NFKC", text).casefold())
    return " ".join(plain.split())


@dataclass(frozen=True, slots=True)
class LiteralQuery:
    """A query for texts that contain it. ``UsageError`` if it is too short to be meant."""

    text: str
    _wanted: str = field(init=False)

    def __post_init__(self) -> None:
        wanted = folded(whole(self.text))
        if _width(wanted) < SHORTEST:
            raise UsageError(
                f"{self.text!r} is too short to forget by: it stands in too much; give {SHORTEST} letters or "
                "more (two of Chinese, Japanese or Korean), or name the ids."
            )
        object.__setattr__(self, "_wanted", wanted)

    def is_in(self, *texts: str | None) -> bool:
        """Return whether one of the texts contains the query."""
        return any(self._is_in(text) for text in texts if text)

    def _is_in(self, text: str) -> bool:
        return any(self._wanted in folded(form) for form in _forms(text))

    def spans(self, text: str) -> list[tuple[int, int]]:
        """The least runs of lines of a text that have the query, each as the numbers of its first line, from
        0, and of the one behind its last."""
        lines, found, start = text.split("\n"), list[tuple[int, int]](), 0
        while stop := self._end(lines, start):
            firsts = range(start, stop)
            # With more lines it stays found, so the last beginning, as the first end, is found by halves.
            past = bisect_left(firsts, True, key=lambda first: not self._is_in("\n".join(lines[first:stop])))
            found.append((firsts[past - 1], stop))
            start = stop
        return found

    def _end(self, lines: Sequence[str], start: int) -> int:
        """The number behind the line up to which the query stands first, from a line on; 0 if it does not. Of
        twice as many lines each time: a text in which it often stands is not read for each."""
        low, stop = start, min(start + 1, len(lines))
        while not self._is_in("\n".join(lines[start:stop])):
            if stop == len(lines):
                return 0
            low, stop = stop, min(start + 2 * (stop - start), len(lines))
        ends = range(low + 1, stop + 1)
        return ends[bisect_left(ends, True, key=lambda end: self._is_in("\n".join(lines[start:end])))]

    def without(self, text: str) -> str:
        """The text without the lines that have the query."""
        lines = text.split("\n")
        for first, stop in reversed(self.spans(text)):
            del lines[first:stop]
        return "\n".join(lines)

    def redacted(self, text: str) -> str:
        """The text with each character of the lines that have the query blacked out, so that places in it
        stay the same."""
        return blacked_out(text, self.spans(text))


def blacked_out(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """The text with these runs of lines blacked out."""
    lines = text.split("\n")
    for first, stop in spans:
        for number in range(first, stop):
            lines[number] = REDACTED * len(lines[number])
    return "\n".join(lines)


def _width(text: str) -> int:
    """The number of characters, letters that are as wide as two counted twice."""
    return sum(2 if unicodedata.east_asian_width(each) == "W" and each.isalpha() else 1 for each in text)


def _forms(text: str) -> Iterable[str]:
    """The text, and as JSON unescapes it, as often as that changes anything."""
    yield text
    for _ in range(_NESTED):
        if "\\" not in text or (plain := whole(_ESCAPE.sub(_unescaped, text))) == text:
            return
        text = plain
        yield text


def _unescaped(found: re.Match[str]) -> str:
    code, sign = found.groups()
    return chr(int(code, 16)) if code else _PLAIN.get(sign, sign)
