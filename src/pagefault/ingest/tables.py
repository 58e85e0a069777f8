"""Large tables (CSV): cut at whole rows into parts, each of which is loaded as a document of its own.

So a table of any size is read in the memory of a part, its progress is known, and a load that is interrupted
goes on with the first part that is not stored. A part repeats the line of names. Left out: reading rows
(``plain``), and tables in UTF-16, which are read whole.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO

import anyio.to_thread

from pagefault.config import LoadingSettings
from pagefault.ingest.plain import delimiter_of
from pagefault.ingest.sources import DocumentSource, File, SourceContent, check_size

__all__ = ["LargeTable", "TablePart", "is_table", "large_table", "part_name"]

_SUFFIXES = (".csv", ".tsv")
_LARGE = 4 << 20  # bytes from which on a table is cut
_PART = 2 << 20
_LONGEST_PART = 8 << 20  # should a quotation mark that is never closed hide the ends of rows
_LINE = 1 << 20  # bytes of a line that are looked at in one step
_NAMES = 64 << 10  # bytes of the line of names
_WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def part_name(table: str, number: int) -> str:
    """The source's name of a part of a table, from 1."""
    return f"{table}!/part {number}"


@dataclass(frozen=True, slots=True)
class TablePart:
    """Some rows of a table, as a source. ``head``: the lines before its rows; ``start`` and ``stop``: bytes;
    ``first`` and ``last``: rows from 1; ``number``: of the part."""

    file: File
    title: str
    head: bytes
    number: int
    start: int
    stop: int
    first: int
    last: int

    @property
    def name(self) -> str:
        return part_name(self.file.name, self.number)

    @property
    def label(self) -> str:
        return f"{self.title}, rows {self.first:,}-{self.last:,}"

    async def read(self, limits: LoadingSettings) -> SourceContent:
        del limits  # of the whole table, which is checked

        def work() -> bytes:
            with self.file.path.open("rb") as file:
                file.seek(self.start)
                return self.head + file.read(self.stop - self.start)

        data = await anyio.to_thread.run_sync(work)
        return SourceContent(data, self.file.path.name, first_row=self.first)


@dataclass(frozen=True, slots=True)
class LargeTable:
    """A table of ``size`` bytes. ``parts`` reads it once, and holds one line at a time."""

    file: File
    title: str
    size: int
    characters: int  # that a part may have as text, in which each row names its columns again

    def parts(self) -> Iterator[TablePart]:
        with self.file.path.open("rb") as file:
            head = _head(file)
            start = stop = file.tell()
            first = last = number = 1
            text = 0
            for row in _rows(file):
                stop, last, text = stop + row, last + 1, text + row + len(head)
                if stop - start >= _PART or text >= self.characters:
                    yield self._part(head, number, start, stop, first, last - 1)
                    start, first, number, text = stop, last, number + 1, 0
            if stop > start:
                yield self._part(head, number, start, stop, first, last - 1)

    def _part(self, head: bytes, number: int, start: int, stop: int, first: int, last: int) -> TablePart:
        return TablePart(self.file, self.title, head, number, start, stop, first, last)


def large_table(
    source: DocumentSource, title: str | None, kind: str, limits: LoadingSettings
) -> LargeTable | None:
    """Return a source as a table if it is one that is cut; None if it is not. ``UsageError`` if it is larger
    than a file may be, ``OSError`` if it cannot be read."""
    if not isinstance(source, File) or not is_table(source.path.name, kind) or not source.path.is_file():
        return None
    if (size := source.path.stat().st_size) <= _LARGE:
        return None
    check_size(size, limits)
    with source.path.open("rb") as file:
        if file.read(2) in _WIDE or len(_head(file)) > _NAMES:
            return None
    return LargeTable(source, title or source.label, size, limits.characters // 3)


def is_table(name: str, kind: str) -> bool:
    """Return whether a source of this name is read as a table; ``kind``: as what it is read instead."""
    return kind == "csv" if kind else PurePosixPath(name).suffix.lower() in _SUFFIXES


def _head(file: IO[bytes]) -> bytes:
    """Read the line of names; return it behind a line that says how columns are parted."""
    file.seek(0)
    sample = file.read(_NAMES)
    mark = codecs.BOM_UTF8 if sample.startswith(codecs.BOM_UTF8) else b""
    start = len(mark)
    if sample[start : start + 4].lower() == b"sep=" and sample[start + 5 : start + 6] in (b"\r", b"\n"):
        said = sample[start + 4 : start + 5]
        start += 7 if sample[start + 5 : start + 7] == b"\r\n" else 6
    else:
        said = delimiter_of(sample[start:].decode("latin-1")).encode()
    file.seek(start)
    size = next(_rows(file), 0)
    file.seek(start)
    return mark + b"sep=" + said + b"\n" + file.read(size)


def _rows(file: IO[bytes]) -> Iterator[int]:
    """Yield the size of each row from here on. A row ends at a line's end at which no quotation is open."""
    size, quotes = 0, 0
    while line := file.readline(_LINE):
        size += len(line)
        quotes += line.count(b'"')
        if line.endswith(b"\n") and (quotes % 2 == 0 or size >= _LONGEST_PART):
            yield size
            size, quotes = 0, 0
    if size:
        yield size
