"""The text that an ODS file shows beside its cells: comments, text boxes, controls, charts' titles, headers.

The table is read as a stream, row by row, for it may be large. Left out: the cells (``sheets``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO
from xml.etree import ElementTree
from zipfile import ZipFile

from pagefault.ingest.formats.margins import open_margins
from pagefault.ingest.formats.rows import letters
from pagefault.ingest.formats.trees import Element, attribute, bare, found, tree

__all__ = ["open_sheet_notes"]

_SIGNS = (b"annotation", b"<draw:", b"<form:")
_CELLS = ("table-cell", "covered-table-cell")
_MOST_REPEATED = 10_000_000


def open_sheet_notes(archive: ZipFile) -> dict[str, list[str]]:
    """Return the lines of each sheet that has some, by its name; those of all sheets under the empty one."""
    notes: dict[str, list[str]] = {}
    content = archive.read("content.xml")
    if any(sign in content for sign in _SIGNS):
        with archive.open("content.xml") as part:
            for name, line in _lines(archive, part):
                notes.setdefault(name, []).append(line)
    if "styles.xml" in archive.NameToInfo and (margins := open_margins(tree(archive.read("styles.xml")))):
        notes[""] = margins
    return notes


def _lines(archive: ZipFile, part: IO[bytes]) -> Iterator[tuple[str, str]]:
    """Yield the lines, each with its sheet's name."""
    sheet, row, column = Element("none"), 0, 0
    name = ""
    for event, element in ElementTree.iterparse(part, ("start", "end")):
        if event == "start":
            bare(element)
            if element.tag == "table":
                sheet, row, name = element, 0, attribute(element, "name")
            column = 0 if element.tag == "table-row" else column
        elif element.tag in _CELLS:
            at = f"{letters(column)}{row + 1}"
            yield from ((name, line) for line in _beside(archive, element, at))
            column += _repeated(element, "number-columns-repeated")
            element.clear()
        elif element.tag in ("shapes", "forms"):
            yield from ((name, line) for line in _beside(archive, element, ""))
        elif element.tag == "table-row":
            row += _repeated(element, "number-rows-repeated")
            sheet.clear()


def _beside(archive: ZipFile, root: Element, at: str) -> Iterator[str]:
    """Yield the lines in a cell, or in what belongs to no cell."""
    left = list(reversed(root))
    while left:
        each = left.pop()
        if each.tag == "annotation":
            by = "".join(next(found(each, "creator"), Element("creator")).itertext()).strip()
            yield f"Comment at {at}{f' ({by})' if by else ''}: {_said(each)}"
        elif each.tag == "object":
            yield from _charts(archive, attribute(each, "href"))
        elif each.tag == "p" and each not in root:
            yield " ".join("".join(each.itertext()).split())
        elif each.tag in ("checkbox", "radio"):
            checked = (attribute(each, "current-state") or attribute(each, "state")) == "checked"
            yield f"{'☒' if checked else '☐'} {attribute(each, 'label')}"
        elif label := attribute(each, "label"):
            yield label
        else:
            left += reversed(each)


def _said(element: Element) -> str:
    return " ".join(" ".join("".join(each.itertext()) for each in found(element, "p")).split())


def _charts(archive: ZipFile, target: str) -> Iterator[str]:
    name = target.removeprefix("./") + "/content.xml"
    titles = found(tree(archive.read(name)), "title") if name in archive.NameToInfo else ()
    yield from (f"Chart: {said}" for title in titles if (said := _said(title)))


def _repeated(element: Element, name: str) -> int:
    count = attribute(element, name)
    return min(int(count), _MOST_REPEATED) if count.isdecimal() and len(count) < 9 else 1
