"""The XML of packed files as trees without namespaces, what a part refers to, and trees as HTML.

An Office file keeps beside each part the list of parts that it refers to; references to what is outside of
the file are left out, and never followed. Left out: what the elements mean.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import unquote
from xml.etree import ElementTree
from zipfile import ZipFile

from pagefault.ingest.html import read_html
from pagefault.ingest.packed import checked

if TYPE_CHECKING:
    from pagefault.ingest.html import HtmlPage
    from pagefault.ingest.reading import Reading

__all__ = [
    "Element",
    "attribute",
    "bare",
    "found",
    "page_of",
    "reference",
    "references",
    "shown",
    "table",
    "tree",
]

Element = ElementTree.Element


def tree(data: bytes) -> Element:
    """Return the root of an XML document; ``UsageError`` if it declares entities."""
    root = ElementTree.fromstring(checked(data))
    for element in root.iter():
        bare(element)
    return root


def bare(element: Element) -> None:
    """Take the namespace from an element's tag; its attributes are also there without theirs."""
    element.tag = element.tag.rpartition("}")[2]
    if any("}" in name for name in element.attrib):
        for name in list(element.attrib):
            element.attrib.setdefault(name.rpartition("}")[2], element.attrib[name])


def found(element: Element, *tags: str) -> Iterator[Element]:
    """Yield the descendants with one of these tags, in order."""
    return (each for each in element.iter() if each.tag in tags)


def attribute(element: Element | None, name: str) -> str:
    """Return an attribute, whatever its namespace; empty if there is none."""
    return "" if element is None else element.attrib.get(name, "")


def reference(element: Element, name: str = "id") -> str:
    """Return the attribute that refers to another part: the one of this name that has a namespace."""
    return next((value for key, value in element.attrib.items() if key.endswith("}" + name)), "")


def references(archive: ZipFile, part: str) -> dict[str, tuple[str, str]]:
    """Return what a part of an Office file refers to within the file: kind and name of part, by id."""
    folder, file = posixpath.split(part)
    name = posixpath.join(folder, "_rels", f"{file}.rels")
    if name not in archive.NameToInfo:
        return {}
    targets: dict[str, tuple[str, str]] = {}
    for each in found(tree(archive.read(name)), "Relationship"):
        if attribute(each, "TargetMode") != "External":
            target = posixpath.join("/", folder, unquote(attribute(each, "Target")))
            target = posixpath.normpath(target).lstrip("/")
            kind = attribute(each, "Type").rpartition("/")[2]
            if target in archive.NameToInfo:
                targets[attribute(each, "Id")] = kind, target
    return targets


def shown(text: str) -> str:
    """Return text as it stands in HTML."""
    return escape(text, quote=False)


def table(rows: list[list[str]]) -> str:
    """Return rows of cells, each HTML already, as an HTML table."""
    cells = ("".join(f"<td>{cell}</td>" for cell in row) for row in rows)
    return f"<table>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"


def page_of(html: str, reading: Reading) -> HtmlPage:
    """Return HTML made here as Markdown with its headings."""
    page = read_html(html.encode("utf-8", "replace").decode(), whole=True)
    reading.check(len(page.text))
    return page
