"""Rows of cells to records: each row as lines of ``column: value``, under the heading of its column.

A sheet is blocks of rows between blank ones. In a block the first row of words names the columns, with one
more row if cells of it are merged; what stands alone above is a caption. A block without such a row has the
columns of the one before, or their letters. Left out: reading a format.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["Cell", "Merged", "letters", "records"]

_REPEATED = 80  # characters of a cell that are repeated where it spans
_MOST_REPEATED = 1_000_000  # cells of a sheet that are filled so


class Cell(NamedTuple):
    """A cell as it is written; ``words``: it is a text, and no number or date."""

    text: str
    words: bool


class Merged(NamedTuple):
    """A range of cells that were merged: its corners, from 0."""

    top: int
    left: int
    bottom: int
    right: int


def records(rows: Iterable[list[Cell]], merged: Sequence[Merged]) -> Iterator[tuple[str, str]]:
    """Yield the text and the name (``row 5``) of each row that has text; a head without rows is a line."""
    filler, block = _Filler(sorted(merged)), _Block()
    for number, row in enumerate(rows):
        alone = sum(1 for cell in row if cell.text)
        across = filler.fill(number, row)
        if not any(cell.text for cell in row):
            yield from block.end()
        else:
            yield from block.row(number + 1, row, alone, across)
    yield from block.end()


@dataclass(slots=True)
class _Filler:
    """Repeats merged cells over their ranges, row by row."""

    left: list[Merged]
    _active: list[tuple[Merged, Cell]] = field(default_factory=list[tuple[Merged, Cell]])
    _next: int = 0
    _filled: int = 0

    def fill(self, number: int, row: list[Cell]) -> bool:
        """Fill a row in place; return whether one of its own cells spans columns."""
        self._active = [each for each in self._active if each[0].bottom >= number]
        begun = list(self._begin(number, row))
        self._active = (self._active + begun)[: len(row)]  # they do not overlap
        for place, cell in self._active:
            if len(cell.text) <= _REPEATED:
                for column in range(place.left, min(place.right + 1, len(row))):
                    if not row[column].text and self._filled < _MOST_REPEATED:
                        row[column] = cell
                        self._filled += 1
        return any(place.right > place.left for place, _ in begun)

    def _begin(self, number: int, row: list[Cell]) -> Iterator[tuple[Merged, Cell]]:
        """Yield the ranges that begin in a row, each with its cell."""
        while self._next < len(self.left) and self.left[self._next].top <= number:
            place = self.left[self._next]
            self._next += 1
            if place.top == number and place.left < len(row) and row[place.left].text:
                yield place, row[place.left]


@dataclass(slots=True)
class _Block:
    """The rows between two blank ones."""

    names: list[str] = field(default_factory=list[str])
    _open: bool = False  # it has a head, or rows
    _head: int = 0  # the number of its head while no row stands under it
    _across: bool = False  # cells of the head span columns

    def row(self, number: int, row: list[Cell], alone: int, across: bool) -> Iterator[tuple[str, str]]:
        filled = [cell for cell in row if cell.text]
        words = all(cell.words for cell in filled)
        if not self._open and alone == 1:
            yield filled[0].text, f"row {number}"
        elif not self._open and words:
            self.names = [" ".join(cell.text.split()) for cell in row]
            self._open, self._head, self._across = True, number, across
        elif self._is_under_head(alone) and words:
            self.names = [_both(name, cell.text) for name, cell in zip(self.names, row, strict=False)]
            self._across = False
        else:
            self._open, self._head = True, 0
            yield "\n".join(self._fields(row)), f"row {number}"

    def _is_under_head(self, alone: int) -> bool:
        return bool(self._head) and self._across and alone > 1

    def end(self) -> Iterator[tuple[str, str]]:
        if self._head:
            yield " | ".join(dict.fromkeys(filter(None, self.names))), f"row {self._head}"
        self._open, self._head = False, 0

    def _fields(self, row: list[Cell]) -> Iterator[str]:
        for column, cell in enumerate(row):
            if cell.text:
                name = self.names[column] if column < len(self.names) else ""
                yield f"{name or letters(column)}: {cell.text}"


def _both(name: str, under: str) -> str:
    under = " ".join(under.split())
    return name if under == name else f"{name} {under}".strip()


def letters(column: int) -> str:
    """Return the letters of a column, counted from 0."""
    name = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        name = chr(65 + rest) + name
    return name
