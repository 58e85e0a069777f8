"""Presentations (PPTX): a slide is a page, with its notes, comments, tables, charts and diagrams.

Read from the XML through HTML to Markdown: the one library for it has had no release since 2024, and brings
two more, for pictures and for writing spreadsheets. Left out: pictures, numbers of slides, text of layouts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from zipfile import ZipFile

from pagefault.errors import UsageError
from pagefault.ingest.formats.trees import (
    Element,
    attribute,
    found,
    page_of,
    reference,
    references,
    shown,
    table,
    tree,
)
from pagefault.ingest.packed import BROKEN, opened, text_of
from pagefault.ingest.pages import Extracted, Heading, Leaf
from pagefault.ingest.reading import Reading

__all__ = ["pptx"]

_TITLES = ("title", "ctrTitle")
_NO_TITLES = ("PowerPoint Presentation", "Slide 1")  # what programs put there
_POINTS = 1_000  # rows of a chart that are shown


def pptx(data: bytes, reading: Reading) -> Extracted:
    """Read a presentation, slide by slide."""
    try:
        with opened(data) as archive:
            title = text_of(archive, "docProps/core.xml", "title")
            leaves = tuple(_leaves(archive, reading))
    except BROKEN as error:
        raise UsageError(f"It is not a .pptx that can be read ({error}); it may be damaged.") from None
    return Extracted("" if title in _NO_TITLES else title, leaves, markdown=True)


def _leaves(archive: ZipFile, reading: Reading) -> Iterator[Leaf]:
    main = next(name for kind, name in references(archive, "").values() if kind == "officeDocument")
    parts = references(archive, main)
    ids = [reference(each) for each in found(tree(archive.read(main)), "sldId")]
    names = list(dict.fromkeys(parts[each][1] for each in ids if each in parts))
    if len(names) < len(ids):
        reading.note(f"{len(ids) - len(names)} of {len(ids)} slides are not in the file.")
    reading.check(0, len(names))
    authors, size, hidden = _authors(archive, parts), 0, 0
    for number, name in enumerate(names, 1):
        try:
            slide = _Slide(archive, references(archive, name), authors, reading)
            root = tree(archive.read(name))
            hidden += attribute(root, "show") in ("0", "false")
            page = page_of(slide.html(root), reading)
        except BROKEN as error:
            reading.note(f"Slide {number} of {len(names)} is damaged, and left out ({error}).")
            continue
        size += len(page.text)
        reading.check(size)
        reading.on_page(number, len(names))
        yield Leaf(page.text, page.headings or (Heading(0, f"Slide {number}"),))
    if hidden:
        reading.note(f"{hidden} of {len(names)} slides are hidden in the presentation; they are loaded too.")


def _authors(archive: ZipFile, parts: dict[str, tuple[str, str]]) -> dict[str, str]:
    """Return the names of those who comment, by their id in the file."""
    names = [name for kind, name in parts.values() if kind in ("commentAuthors", "authors")]
    people = (each for name in names for each in found(tree(archive.read(name)), "cmAuthor", "author"))
    return {attribute(each, "id"): attribute(each, "name") for each in people}


@dataclass(slots=True)
class _Slide:
    """One slide as HTML."""

    archive: ZipFile
    parts: dict[str, tuple[str, str]]
    authors: dict[str, str]
    reading: Reading
    titles: list[str] = field(default_factory=list[str])
    blocks: list[str] = field(default_factory=list[str])

    def html(self, root: Element) -> str:
        self._shapes(root)
        for kind, name in self.parts.values():
            if kind == "notesSlide":
                self._notes(self._part(name))
            elif kind == "comments":
                self.blocks += _comments(self._part(name), self.authors)
        return "".join(self.titles + self.blocks)

    def _part(self, name: str) -> Element:
        """Return a part that the slide refers to; an empty one if it is damaged."""
        try:
            return tree(self.archive.read(name))
        except BROKEN as error:
            self.reading.note(f"A part of it is damaged, and left out ({name}: {error}).")
            return Element("none")

    def _shapes(self, root: Element) -> None:
        """Walk the shapes in order; groups may be in groups."""
        left = [root]
        while left:
            shape = left.pop()
            if shape.tag == "sp":
                self._text(shape)
            elif shape.tag == "graphicFrame":
                self._graphic(shape)
            elif shape.tag == "AlternateContent":
                left += _alternative(shape)
            else:
                left += reversed(shape)

    def _text(self, shape: Element) -> None:
        place = next(found(shape, "ph"), None)
        kind = attribute(place, "type")
        if kind == "sldNum":
            return
        paragraphs = list(found(shape, "p"))
        if kind in _TITLES:
            words = " ".join(filter(None, (_runs(each).replace("<br>", " ").strip() for each in paragraphs)))
            self.titles.append(f"<h1>{words}</h1>" if words else "")
        else:
            self.blocks.append(_paragraphs(paragraphs, listed=kind not in ("subTitle", "dt", "ftr")))

    def _graphic(self, frame: Element) -> None:
        for each in found(frame, "tbl"):
            self.blocks.append(_table(each))
            return
        for each in found(frame, "chart", "relIds"):
            kind, name = self.parts.get(reference(each) or reference(each, "dm"), ("", ""))
            if kind in ("chart", "chartEx"):
                self.blocks.append(_chart(self._part(name)))
            elif kind == "diagramData":
                points = (point for point in found(self._part(name), "pt"))
                said = (" ".join(map(_runs, found(point, "p"))).strip() for point in points)
                self.blocks.append(f"<ul>{''.join(f'<li>{each}</li>' for each in said if each)}</ul>")

    def _notes(self, root: Element) -> None:
        for shape in found(root, "sp"):
            if attribute(next(found(shape, "ph"), None), "type") == "body":
                notes = _paragraphs(list(found(shape, "p")), listed=False)
                self.blocks.append(f"<p>Notes:</p>{notes}" if notes else "")


def _alternative(element: Element) -> list[Element]:
    """Return the one of several forms of a shape that has text: the newest first."""
    forms = [each for each in element if each.tag in ("Choice", "Fallback")]
    return next(
        ([each] for each in forms if any("".join(t.itertext()).strip() for t in found(each, "t"))), forms[:1]
    )


def _paragraphs(paragraphs: list[Element], *, listed: bool) -> str:
    """Return paragraphs; those of a list's text, with their levels, if there are several."""
    said = [(min(int(_level(each)), 8), _runs(each).strip()) for each in paragraphs]
    said = [(level, text) for level, text in said if text]
    if not listed or len(said) < 2:
        return "".join(f"<p>{text}</p>" for _, text in said)
    html, depth = "", -1
    for level, text in said:
        html += "<ul>" * max(0, level - depth) + "</ul>" * max(0, depth - level) + f"<li>{text}"
        depth = level
    return html + "</ul>" * (depth + 1)


