"""The text that an old workbook (XLS) shows beside its cells: comments, text boxes, controls, headers.

Read from the records of the file (BIFF8, Microsoft's [MS-XLS]); of Excel 5 and 95 without text boxes and
controls. Left out: the cells (``sheets``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from io import BytesIO
from typing import Any, NamedTuple

from pagefault.ingest.formats.margins import margin_of_codes
from pagefault.ingest.formats.rows import letters
from pagefault.ingest.formats.rtf_tokens import CODECS

__all__ = ["OldNotes", "old_sheet_notes"]

_BOF, _EOF, _BOUNDSHEET, _CODEPAGE = 0x809, 0x0A, 0x85, 0x42
_TITLE, _BEGIN, _CONTINUE = 0x1025, 0x1033, 0x3C
_BIFF8 = 0x600
_COMMENT, _PLAIN = 0x19, frozenset((0x06, 0x07, 0x0B, 0x0C, 0x0E, 0x13))  # kinds of objects; those with words
_STATE, _STATED = 0x12, (0x0B, 0x0C)  # of check boxes and choices


@dataclass(frozen=True, slots=True)
class OldNotes:
    """Lines of text by the name of their sheet; ``left_out``: there are text boxes that are not read."""

    lines: Mapping[str, list[str]]
    left_out: bool = False


class _Comment(NamedTuple):
    place: str
    number: int
    author: str
    text: str = ""


def old_sheet_notes(data: bytes) -> OldNotes:
    """Return the notes of all sheets of a workbook."""
    olefile: Any = import_module("olefile")
    with olefile.OleFileIO(BytesIO(data)) as held:
        name = next((each for each in ("Workbook", "Book") if held.exists(each)), "")
        stream: bytes = held.openstream(name).read() if name else b""
    is_new, codec = _number(stream, 4) == _BIFF8, "cp1252"
    lines, left_out, read = dict[str, list[str]](), False, list[range]()
    for kind, part in _records(stream, 0):
        if kind == _CODEPAGE:
            codec = CODECS.get(f"cp{_number(part, 0)}", codec)
        elif kind == _BOUNDSHEET:
            sheet, start = _OldSheet("" if is_new else codec), _number(part, 0, 4)
            if not any(start in each for each in read):
                read.append(range(start, sheet.read(stream, start)))
                lines[sheet.text(part, 6, 1)] = sheet.found()
            left_out = left_out or sheet.left_out
        elif kind == _EOF:
            break
    return OldNotes({name: found for name, found in lines.items() if found}, left_out)


def _records(stream: bytes, place: int) -> Iterator[tuple[int, bytes]]:
    while place + 4 <= len(stream):
        size = _number(stream, place + 2)
        yield _number(stream, place), stream[place + 4 : place + 4 + size]
        place += 4 + size


def _number(data: bytes, place: int, size: int = 2) -> int:
    return int.from_bytes(data[place : place + size], "little")


@dataclass(slots=True)
class _OldSheet:
    """The records of one sheet. ``codec``: of its bytes; empty if its texts say how they are written."""

    codec: str
    left_out: bool = False
    _lines: list[str] = field(default_factory=list[str])
    _said: dict[int, str] = field(default_factory=dict[int, str])  # by comments' objects
    _comments: list[_Comment] = field(default_factory=list[_Comment])
    _object: tuple[int, int, str] = (0, 0, "")  # kind, number, mark
    _wanted: int = 0  # characters that are still to come
    _pieces: list[str] = field(default_factory=list[str])
    _inside: list[int] = field(default_factory=list[int])  # the parts of a chart
    _last: int = 0

    def read(self, stream: bytes, place: int) -> int:
        """Read the records that begin at a place, to the end of the sheet, which is returned."""
        depth = 0
        for kind, data in _records(stream, place):
            depth += (kind == _BOF) - (kind == _EOF)
            if depth < 1:
                break
            place += 4 + len(data)
            if kind in _READERS and (depth == 1 or kind not in _OF_SHEETS):
                _READERS[kind](self, data)
            self._last = kind
        return place

    def found(self) -> list[str]:
        """Return the lines: the comments first."""
        comments = (
            f"Comment at {each.place}{f' ({each.author})' if each.author else ''}: "
            + (each.text or self._said.get(each.number, ""))
            for each in self._comments
        )
        return [*comments, *dict.fromkeys(self._lines)]

    def text(self, data: bytes, place: int, width: int) -> str:
        """Return a text whose length, of so many bytes, stands at a place."""
        size, start = _number(data, place, width), place + width
        if self.codec:
            return " ".join(data[start : start + size].decode(self.codec, "replace").split())
        return " ".join(_characters(data[start:], size).split())

    def header(self, data: bytes) -> None:
        self._margin("header", data)

    def footer(self, data: bytes) -> None:
        self._margin("footer", data)

    def _margin(self, kind: str, data: bytes) -> None:
        if line := margin_of_codes(kind, self.text(data, 0, 1 if self.codec else 2)):
            self._lines.append(line)

    def object(self, data: bytes) -> None:
        kind = _number(data, 4)
        self._object = kind, _number(data, 6), _mark(data) if kind in _STATED else ""
        self.left_out = self.left_out or bool(self.codec and kind in _PLAIN)

    def begin_text(self, data: bytes) -> None:
        self._wanted, self._pieces = _number(data, 10), []

    def go_on(self, data: bytes) -> None:
        if self._wanted < 1:
            return
        self._pieces.append(_characters(data, self._wanted))
        self._wanted -= max(1, len(self._pieces[-1]))
        if self._wanted > 0:
            return
        kind, number, mark = self._object
        said = " ".join("".join(self._pieces).split())
        if kind == _COMMENT:
            self._said[number] = said
        elif said:
            self._lines.append(f"{mark}{said}")

    def comment(self, data: bytes) -> None:
        place = f"{letters(_number(data, 2))}{_number(data, 0) + 1}"
        if not self.codec:
            self._comments.append(_Comment(place, _number(data, 6), self.text(data, 8, 2)))
        elif _number(data, 0) < 0xFFFF:
            self._comments.append(_Comment(place, 0, "", self.text(data, 4, 2)))
        elif self._comments:  # the rest of the one before
            before = self._comments[-1]
            self._comments[-1] = before._replace(text=before.text + self.text(data, 4, 2))

    def begin(self, _: bytes) -> None:
        self._inside.append(self._last)

    def end(self, _: bytes) -> None:
        del self._inside[-1:]

    def title(self, data: bytes) -> None:
        if self._inside[-1:] == [_TITLE] and (said := self.text(data, 2, 1)):
            self._lines.append(f"Chart: {said}")


_READERS: Mapping[int, Callable[[_OldSheet, bytes], None]] = {
    0x14: _OldSheet.header,
    0x15: _OldSheet.footer,
    0x1C: _OldSheet.comment,
    0x5D: _OldSheet.object,
    0x1B6: _OldSheet.begin_text,
    _CONTINUE: _OldSheet.go_on,
    0x1033: _OldSheet.begin,
    0x1034: _OldSheet.end,
    0x100D: _OldSheet.title,
}
_OF_SHEETS = frozenset((0x14, 0x15, 0x1C))


def _characters(data: bytes, count: int) -> str:
    """Return at most so many characters, behind the byte that says how they are written."""
    if data[:1] and data[0] & 1:
        return data[1 : 1 + 2 * count].decode("utf-16-le", "replace")
    return data[1 : 1 + count].decode("latin-1")


def _mark(data: bytes) -> str:
    """Return the mark of a check box: its state is in one of the parts of its record."""
    place = 0
    while place + 4 <= len(data):
        if _number(data, place) == _STATE:
            return "☒ " if _number(data, place + 4) == 1 else "☐ "
        place += 4 + _number(data, place + 2)
    return ""
