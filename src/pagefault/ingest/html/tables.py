"""A table of a page as Markdown: a cell that spans rows or columns stands in each of them, under its heading.

The bounds keep the table no larger than its source, roughly. Left out: alignment.
"""

from __future__ import annotations

__all__ = ["Table"]

_MOST_COLUMNS = 100
_MOST_ROWS = 1_000  # that a cell may span
_REPEATED = 80  # characters of a cell that are repeated where it spans
_MOST_REPEATED = 100_000  # characters that a table repeats in all


class Table:
    """Takes the cells in order. A row that is never ended counts."""

    def __init__(self) -> None:
        self.caption = ""
        self._rows: list[list[str]] = []
        self._spanning: dict[int, tuple[int, str]] = {}  # by column: further rows, text
        self._span = (1, 1)
        self._wide: list[tuple[int, int, int]] = []  # row, first column, columns of cells that span some
        self._left = _MOST_REPEATED

    def begin_row(self) -> None:
        self._rows.append([])
        self._fill()

    def begin_group(self) -> None:
        """Begin a group of rows, which no cell above spans."""
        self._spanning.clear()

    def begin_cell(self, rows: str, columns: str) -> None:
        """Begin a cell with the values of ``rowspan``, where 0 is all of its group, and ``colspan``."""
        if not self._rows:
            self.begin_row()
        self._span = (
            _MOST_ROWS if rows.strip() == "0" else _count(rows, _MOST_ROWS),
            _count(columns, _MOST_COLUMNS),
        )

    def end_cell(self, text: str) -> None:
        if not self._rows:
            self.begin_row()
        row, (rows, columns) = self._rows[-1], self._span
        text = text.replace("|", "\\|")
        repeated = text if len(text) <= _REPEATED and columns * len(text) <= self._left else ""
        self._left -= (columns - 1) * len(repeated)
        self._wide += [(len(self._rows) - 1, len(row), columns)] if columns > 1 and repeated else []
        for index in range(columns):
            if len(row) >= _MOST_COLUMNS:
                return
            cell = repeated if index else text
            if rows > 1:
                self._spanning[len(row)] = (rows - 1, cell if len(cell) <= _REPEATED else "")
            row.append(cell)
        self._fill()

    def markdown(self) -> str:
        """Return the table; its first row is the head. Empty if no cell has text."""
        self._say_once()
        rows = [row for row in self._rows if any(row)]
        if not rows:
            return ""
        lines = [f"| {' | '.join(row)} |" for row in rows]
        return "\n".join([lines[0], f"|{' --- |' * len(rows[0])}", *lines[1:]])

    def _say_once(self) -> None:
        """Leave the repetitions out of cells that span a whole row: they are its title."""
        width = max(map(len, self._rows), default=0)
        for row, first, columns in self._wide:
            if columns >= width:
                self._rows[row][first + 1 : first + columns] = [""] * (len(self._rows[row]) - first - 1)

    def _fill(self) -> None:
        """Repeat the cells of rows above that span the columns which come next."""
        row = self._rows[-1]
        while len(row) < _MOST_COLUMNS and self._left > 0 and len(row) in self._spanning:
            rows, text = self._spanning.pop(len(row))
            if rows > 1:
                self._spanning[len(row)] = (rows - 1, text)
            row.append(text)
            self._left -= len(text) + 3


def _count(value: str, most: int) -> int:
    value = value.strip()[:9]
    return min(most, max(1, int(value))) if value.isdecimal() else 1
