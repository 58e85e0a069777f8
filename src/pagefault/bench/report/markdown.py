"""A report's notes and tables as Markdown, with the same figures as the page.

Leaves out charts and replies.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pagefault.bench.report.values import Report, ReportTable

__all__ = ["as_markdown"]

_MARKS = re.compile(r"([\\`*_\[\]|~#])")


def as_markdown(report: Report) -> str:
    lines = [f"# {_plain(report.title)}", "", *(f"- {_plain(note)}" for note in report.notes)]
    for section in report.sections:
        lines += ["", f"## {_plain(section.title)}"]
        lines += ["", _plain(section.about)] if section.about else []
        lines += ["", *(f"- {_plain(note)}" for note in section.notes)] if section.notes else []
        for table in section.tables:
            lines += ["", *_table(table)]
    return "\n".join(lines) + "\n"


def _table(table: ReportTable) -> Iterator[str]:
    yield f"### {_plain(table.title)}"
    yield ""
    yield _row(table.head)
    yield "|" + "|".join("---" if n < table.names else "---:" for n in range(len(table.head))) + "|"
    yield from (_row(row) for row in table.rows)
    if table.note:
        yield ""
        yield _plain(table.note)


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(_plain(cell) for cell in cells)} |"


def _plain(text: str) -> str:
    """One line in which nothing is markup."""
    shown = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKS.sub(r"\\\1", " ".join(shown.split()))
