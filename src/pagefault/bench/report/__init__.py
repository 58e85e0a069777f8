"""`pagefault bench report DIR`: from the folders of runs to `report.html` and `report.md`.

reading.py     what a folder holds
paper.py       the paper's figures
figures.py     names of measures, and figures as they are written
contents.py    what the report says, as values (values.py), with its tables (tables.py)
charts.py      what its charts show, as values
plots.py       charts as SVG
page.py        the HTML page, with `page.css`; markup.py: its elements
markdown.py    the tables as Markdown
"""

from __future__ import annotations

from pathlib import Path

from pagefault.bench.report.contents import report_of
from pagefault.bench.report.markdown import as_markdown
from pagefault.bench.report.page import as_html
from pagefault.bench.report.reading import read_runs

__all__ = ["write"]


def write(folder: Path) -> list[Path]:
    """Write the report of all runs in a folder and below it; returns the files. ``UsageError`` if there is
    no run that can be read."""
    report = report_of(folder, *read_runs(folder))
    written = {folder / "report.html": as_html(report), folder / "report.md": as_markdown(report)}
    for file, text in written.items():
        file.write_text(text, "utf-8", "replace")
    return list(written)
