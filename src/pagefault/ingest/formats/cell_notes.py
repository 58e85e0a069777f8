"""The text that a sheet of an XLSX file shows beside its cells: comments, text boxes, titles of charts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from zipfile import ZipFile

from pagefault.ingest.formats.trees import Element, attribute, found, reference, references, tree

__all__ = ["SheetNotes", "sheet_notes"]


@dataclass(frozen=True, slots=True)
class SheetNotes:
    """Lines of text, in the order of the file."""

    lines: tuple[str, ...] = ()


def sheet_notes(archive: ZipFile) -> dict[str, SheetNotes]:
    """Return the notes of each sheet that has some, by the sheet's name."""
    main = next((name for kind, name in references(archive, "").values() if kind == "officeDocument"), "")
    if not main.endswith(".xml"):  # a binary workbook
        return {}
    parts = references(archive, main)
    people = [tree(archive.read(name)) for kind, name in parts.values() if kind == "person"]
    names = {
        attribute(p, "id"): attribute(p, "displayName") for root in people for p in found(root, "person")
    }
    notes: dict[str, SheetNotes] = {}
    for sheet in found(tree(archive.read(main)), "sheet"):
        _, part = parts.get(reference(sheet), ("", ""))
        if part and (lines := tuple(_lines(archive, part, names))):
            notes[attribute(sheet, "name")] = SheetNotes(lines)
    return notes


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
