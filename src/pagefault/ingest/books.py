"""Electronic books (EPUB): the files of the spine in order, then others that it leaves out, through HTML.

A file that is missing or damaged costs that chapter, and is named. Left out: pictures, and books with DRM.
"""

from __future__ import annotations

import posixpath
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from urllib.parse import quote, unquote, urldefrag
from xml.etree import ElementTree
from zipfile import BadZipFile, ZipFile

from pagefault.errors import UsageError
from pagefault.ingest.markup import pages_of
from pagefault.ingest.packed import BROKEN, checked, elements, opened
from pagefault.ingest.pages import Extracted, Heading, Leaf
from pagefault.ingest.reading import Reading
from pagefault.quoting import inline

__all__ = ["epub"]

_TEXT = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml")
_SUFFIXES = (".xhtml", ".html", ".htm")
_NAMED = 10  # missing items that a note names
_LOST = (BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, RuntimeError, KeyError)


@dataclass(frozen=True, slots=True)
class _Item:
    """A file of a book as its package lists it."""

    name: str
    media: str
    properties: str


def epub(data: bytes, reading: Reading) -> Extracted:
    """Read an electronic book."""
    try:
        with opened(data) as archive:
            package = _package(archive)
            book = _Book(archive, package, reading)
            title, leaves = book.title, tuple(book.leaves())
    except BROKEN as error:
        raise UsageError(f"It is not an EPUB that can be read ({error}); it may be damaged.") from None
    if not leaves:
        why = " ".join(("It has no chapter that can be read; get it anew.", *reading.notes[:_NAMED]))
        raise UsageError(why)
    return Extracted(title, leaves, markdown=True)


def _package(archive: ZipFile) -> str:
    """Return the name of the file that lists the others, as far as the archive tells."""
    named = ""
    with suppress(*BROKEN):
        found = elements(archive, "META-INF/container.xml")
        named = next(each.attrib["full-path"] for each in found if each.tag == "rootfile")
    if named in archive.namelist():
        return named
    return next((name for name in archive.namelist() if name.lower().endswith(".opf")), named)


class _Book:
    def __init__(self, archive: ZipFile, package: str, reading: Reading) -> None:
        self._archive = archive
        self._reading = reading
        self._held = set(archive.namelist())
        self._folded = {name.casefold(): name for name in archive.namelist()}
        self._empty: list[str] = []
        found, folder = self._listed(package), posixpath.dirname(package)
        self.title = next((" ".join("".join(e.itertext()).split()) for e in found if e.tag == "title"), "")
        self._items = {
            each.get("id", ""): _Item(
                self._name(_within(folder, each.get("href", ""))),
                each.get("media-type", ""),
                each.get("properties", ""),
            )
            for each in found
            if each.tag == "item"
        }
        self._spine = [each.get("idref", "") for each in found if each.tag == "itemref"]
        self._titles = dict(self._navigation())

    def _listed(self, package: str) -> list[ElementTree.Element]:
        """Return the elements of the package; if it is damaged, items for the texts by their names, if there
        are any."""
        texts = sorted(name for name in self._held if name.lower().endswith(_SUFFIXES))
        try:
            return elements(self._archive, package)
        except BROKEN:
            if not texts:
                raise
            self._reading.note("Its list of chapters cannot be read; they are in the order of their names.")
        return [
            ElementTree.Element(
                "item",
                {
                    "id": name,
                    "href": quote(posixpath.relpath(name, posixpath.dirname(package) or ".")),
                    "media-type": _TEXT[0],
                },
            )
            for name in texts
        ]

    def _name(self, name: str) -> str:
        """Return the file's name as the archive spells it."""
        return name if name in self._held else self._folded.get(name.casefold(), name)

    def leaves(self) -> Iterator[Leaf]:
        """Yield the pages of the chapters."""
        names, unknown = list[str](), list[str]()
        for idref in dict.fromkeys(self._spine):  # a spine may name a file many times
            if idref in self._items:
                names.append(self._items[idref].name)
            else:
                unknown.append(idref)
        if set(names) & _encrypted(self._archive):
            raise UsageError("It is encrypted (DRM); only a book without it can be loaded.")
        if unknown:
            self._note("Its order of chapters names items that it does not list", unknown)
        size = pages = 0
        for name in dict.fromkeys([*names, *self._beside()]):
            for leaf in self._chapter(name):
                size, pages = size + len(leaf.text), pages + 1
                self._reading.check(size, pages)
                yield leaf
        if empty := [name for name in names if name in self._empty]:
            self._note("Chapters without text (pictures)", empty)

    def _chapter(self, name: str) -> tuple[Leaf, ...]:
        if name not in self._held:
            self._note("Chapters that are missing in it", [name])
            return ()
        try:
            data = self._archive.read(name)
        except _LOST:
            self._note("Chapters that cannot be read (damaged)", [name])
            return ()
        found = pages_of(data, self._reading, whole=True)[1]
        if not any(leaf.text.strip() for leaf in found):
            self._empty.append(name)
        title = self._titles.get(name, "")
        if not found or not title or any(leaf.headings for leaf in found):
            return found
        head = f"# {title}\n\n"
        first = replace(found[0], text=head + found[0].text, headings=(Heading(0, title),))
        return (first, *(replace(leaf, headings=(Heading(0, title),)) for leaf in found[1:]))

    def _beside(self) -> Iterator[str]:
        """Yield the texts that may not be in the spine, such as notes that a chapter leads to."""
        for item in self._items.values():
            if item.media in _TEXT and item.name in self._held and "nav" not in item.properties.split():
                yield item.name

    def _navigation(self) -> Iterator[tuple[str, str]]:
        """Yield the names of chapters by their files, the first of each file last."""
        for item in self._items.values():
            if item.name not in self._held:
                continue
            try:
                if item.media == "application/x-dtbncx+xml":
                    yield from reversed(list(_ncx(self._archive, item.name)))
                elif "nav" in item.properties.split():
                    yield from reversed(list(_nav(self._archive, item.name)))
            except BROKEN:
                self._note("Lists of chapters that cannot be read", [item.name])

    def _note(self, what: str, names: list[str]) -> None:
        shown = ", ".join(inline(name, 100) for name in names[:_NAMED])
        self._reading.note(f"{what}: {shown}{', ...' if len(names) > _NAMED else ''}.")


def _within(folder: str, href: str) -> str:
    return posixpath.normpath(posixpath.join(folder, unquote(urldefrag(href)[0])))


def _ncx(archive: ZipFile, name: str) -> Iterator[tuple[str, str]]:
    """Yield file and title of each entry of an NCX."""
    folder, label = posixpath.dirname(name), ""
    for element in elements(archive, name):
        if element.tag == "text":
            label = " ".join("".join(element.itertext()).split())
        elif element.tag == "content" and label:
            yield _within(folder, element.get("src", "")), label


def _nav(archive: ZipFile, name: str) -> Iterator[tuple[str, str]]:
    """Yield file and title of each link of a navigation document."""
    root, folder = ElementTree.fromstring(checked(archive.read(name))), posixpath.dirname(name)
    for link in root.iter("{http://www.w3.org/1999/xhtml}a"):
        if (label := " ".join("".join(link.itertext()).split())) and (href := link.get("href", "")):
            yield _within(folder, href), label


def _encrypted(archive: ZipFile) -> set[str]:
    if "META-INF/encryption.xml" not in archive.namelist():
        return set()
    references = (e for e in elements(archive, "META-INF/encryption.xml") if e.tag == "CipherReference")
    return {unquote(reference.attrib["URI"]) for reference in references}
