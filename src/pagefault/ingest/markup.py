"""HTML, DOCX and EPUB, all through HTML to Markdown. Left out: addresses of links, and pictures."""

from __future__ import annotations

import posixpath
import re
import zlib
from importlib import import_module
from io import BytesIO
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree
from xml.parsers.expat import ExpatError
from zipfile import BadZipFile, ZipFile

from pagefault.errors import UsageError
from pagefault.ingest.pages import Extracted, Leaf, clean, markdown_headings, paginate

__all__ = ["docx", "epub", "html", "zip_media"]

_PROLOG = re.compile(r"\s*<\?xml[^>]*\?>")
_NOT_CONTENT = ["script", "style", "noscript", "template", "nav", "footer", "aside", "form", "iframe", "svg"]
_STYLES = "p[style-name='Title'] => h1:fresh\np[style-name='Subtitle'] => p:fresh"
_LEAST_UNPACKED, _MOST_UNPACKED = (
    16 << 20,
    256 << 20,
)  # bytes that are always allowed, and never, for an unpacked archive
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


def html(data: bytes) -> Extracted:
    """Read a page of HTML without menus and the like; its title is the first ``h1``, else ``title``."""
    title, leaves = _from_html(data)
    return Extracted(title, leaves, markdown=True)


def docx(data: bytes) -> Extracted:
    """Read a Word document."""
    if data.startswith(_OLD_OFFICE):
        raise UsageError("It is encrypted, or an old .doc; save it as .docx without a password.")
    mammoth: Any = import_module("mammoth")

    def no_picture(_: Any) -> dict[str, str]:
        return {"src": ""}

    try:
        with _archive(data) as archive:
            title = _text_of(archive, "docProps/core.xml", "title")
        pictures = mammoth.images.img_element(no_picture)
        read = mammoth.convert_to_html(BytesIO(data), style_map=_STYLES, convert_image=pictures)
    except _BROKEN as error:
        raise UsageError(f"It is not a .docx that can be read ({error}); it may be damaged.") from None
    first, leaves = _from_html(str(read.value).encode())
    return Extracted(title or first, leaves, markdown=True)


def epub(data: bytes) -> Extracted:
    """Read an electronic book: the files of its spine, in order."""
    leaves: list[Leaf] = []
    try:
        with _archive(data) as archive:
            package = _attribute(archive, "META-INF/container.xml", "rootfile", "full-path")
            title = _text_of(archive, package, "title")
            spine = _spine(archive, package)
            if set(spine) & _encrypted(archive):
                raise UsageError("It is encrypted (DRM); only a book without it can be loaded.")
            for name in spine:
                leaves += _from_html(archive.read(name))[1]
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


def _from_html(data: bytes) -> tuple[str, tuple[Leaf, ...]]:
    """Return the title and the pages of one file of HTML."""
    from bs4 import BeautifulSoup, UnicodeDammit
    from markdownify import MarkdownConverter

    source = UnicodeDammit(data, is_html=True).unicode_markup or ""
    if "<" not in source:
        return "", tuple(paginate(clean(source), (), markdown=True))
    soup = BeautifulSoup(_PROLOG.sub("", source, count=1), "html.parser")
    for tag in soup(_NOT_CONTENT):
        tag.decompose()
    body = soup.main or (soup.article if len(soup("article")) == 1 else None) or soup.body or soup
    named = soup.h1 or soup.title
    title = " ".join(named.get_text(" ").split()) if named else ""
    if soup.head:
        soup.head.decompose()
    converter = MarkdownConverter(
        heading_style="ATX",
        bullets="-",
        strip=["a", "img"],
        escape_asterisks=False,
        escape_underscores=False,
    )
    try:
        converted = converter.convert_soup(body)
    except RecursionError:  # tags nested too deeply; keep the words
        converted = soup.get_text("\n")
    text = clean(converted).strip()
    return title, tuple(paginate(text, markdown_headings(text), markdown=True))


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


def _elements(archive: ZipFile, name: str) -> list[ElementTree.Element]:
    """Return all elements of an XML file, without their namespaces."""
    elements = list(ElementTree.fromstring(archive.read(name)).iter())
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
