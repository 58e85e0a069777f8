"""The bytes of JSON files, with what a parser would end at replaced, so that one text costs no others.

Halves of a pair (``\\ud83d`` alone, as JavaScript cuts an emoji) and bytes that are no UTF-8 become U+FFFD,
raw control characters a space. Left out: what is no JSON otherwise.
"""

from __future__ import annotations

import re
from codecs import getincrementaldecoder
from typing import BinaryIO

__all__ = ["CleanBytes"]

_CHUNK = 1 << 16  # bytes
_LONGEST = 12  # characters of an escaped pair
_SPACED = bytes(32 if each < 32 and each not in b"\t\n\r" else each for each in range(256))
_HALVES = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}(?P<low>\\u[dD][c-fC-F][0-9a-fA-F]{2})?|\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)
_REPLACED = "\\ufffd"
_UNFINISHED = re.compile(
    r"(?<!\\)(?:\\\\)*(?P<rest>\\(?:u[0-9a-fA-F]{0,3}|u[dD][89abAB][0-9a-fA-F]{2}(?:\\(?:u[0-9a-fA-F]{0,3})?)?)?)\Z"
)


class CleanBytes:
    """Reads a file of JSON in UTF-8, without its byte order mark."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._decoder = getincrementaldecoder("utf-8-sig")("replace")
        self._rest = ""
        self._ended = False

    def read(self, size: int = _CHUNK) -> bytes:
        """The next bytes, about so many; empty at the end."""
        while size and not self._ended:
            data = self._file.read(size)
            self._ended = not data
            text = self._rest + self._decoder.decode(data.translate(_SPACED), self._ended)
            self._rest = "" if self._ended else _unfinished(text)
            if clean := _HALVES.sub(_in_pairs, text[: len(text) - len(self._rest)]):
                return clean.encode()
        return b""


def _in_pairs(found: re.Match[str]) -> str:
    start, low = found.start(), found["low"] or ""
    before = start
    while before and found.string[before - 1] == "\\":
        before -= 1
    if (start - before) % 2:  # a backslash that is one itself; what follows it is no escape
        return found[0].removesuffix(low) + (_REPLACED if low else "")
    return found[0] if low else _REPLACED


def _unfinished(text: str) -> str:
    """The escape at the end of a text of which more may come."""
    start = max(0, len(text) - _LONGEST)
    if "\\" not in text[start:]:
        return ""
    start -= len(text[:start]) - len(text[:start].rstrip("\\"))
    found = _UNFINISHED.search(text[start:])
    return found["rest"] if found else ""
