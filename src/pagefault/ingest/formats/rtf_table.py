"""The tables of RTF: rows of cells that a file names after their text, as an HTML table."""

from __future__ import annotations

from dataclasses import dataclass, field

from pagefault.ingest.formats.trees import table

__all__ = ["RtfTable"]

_MOST_CELLS = 1_000  # of a row


@dataclass(slots=True)
class RtfTable:
    """The rows so far. A cell that is merged with the one before or above has its text."""

    _rows: list[list[str]] = field(default_factory=list[list[str]])
    _cells: list[str] = field(default_factory=list[str])
    _merged: list[str] = field(default_factory=list[str])  # of each cell of the row: "", "left" or "above"
    _next: str = ""

    def begin_row(self) -> None:
        """Forget the cells that were defined for the row before."""
        self._merged.clear()
        self._next = ""

    def define(self, word: str) -> None:
        """Take a word on the cells of a row; others are ignored."""
        if word in ("clmrg", "clvmrg"):
            self._next = "left" if word == "clmrg" else "above"
        elif word == "cellx":
            if len(self._merged) < _MOST_CELLS:
                self._merged.append(self._next)
            self._next = ""

    def end(self, word: str, line: list[str]) -> list[str]:
        """End a cell or a row; return the line that goes on. A table in a cell is text."""
        if word == "nestcell":
            return [*line, " "]
        if word == "nestrow":
            return [*line, "<br>"]
        if word == "cell" and len(self._cells) < _MOST_CELLS:
            self._cells.append("".join(line).strip())
        elif word == "row":
            self._end_row()
        return []

    def _end_row(self) -> None:
        cells, self._cells = self._cells, []
        above = self._rows[-1] if self._rows else []
        for column, merged in enumerate(self._merged[: len(cells)]):
            if merged == "left" and column and not cells[column]:
                cells[column] = cells[column - 1]
            elif merged == "above" and column < len(above) and not cells[column]:
                cells[column] = above[column]
        if cells:
            self._rows.append(cells)

    def html(self) -> str:
        """Return the rows as a table, and forget them; empty if there are none."""
        if self._cells:
            self._end_row()
        rows, self._rows = self._rows, []
        return table(rows) if rows else ""
