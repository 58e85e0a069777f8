"""A report as one HTML page that fetches nothing: style and pictures are inside, and there is no script.

Light and dark as the reader's system is, tables scroll on narrow screens, and it prints.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from itertools import pairwise
from xml.etree.ElementTree import Element, tostring

from pagefault.bench.report.markup import element
from pagefault.bench.report.plots import drawn
from pagefault.bench.report.values import Report, ReportSection, ReportTable, Sample

__all__ = ["as_html"]

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"  # so that the browser holds us to it
_LONG = 40  # characters of a cell that is broken into lines


def as_html(report: Report) -> str:
    """The whole page."""
    style = (files("pagefault.bench.report") / "page.css").read_text("utf-8")
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("title", report.title),
        element("style", style),
    )
    links = [element("li", element("a", _name(s), href=f"#{s.key}")) for s in report.sections]
    body = element(
        "body",
        element("h1", report.title),
        *(element("p", note, class_="about") for note in report.notes),
        *([element("nav", element("ul", *links), aria_label="Runs")] if len(links) > 1 else []),
        element("main", *(_section(section) for section in report.sections)),
    )
    page = element("html", head, body, lang="en")
    return "<!doctype html>\n" + tostring(page, encoding="unicode", method="html") + "\n"


def _name(section: ReportSection) -> str:
    return f"{section.title} ({section.about})" if section.about else section.title


def _section(section: ReportSection) -> Element:
    pieces = [element("h2", section.title, id=section.key)]
    if section.about:
        pieces.append(element("p", section.about, class_="about"))
    pieces += [element("p", note, class_="warning") for note in section.notes]
    for place, table in enumerate(section.tables):
        pieces += _table(table)
        if place == 0:
            pieces += [drawn(chart) for chart in section.charts]
    if section.samples:
        title = element("summary", f"{len(section.samples)} of the items, taken at even distances")
        pieces.append(element("details", title, *(_sample(sample) for sample in section.samples)))
    if section.judging:
        title = element("summary", "What the judge was asked for one of the items")
        pieces.append(element("details", title, element("pre", section.judging)))
    return element("section", *pieces)


def _table(table: ReportTable) -> Iterator[Element]:
    yield element("h3", table.title)
    head = (element("th", name, class_=_kind(table, n), scope="col") for n, name in enumerate(table.head))
    before = [table.rows[:1], *pairwise(table.rows)] if table.rows else []
    body = (
        element(
            "tr",
            *(element("td", cell, class_=_kind(table, n, cell)) for n, cell in enumerate(row)),
            class_="first" if table.names > 1 and len(table.head) > 2 and pair[0][0] != row[0] else "",
        )
        for row, pair in zip(table.rows, before, strict=True)
    )
    made = element("table", element("thead", element("tr", *head)), element("tbody", *body))
    yield element("div", made, class_="scroll")
    if table.note:
        yield element("p", table.note, class_="note")


def _kind(table: ReportTable, column: int, cell: str = "") -> str:
    if column in table.published:
        return "paper"
    long = " long" if len(cell) > _LONG else ""
    return f"name{long}" if column < table.names else "figure"


def _sample(sample: Sample) -> Element:
    said = [
        piece
        for name, reply in sample.replies
        for piece in (element("dt", name), element("dd", reply or "–"))
    ]
    asked = [element("dt", "question"), element("dd", sample.question)]
    gold = [element("dt", "gold"), element("dd", sample.gold)]
    return element("div", element("dl", *asked, *gold, *said), class_="sample")
