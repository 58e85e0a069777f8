"""The second walk over a page: its blocks as Markdown, and its headings.

Left out: addresses of links, pictures, emphasis within emphasis.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pagefault.ingest.html.forms import form_value
from pagefault.ingest.html.mathml import formula
from pagefault.ingest.html.tables import Table
from pagefault.ingest.html.tree import BLOCKS, HEADINGS, LISTS, NOTES, TEXT, line_of
from pagefault.ingest.pages import Heading, clean, heading_path

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

__all__ = ["Writer"]

_SPACE = re.compile(r"[ \t\n\r\f\v\xa0]+")
_SPACES = re.compile(" {2,}")
_EMPHASIS = {"b": "**", "strong": "**", "i": "*", "em": "*"}
_MARKS = {"code": "`", "kbd": "`", "samp": "`", "tt": "`"}
_ALONE = {"math": formula, "select": form_value, "input": form_value}  # read without their children
_DEEPEST = 8  # lists and quotations within each other that are shown as such


@dataclass(slots=True)
class _List:
    """A list that is open: its number so far, None if it has marks."""

    number: int | None


@dataclass(slots=True)
class Writer:
    """The second walk: blocks of Markdown."""

    layouts: set[int]
    skipped: frozenset[str]
    dropped: set[int] = field(default_factory=set[int])  # further elements that are left out
    headings: list[Heading] = field(default_factory=list[Heading])
    first: str = ""
    opening: str = ""  # the first heading below ``h1``
    seen: set[int] = field(default_factory=set[int])  # elements that may be notes
    _parts: list[str] = field(default_factory=list[str])
    _size: int = 0
    _line: list[str] = field(default_factory=list[str])
    _above: dict[int, str] = field(default_factory=dict[int, str])
    _lists: list[_List] = field(default_factory=list[_List])
    _marker: str = ""  # of the list's item whose first block comes next
    _item: bool = False  # the last block was part of a list
    _quotes: int = 0
    _level: int = 0  # of the heading at work
    _pre: int = 0
    _tables: list[Table | None] = field(default_factory=list[Table | None])
    _open: dict[str, list[int]] = field(default_factory=dict[str, list[int]])  # starts of emphasis

    @property
    def text(self) -> str:
        return "".join(self._parts)

    def begin(self, block: str) -> None:
        """Write a block of its own before the page's."""
        self._emit(block)

    def enter(self, node: LexborNode) -> bool:
        tag = node.tag or ""
        if tag == TEXT:
            self._text(node.text_content or "")
            return False
        if tag[0] in "-!" or self._is_left_out(tag, node):
            self._drawing(tag, node)
            return False
        if tag in _ALONE:
            self._value(tag, node)
            return False
        if tag == "table":
            self._enter_table(node)
        elif self._table is not None:
            self._enter_cell(tag, node)
        elif tag in BLOCKS or tag in HEADINGS:
            self._enter_block(tag, node)
        self._enter_inline(tag)
        return True

    def leave(self, node: LexborNode) -> None:
        tag = node.tag or ""
        if tag == TEXT or tag in _ALONE or self._is_left_out(tag, node):
            return
        self._leave_inline(tag)
        if tag == "table":
            self._leave_table()
        elif self._table is not None:
            self._leave_cell(tag)
        elif tag in HEADINGS:
            self.end_block()
            self._level = 0
        elif tag in BLOCKS:
            self._leave_block(tag)

    def _text(self, text: str) -> None:
        self._line.append(text if self._pre else _SPACE.sub(" ", text))

    def _value(self, tag: str, node: LexborNode) -> None:
        value = _ALONE[tag](node)
        self._line.append(f" {value} " if value and tag != "math" else value)

    def _drawing(self, tag: str, node: LexborNode) -> None:
        """Write the words of a drawing, of which nothing else is read."""
        if tag == "svg" and node.mem_id not in self.dropped:
            self._line += [f" {said} " for each in node.css("text") if (said := line_of(each.text()))]

    def _is_left_out(self, tag: str, node: LexborNode) -> bool:
        return tag in self.skipped or node.mem_id in self.dropped

    # inline

    def _enter_inline(self, tag: str) -> None:
        if tag == "br":
            self._line.append("\n" if self._table is None else " ")
        elif tag in _EMPHASIS or (tag in _MARKS and not self._pre):
            self._open.setdefault((_EMPHASIS | _MARKS)[tag], []).append(len(self._line))

    def _leave_inline(self, tag: str) -> None:
        """Put marks around the text of an element, within the white space at its ends."""
        mark = _EMPHASIS.get(tag) or ("" if self._pre else _MARKS.get(tag, ""))
        if not mark or not (starts := self._open.get(mark)):
            return
        start = starts.pop()
        if starts or start >= len(self._line) or self._level:
            return
        inner = "".join(self._line[start:])
        core = inner.strip()
        if core and mark not in core and "\n" not in core:
            lead, _, tail = inner.partition(core)
            self._line[start:] = [f"{lead}{mark}{core}{mark}{tail}"]

    # blocks

    def _enter_block(self, tag: str, node: LexborNode) -> None:
        self.end_block()
        self.seen.update((node.mem_id,) * (tag in NOTES))
        if tag in HEADINGS:
            self._level = HEADINGS[tag]
        elif tag in LISTS:
            start = node.attributes.get("start") or "" if tag == "ol" else ""
            number = int(start) if start.isdecimal() and len(start) < 9 else 1
            self._lists.append(_List(number if tag == "ol" else None))
        elif tag == "li":
            self._marker = self._next_marker()
        elif tag == "blockquote":
            self._quotes += 1
        elif tag == "pre":
            self._pre += 1
        elif tag == "hr":
            self._emit("---")

    def _leave_block(self, tag: str) -> None:
        self.end_block()
        if tag in LISTS and self._lists:
            self._lists.pop()
            self._item = self._item and bool(self._lists)
        elif tag == "li":
            self._marker = ""
        elif tag == "blockquote":
            self._quotes -= 1
        elif tag == "pre":
            self._pre -= 1

    def _next_marker(self) -> str:
        if not self._lists or (number := self._lists[-1].number) is None:
            return "- "
        self._lists[-1].number = number + 1
        return f"{number}. "

    def end_block(self) -> None:
        """Write the text since the last block, if there is any."""
        text = clean("".join(self._line))
        self._line.clear()
        self._open.clear()
        if self._pre:
            self._emit(_fenced(text.strip("\n"))) if text.strip() else None
        elif self._level:
            self._heading(line_of(text))
        elif text := "\n".join(_SPACES.sub(" ", line).strip() for line in text.strip().split("\n")):
            self._emit(text)

    def _heading(self, name: str) -> None:
        if name:
            if self._level > 1:
                self.opening = self.opening or name
            path = heading_path(self._above, self._level, name)
            start = self._emit(f"{'#' * self._level} {name}")
            self.headings.append(Heading(start, path))
            if self._level == 1:
                self.first = self.first or name

    def _emit(self, block: str) -> int:
        """Write a block; return the offset of its beginning."""
        quotes, depth = "> " * min(self._quotes, _DEEPEST), min(len(self._lists), _DEEPEST)
        in_list = depth > 0
        if in_list:
            indent = "  " * (depth - 1)
            first, rest = f"{indent}{self._marker or '  '}", f"{indent}  "
        else:
            first = rest = ""
        gap = "" if not self._parts else "\n" if in_list and self._item and self._marker else "\n\n"
        block = f"{quotes}{first}" + block.replace("\n", f"\n{quotes}{rest}")
        self._marker, self._item = "", in_list
        self._parts.append(gap + block)
        self._size += len(gap) + len(block)
        return self._size - len(block)

    # tables

    @property
    def _table(self) -> Table | None:
        return self._tables[-1] if self._tables else None

    def _enter_table(self, node: LexborNode) -> None:
        self.end_block()
        self._tables.append(None if node.mem_id in self.layouts else Table())

    def _leave_table(self) -> None:
        if not self._tables:
            return
        table = self._tables.pop()
        if table is None:
            self.end_block()
        else:
            self._line.clear()
            for block in (table.caption, table.markdown()):
                if block:
                    self._emit(block)

    def _enter_cell(self, tag: str, node: LexborNode) -> None:
        table = self._table
        if table is None:
            return
        if tag == "tr":
            table.begin_row()
        elif tag in ("thead", "tbody", "tfoot"):
            table.begin_group()
        elif tag in ("td", "th"):
            self._line.clear()
            about = node.attributes
            table.begin_cell(about.get("rowspan") or "", about.get("colspan") or "")
        elif tag == "caption":
            self._line.clear()
        elif tag in BLOCKS:
            self._line.append(" ")

    def _leave_cell(self, tag: str) -> None:
        table = self._table
        if table is None or tag not in ("td", "th", "caption"):
            return
        text = line_of(clean("".join(self._line)))
        self._line.clear()
        self._open.clear()
        if tag == "caption":
            table.caption = text
        else:
            table.end_cell(text)


def _fenced(code: str) -> str:
    """Code between fences that are longer than any run of marks in it."""
    longest = max(map(len, re.findall("`+", code)), default=0)
    fence = "`" * max(3, min(longest + 1, 80))
    return f"{fence}\n{code}\n{fence}"