def _level(paragraph: Element) -> str:
    level = attribute(next((each for each in paragraph if each.tag == "pPr"), None), "lvl")
    return level if level.isdecimal() and len(level) < 3 else "0"


def _runs(paragraph: Element) -> str:
    """Return the text of a paragraph as HTML, equations in it as their characters."""
    pieces: list[str] = []
    left = [paragraph]
    while left:
        each = left.pop()
        if each.tag == "t":
            pieces.append(shown(each.text or "").replace("\v", "<br>"))
        elif each.tag == "br":
            pieces.append("<br>")
        elif each.tag == "AlternateContent":
            left += _alternative(each)
        else:
            left += reversed(each)
    return "".join(pieces)


def _table(element: Element) -> str:
    rows: list[str] = []
    for row in found(element, "tr"):
        cells: list[str] = []
        for cell in (each for each in row if each.tag == "tc"):
            if attribute(cell, "hMerge") or attribute(cell, "vMerge"):
                continue
            spans = f' rowspan="{_count(cell, "rowSpan")}" colspan="{_count(cell, "gridSpan")}"'
            text = "<br>".join(filter(None, (_runs(each).strip() for each in found(cell, "p"))))
            cells.append(f"<td{spans}>{text}</td>")
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return f"<table>{''.join(rows)}</table>"


def _count(cell: Element, name: str) -> int:
    value = attribute(cell, name)
    return int(value) if value.isdecimal() and len(value) < 5 else 1


def _chart(root: Element) -> str:
    """Return a chart as its titles, and a table of its series."""
    titles = [" ".join(map(_runs, found(each, "p"))).strip() for each in found(root, "title")]
    html = "".join(f"<p>{each}</p>" for each in dict.fromkeys(titles) if each)
    series = list(found(root, "ser"))
    if not series:
        return html
    names = [_values(each, "tx") for each in series]
    columns = [_values(series[0], "cat", "xVal"), *(_values(each, "val", "yVal") for each in series)]
    rows = [
        ["", *(name[0] if name else "" for name in names)],
        *map(list, zip_longest(*columns, fillvalue="")),
    ]
    return html + table(rows[: _POINTS + 1])


def _values(series: Element, *tags: str) -> list[str]:
    """Return the stored values of a part of a series, each at its place."""
    part = next((each for each in series if each.tag in tags), None)
    if part is None:
        return []
    points = list(found(part, "pt"))
    if not points:
        return [shown(each.text or "") for each in found(part, "v")][:_POINTS]
    values: dict[int, str] = {}
    for point in points:
        place = attribute(point, "idx")
        if place.isdecimal() and len(place) < 7 and int(place) <= _POINTS:
            values[int(place)] = shown("".join(point.itertext()).strip())
    return [values.get(index, "") for index in range(max(values, default=-1) + 1)]


def _comments(root: Element, authors: dict[str, str]) -> Iterator[str]:
    for comment in found(root, "cm", "reply"):
        own = [each for each in comment if each.tag in ("text", "txBody")]
        said = " ".join(shown(each.text or "") if each.tag == "text" else _runs(each) for each in own).strip()
        name = authors.get(attribute(comment, "authorId"), "")
        if said:
            by = f" ({shown(name)})" if name else ""
            yield f"<p>Comment{by}: {said}</p>"
