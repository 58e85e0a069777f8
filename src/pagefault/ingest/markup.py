"""HTML, DOCX and EPUB, all through HTML to Markdown. Left out: addresses of links, and pictures."""

from __future__ import annotations

import posixpath
import zlib
from importlib import import_module
from io import BytesIO
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree
from xml.parsers.expat import ExpatError, ParserCreate
from zipfile import BadZipFile, ZipFile

from pagefault.errors import UsageError
from pagefault.ingest.html import read_html
from pagefault.ingest.pages import Extracted, Leaf, paginate
from pagefault.ingest.reading import Reading

__all__ = ["docx", "epub", "html", "zip_media"]

_STYLES = "p[style-name='Title'] => h1:fresh\np[style-name='Subtitle'] => p:fresh"
_LEAST_UNPACKED = 16 << 20  # bytes that an archive may always unpack to
_MOST_UNPACKED = 256 << 20
_MOST_RATIO = 50  # unpacked bytes per packed one; XML has 5 to 20
_MOST_FILES = 20_000
_OLD_OFFICE = b"\xd0\xcf\x11\xe0"  # a container: .doc, or a .docx with a password

# The errors that readers of archives and XML raise for damaged input.
_BROKEN = (
    BadZipFile,
    ExpatError,
    ElementTree.ParseError,
    zlib.error,
    EOFError,
    LookupError,
    AttributeError,
    NotImplementedError,
    OSError,
    RuntimeError,
    StopIteration,
    TypeError,
    ValueError,
)


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
        with _archive(data) as archive:
            title = _text_of(archive, "docProps/core.xml", "title")
            for name in archive.namelist():
                if name.endswith((".xml", ".rels")):
                    _checked(archive.read(name))
        pictures = mammoth.images.img_element(no_picture)
        read = mammoth.convert_to_html(BytesIO(data), style_map=_STYLES, convert_image=pictures)
    except _BROKEN as error:
        raise UsageError(f"It is not a .docx that can be read ({error}); it may be damaged.") from None
    first, leaves = _from_html(str(read.value).encode(), reading, whole=True)
    return Extracted(title or first, leaves, markdown=True)


def epub(data: bytes, reading: Reading) -> Extracted:
    """Read an electronic book: the files of its spine, in order."""
    leaves: list[Leaf] = []
    try:
        with _archive(data) as archive:
            package = _attribute(archive, "META-INF/container.xml", "rootfile", "full-path")
            title = _text_of(archive, package, "title")
            spine = _spine(archive, package)
            if set(spine) & _encrypted(archive):
                raise UsageError("It is encrypted (DRM); only a book without it can be loaded.")
            for name in dict.fromkeys(spine):  # a spine may name a file many times
                leaves += _from_html(archive.read(name), reading, whole=True)[1]
                reading.check(sum(len(leaf.text) for leaf in leaves), len(leaves))
    except _BROKEN as error:
        raise UsageError(f"It is not an EPUB that can be read ({error}); it may be damaged.") from None
    return Extracted(title, tuple(leaves), markdown=True)


def zip_media(data: bytes) -> str | None:
    """Return the media type of an archive by its files, None if it is neither DOCX nor EPUB."""
    try:
        with ZipFile(BytesIO(data)) as archive:
            names = set(archive.namelist())
    except _BROKEN:
        return None
    if "word/document.xml" in names:
        return "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    return "application/epub+zip" if "META-INF/container.xml" in names else None


def _from_html(data: bytes, reading: Reading, *, whole: bool) -> tuple[str, tuple[Leaf, ...]]:
    """Return the title and the pages of one file of HTML."""
    page = read_html(data, whole=whole)
    reading.check(len(page.text))
    return page.title, tuple(paginate(page.text, page.headings, markdown=True))


def _archive(data: bytes) -> ZipFile:
    """Open an archive; ``UsageError`` if it is encrypted or would unpack to too much."""
    archive = ZipFile(BytesIO(data))
    entries = archive.infolist()
    unpacked = sum(entry.file_size for entry in entries)
    allowed = min(_MOST_UNPACKED, max(_LEAST_UNPACKED, _MOST_RATIO * len(data)))
    if unpacked > allowed or len(entries) > _MOST_FILES:
        raise UsageError(
            f"It would unpack to {unpacked >> 20:,} MB, too much for its size; save it anew in smaller parts."
        )
    if any(entry.flag_bits & 1 for entry in entries):
        raise UsageError("It is encrypted; save it without a password.")
    return archive


def _checked(xml: bytes) -> bytes:
    """Return XML that declares no entities, of which a few make gigabytes; ``UsageError`` if it does."""

    def refuse(*_: object) -> None:
        raise UsageError("It declares entities, which no such file needs; save it again from its source.")

    parser = ParserCreate()
    parser.EntityDeclHandler = refuse
    parser.Parse(xml, True)
    return xml


def _elements(archive: ZipFile, name: str) -> list[ElementTree.Element]:
    """Return all elements of an XML file, without their namespaces."""
    elements = list(ElementTree.fromstring(_checked(archive.read(name))).iter())
    for element in elements:
        element.tag = element.tag.rpartition("}")[2]
    return elements


def _text_of(archive: ZipFile, name: str, tag: str) -> str:
    """Return the text of the first such element, empty if there is no such file or element."""
    if name not in archive.namelist():
        return ""
    texts = ("".join(e.itertext()) for e in _elements(archive, name) if e.tag == tag)
    return " ".join(next(texts, "").split())


def _attribute(archive: ZipFile, name: str, tag: str, attribute: str) -> str:
    return next(e.attrib[attribute] for e in _elements(archive, name) if e.tag == tag)


def _spine(archive: ZipFile, package: str) -> list[str]:
    """Return the names of a book's files in reading order."""
    elements, folder = _elements(archive, package), posixpath.dirname(package)
    hrefs = {e.attrib["id"]: e.attrib["href"] for e in elements if e.tag == "item"}
    order = [e.attrib["idref"] for e in elements if e.tag == "itemref"]
    return [posixpath.normpath(posixpath.join(folder, unquote(hrefs[name]))) for name in order]


def _encrypted(archive: ZipFile) -> set[str]:
    if "META-INF/encryption.xml" not in archive.namelist():
        return set()
    references = (e for e in _elements(archive, "META-INF/encryption.xml") if e.tag == "CipherReference")
    return {unquote(reference.attrib["URI"]) for reference in references}
