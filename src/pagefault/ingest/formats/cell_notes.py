"""The text that a workbook shows beside its cells: comments, text boxes, controls, charts' titles, headers.

XLSX is read here; ODS and XLS have modules of their own, and of XLSB comments are left out, with a note.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING
from xml.etree import ElementTree
from zipfile import ZipFile

from pagefault.ingest.formats.margins import sheet_margins
from pagefault.ingest.formats.ods_notes import open_sheet_notes
from pagefault.ingest.formats.trees import Element, attribute, found, reference, references, tree
from pagefault.ingest.formats.xls_notes import old_sheet_notes
from pagefault.ingest.packed import BROKEN, opened

if TYPE_CHECKING:
    from pagefault.ingest.reading import Reading

__all__ = ["sheet_notes"]


def sheet_notes(data: bytes, reading: Reading) -> Mapping[str, Sequence[str]]:
    """Return the lines of each sheet that has some, by its name; those of all sheets under the empty one."""
    try:
        if not data.startswith(b"PK"):
            found = old_sheet_notes(data)
            if found.left_out:
                reading.note("It is of Excel 95 or older: text boxes and controls in it are not read.")
            return found.lines
        with opened(data) as archive:
            if "content.xml" in archive.NameToInfo:
                return open_sheet_notes(archive)
            return _package_notes(archive, reading) if "[Content_Types].xml" in archive.NameToInfo else {}
    except BROKEN as error:
        reading.note(f"The comments and text boxes of its sheets cannot be read ({error}).")
        return {}


def _package_notes(archive: ZipFile, reading: Reading) -> dict[str, list[str]]:
    main = next((name for kind, name in references(archive, "").values() if kind == "officeDocument"), "")
    parts = references(archive, main)
    if not main.endswith(".xml"):
        return _binary_notes(archive, parts, reading)
    people = [tree(archive.read(name)) for kind, name in parts.values() if kind == "person"]
    names = {
        attribute(p, "id"): attribute(p, "displayName") for root in people for p in found(root, "person")
    }
    notes: dict[str, list[str]] = {}
    for sheet in found(tree(archive.read(main)), "sheet"):
        _, part = parts.get(reference(sheet), ("", ""))
        if part and (lines := [*_lines(archive, part, names), *sheet_margins(archive.read(part))]):
            notes[attribute(sheet, "name")] = lines
    return notes


def _binary_notes(
    archive: ZipFile, parts: dict[str, tuple[str, str]], reading: Reading
) -> dict[str, list[str]]:
    """Return the text of the drawings of a binary workbook, of which the rest is no XML."""
    lines, comments = list[str](), 0
    for _, part in (each for each in parts.values() if each[0] in ("worksheet", "chartsheet")):
        for kind, name in references(archive, part).values():
            comments += kind == "comments"
            lines += _drawn(archive, name) if kind == "drawing" else ()
    if comments:
        reading.note("Comments of cells are not read from .xlsb; save it as .xlsx for them.")
    return {"": lines} if lines else {}


def _lines(archive: ZipFile, part: str, people: dict[str, str]) -> Iterator[str]:
    beside = list(references(archive, part).values())
    threaded = any(kind == "threadedComment" for kind, _ in beside)
    for kind, name in beside:
        if kind == "threadedComment":
            for each in found(tree(archive.read(name)), "threadedComment"):
                yield _comment(each, people.get(attribute(each, "personId"), ""))
        elif kind == "comments" and not threaded:  # else they repeat the threads
            yield from _comments(tree(archive.read(name)))
        elif kind == "drawing":
            yield from _drawn(archive, name)
        elif kind == "vmlDrawing":
            yield from _controls(archive.read(name))


def _controls(vml: bytes) -> Iterator[str]:
    """Yield the words of buttons, check boxes and the like; comments are drawn so too."""
    try:
        shapes = list(found(tree(vml), "shape"))
    except ElementTree.ParseError:  # old programs write HTML into it
        shapes = []
    for shape in shapes:
        about = next(found(shape, "ClientData"), Element("none"))
        boxes = (" ".join(each.itertext()) for each in found(shape, "textbox"))
        said = " ".join(" ".join(boxes).split())
        if said and attribute(about, "ObjectType") not in ("Note", ""):
            is_box = attribute(about, "ObjectType") in ("Checkbox", "Radio")
            checked = any((each.text or "").strip() == "1" for each in found(about, "Checked"))
            yield f"{'☒ ' if checked else '☐ '}{said}" if is_box else said


def _comments(root: Element) -> Iterator[str]:
    authors = {str(number): each.text or "" for number, each in enumerate(found(root, "author"))}
    return (_comment(each, authors.get(attribute(each, "authorId"), "")) for each in found(root, "comment"))


def _comment(element: Element, author: str) -> str:
    said = "".join(each.text or "" for each in found(element, "t", "text"))
    by = f" ({author.strip()})" if author.strip() else ""
    return f"Comment at {attribute(element, 'ref')}{by}: {' '.join(said.split())}"


def _drawn(archive: ZipFile, name: str) -> Iterator[str]:
    for paragraph in found(tree(archive.read(name)), "p"):
        if said := _said(paragraph):
            yield said
    for kind, chart in references(archive, name).values():
        if kind == "chart":
            for title in found(tree(archive.read(chart)), "title"):
                if said := _said(title):
                    yield f"Chart: {said}"


def _said(element: Element) -> str:
    return " ".join("".join(each.text or "" for each in found(element, "t")).split())
