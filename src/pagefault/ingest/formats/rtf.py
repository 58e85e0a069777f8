"""RTF: its visible text through HTML to Markdown, with headings, tables, notes, comments and headers.

The one kept library for it leaves them and many tables out. Left out: pictures, hidden and deleted text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from pagefault.errors import UsageError
from pagefault.ingest.formats.rtf_table import RtfTable
from pagefault.ingest.formats.rtf_tokens import (
    ASIDE,
    CHARACTERS,
    CHARSETS,
    CODECS,
    SHOWN,
    SKIPPED,
    WIDE,
    RtfGroup,
    RtfToken,
    style_level,
    tokens,
)
from pagefault.ingest.formats.trees import page_of, shown
from pagefault.ingest.pages import Extracted, paginate
from pagefault.ingest.reading import Reading

__all__ = ["rtf", "rtf_html"]

_CAPTURED = ("title", "atnauthor")
_ENDS = ("par", "sect", "page", "column")
_CELLS = ("cell", "nestcell", "row", "nestrow")


def rtf(data: bytes, reading: Reading) -> Extracted:
    """Read a document in RTF."""
    html, title = rtf_html(data, reading)
    page = page_of(html, reading)
    return Extracted(title, tuple(paginate(page.text, page.headings, markdown=True)), markdown=True)


def rtf_html(data: bytes, reading: Reading) -> tuple[str, str]:
    """Return the document as HTML, and its title."""
    if not data.lstrip()[:5] == b"{\\rtf":
        raise UsageError("It is not RTF that can be read; open it in its program, and save it again.")
    made = _Rtf(reading)
    for token in tokens(data.decode("latin-1")):
        made.take(token)
    return made.html(), " ".join(made.captured.get("title", "").split())


@dataclass(slots=True)
class _Rtf:
    """Takes the tokens, and writes HTML."""

    reading: Reading
    captured: dict[str, str] = field(default_factory=dict[str, str])
    _group: RtfGroup = field(default_factory=RtfGroup)
    _stack: list[RtfGroup] = field(default_factory=list[RtfGroup])
    _blocks: list[str] = field(default_factory=list[str])
    _line: list[str] = field(default_factory=list[str])
    _lines: list[list[str]] = field(default_factory=list[list[str]])  # around a note
    _bytes: bytearray = field(default_factory=bytearray)
    _skip: int = 0  # characters of a fallback that are still to come
    _star: bool = False
    _fresh: bool = False  # the group has just begun
    _table: RtfTable = field(default_factory=RtfTable)
    _notes: list[str] = field(default_factory=list[str])
    _margins: list[str] = field(default_factory=list[str])
    _fonts: dict[int, str] = field(default_factory=dict[int, str])
    _styles: dict[int, int] = field(default_factory=dict[int, int])
    _codec: str = "cp1252"
    _size: int = 0
    _numbered: int = 0  # notes

    def take(self, token: RtfToken) -> None:
        kind, text, number = token
        fresh, self._fresh = self._fresh, False
        if kind == "text":
            self._text(text)
        elif kind == "byte":
            self._byte(int(text, 16))
        elif kind == "brace":
            self._flush()
            self._skip = 0
            self._open() if text == "{" else self._close()
        elif kind == "symbol" and text == "*":
            self._star = fresh
        elif kind == "symbol":
            self._symbol(text)
        else:
            self._word(text, number)

    def html(self) -> str:
        """Return what was written, at the end."""
        self._flush()
        while self._stack:
            self._close()
        self._end_paragraph()
        self._blocks.append(self._table.html())
        return "".join(self._blocks + self._notes + self._margins)

    # groups

    def _open(self) -> None:
        self._stack.append(self._group)
        self._group = replace(self._group, kind="")
        self._star, self._fresh = False, True

    def _close(self) -> None:
        kind = self._group.kind
        if kind in ASIDE and self._lines:
            said = "".join(self._line).strip()
            self._line = self._lines.pop()
            self._note(kind, said)
        if self._stack:
            self._group = self._stack.pop()

    def _note(self, kind: str, said: str) -> None:
        if not said or self._group.skipped:
            return
        if kind == "annotation":
            author = shown(self.captured.pop("atnauthor", "").strip())
            self._notes.append(f"<p>Comment{f' ({author})' if author else ''}: {said}</p>")
        elif kind != "footnote":
            self._margins += {f"<p>{ASIDE[kind]}: {said}</p>"}.difference(self._margins)
        else:
            self._numbered += 1
            self._line.append(f"[{self._numbered}]")
            self._notes.append(f"<p>[{self._numbered}] {said}</p>")

    def _destination(self, word: str) -> bool:
        """Begin the destination of a group; return False if the word is none."""
        star, self._star = self._star, False
        if word in ASIDE:
            self._lines.append(self._line)
            self._line = []
            self._group.kind = word
        elif word in _CAPTURED:
            self._group.kind, self._group.skipped = word, True
            self.captured[word] = ""
        elif word in SKIPPED or (star and word not in SHOWN):
            self._group.kind, self._group.skipped = word, True
        elif word == "upr":  # a text twice: the second form is that in Unicode
            self._group.skipped = True
        elif word == "ud":
            self._group.skipped = len(self._stack) > 1 and self._stack[-2].skipped
        elif not star:
            return False
        return True

    # characters

    def _symbol(self, text: str) -> None:
        if text in "\r\n":
            self._word("par", None)
        elif text in CHARACTERS:
            self._put(CHARACTERS[text])

    def _text(self, text: str) -> None:
        if self._skip:
            dropped = min(self._skip, len(text))
            self._skip -= dropped
            text = text[dropped:]
        if not text.isascii() or (text and self._bytes and self._codec_now in WIDE):
            self._bytes += text.encode("latin-1")
        elif text:
            self._flush()
            self._write(text)

    def _byte(self, value: int) -> None:
        if self._skip:
            self._skip -= 1
        else:
            self._bytes.append(value)

    @property
    def _codec_now(self) -> str:
        return self._fonts.get(self._group.font) or self._codec

    def _flush(self) -> None:
        if self._bytes:
            said = self._bytes.decode(self._codec_now, "replace")
            self._bytes.clear()
            self._write(said)

    def _put(self, text: str) -> None:
        self._flush()
        if self._skip:
            self._skip -= 1
        else:
            self._write(text)

    def _write(self, text: str) -> None:
        group = self._group
        if group.kind in _CAPTURED:
            self.captured[group.kind] += text[:1_000]
        elif group.skipped:
            if self._is_within("stylesheet") and (level := style_level(group.kind, text)):
                self._styles[group.style] = level
        elif not (group.hidden or group.deleted):
            self._line.append(shown(text))
            self._size += len(text)
            self.reading.check(self._size)

    def _is_within(self, kind: str) -> bool:
        return self._group.kind == kind or any(each.kind == kind for each in self._stack[-2:])

    # control words

    def _word(self, word: str, number: int | None) -> None:
        self._flush()
        if word == "u" and number is not None:
            self._skip = 0
            self._write(chr(number & 0xFFFF))
            self._skip = self._group.fallback
        elif word in CHARACTERS:
            self._put(CHARACTERS[word])
        elif word in _SETTINGS:
            _SETTINGS[word](self, number)
        elif not self._destination(word) and not self._group.skipped:
            self._layout(word)

    def _layout(self, word: str) -> None:
        if self._lines and word in (*_ENDS, *_CELLS, "trowd"):
            self._line.append(" ")  # in a note
        elif word in ("line", "lbr") or (word in _ENDS and self._group.in_table):
            self._line.append("<br>")
        elif word in _ENDS:
            self._end_paragraph()
        elif word in _CELLS:
            self._line = self._table.end(word, self._line)
        elif word == "trowd":
            self._table.begin_row()
        else:
            self._table.define(word)

    def _end_paragraph(self) -> None:
        said = "".join(self._line)
        self._line.clear()
        if not said.strip():
            return
        self._blocks.append(self._table.html())
        level = self._group.level or self._styles.get(self._group.style, 0)
        said = said.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        self._blocks.append(f"<h{level}>{said}</h{level}>" if level else f"<p>{said}</p>")

    # settings

    def set_codec(self, number: int | None) -> None:
        codec = f"cp{number}" if number else ""
        self._codec = CODECS.get(codec, self._codec)

    def set_font(self, number: int | None) -> None:
        self._group.font = number or 0

    def set_charset(self, number: int | None) -> None:
        if self._is_within("fonttbl") and number in CHARSETS and number:
            self._fonts[self._group.font] = CHARSETS[number]

    def set_style(self, number: int | None) -> None:
        self._group.style = number or 0

    def set_level(self, number: int | None) -> None:
        self._group.level = number + 1 if number is not None and 0 <= number < 6 else 0

    def set_fallback(self, number: int | None) -> None:
        self._group.fallback = min(max(number if number is not None else 1, 0), 9)

    def set_hidden(self, number: int | None) -> None:
        self._group.hidden = number != 0

    def set_deleted(self, number: int | None) -> None:
        self._group.deleted = number != 0

    def set_in_table(self, number: int | None) -> None:
        self._group.in_table = number != 0

    def reset_paragraph(self, _: int | None) -> None:
        self._group.in_table, self._group.level, self._group.style = False, 0, 0

    def reset_characters(self, _: int | None) -> None:
        self._group.hidden = self._group.deleted = False


_SETTINGS: Mapping[str, Callable[[_Rtf, int | None], None]] = {
    "ansicpg": _Rtf.set_codec,
    "f": _Rtf.set_font,
    "fcharset": _Rtf.set_charset,
    "s": _Rtf.set_style,
    "outlinelevel": _Rtf.set_level,
    "uc": _Rtf.set_fallback,
    "v": _Rtf.set_hidden,
    "deleted": _Rtf.set_deleted,
    "intbl": _Rtf.set_in_table,
    "pard": _Rtf.reset_paragraph,
    "plain": _Rtf.reset_characters,
}
