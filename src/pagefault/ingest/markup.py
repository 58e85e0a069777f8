"""HTML, DOCX and EPUB, all through HTML to Markdown. Left out: addresses of links, and pictures."""

from __future__ import annotations

import posixpath
from importlib import import_module
from io import BytesIO
from typing import Any
from urllib.parse import unquote
from zipfile import ZipFile

from pagefault.errors import UsageError
from pagefault.ingest.html import read_html
from pagefault.ingest.packed import BROKEN, checked, elements, opened, text_of
from pagefault.ingest.pages import Extracted, Leaf, paginate
from pagefault.ingest.reading import Reading

__all__ = ["docx", "epub", "html"]

_STYLES = "p[style-name='Title'] => h1:fresh\np[style-name='Subtitle'] => p:fresh"
_OLD_OFFICE = b"\xd0\xcf\x11\xe0"  # a container: .doc, or a .docx with a password


def html(data: bytes, reading: Reading) -> Extracted:
    """Read a page of HTML without menus and the like; its title is the first ``h1``, else ``title``."""
    title, leaves = _from_html(data, reading, whole=False)
    return Extracted(title, leaves, markdown=True)


def docx(data: bytes, reading: Reading) -> Extracted:
    """Read a Word document."""
    if data.startswith(_OLD_OFFICE):
        raise UsageError("It is encrypted, or an old .doc; save it as .docx without a password.")
    mammoth: Any = import_module("mammoth")

    def no_picture(_: Any) -> dict[str, str]:
        return {"src": ""}

    try:
        with opened(data) as archive:
            title = text_of(archive, "docProps/core.xml", "title")
            for name in archive.namelist():
                if name.endswith((".xml", ".rels")):
                    checked(archive.read(name))
        pictures = mammoth.images.img_element(no_picture)
        read = mammoth.convert_to_html(BytesIO(data), style_map=_STYLES, convert_image=pictures)
    except BROKEN as error:
        raise UsageError(f"It is not a .docx that can be read ({error}); it may be damaged.") from None
    first, leaves = _from_html(str(read.value).encode(), reading, whole=True)
    return Extracted(title or first, leaves, markdown=True)


def epub(data: bytes, reading: Reading) -> Extracted:
    """Read an electronic book: the files of its spine, in order."""
    leaves: list[Leaf] = []
    try:
        with opened(data) as archive:
            package = _attribute(archive, "META-INF/container.xml", "rootfile", "full-path")
            title = text_of(archive, package, "title")
            spine = _spine(archive, package)
            if set(spine) & _encrypted(archive):
                raise UsageError("It is encrypted (DRM); only a book without it can be loaded.")
            for name in dict.fromkeys(spine):  # a spine may name a file many times
                leaves += _from_html(archive.read(name), reading, whole=True)[1]
                reading.check(sum(len(leaf.text) for leaf in leaves), len(leaves))
    except BROKEN as error:
        raise UsageError(f"It is not an EPUB that can be read ({error}); it may be damaged.") from None
    return Extracted(title, tuple(leaves), markdown=True)


def _from_html(data: bytes, reading: Reading, *, whole: bool) -> tuple[str, tuple[Leaf, ...]]:
    """Return the title and the pages of one file of HTML."""
    page = read_html(data, whole=whole)
    reading.check(len(page.text))
    return page.title, tuple(paginate(page.text, page.headings, markdown=True))


def _attribute(archive: ZipFile, name: str, tag: str, attribute: str) -> str:
    return next(e.attrib[attribute] for e in elements(archive, name) if e.tag == tag)


def _spine(archive: ZipFile, package: str) -> list[str]:
    """Return the names of a book's files in reading order."""
    every, folder = elements(archive, package), posixpath.dirname(package)
    hrefs = {e.attrib["id"]: e.attrib["href"] for e in every if e.tag == "item"}
    order = [e.attrib["idref"] for e in every if e.tag == "itemref"]
    return [posixpath.normpath(posixpath.join(folder, unquote(hrefs[name]))) for name in order]


def _encrypted(archive: ZipFile) -> set[str]:
    if "META-INF/encryption.xml" not in archive.namelist():
        return set()
    references = (e for e in elements(archive, "META-INF/encryption.xml") if e.tag == "CipherReference")
    return {unquote(reference.attrib["URI"]) for reference in references}
