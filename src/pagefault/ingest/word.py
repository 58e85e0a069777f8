"""Word documents by ``mammoth``, through HTML to Markdown, after ``word_parts`` wrote out what it leaves out.

Left out: pictures, deleted text.
"""

from __future__ import annotations

import re
from importlib import import_module
from io import BytesIO
from typing import Any
from zipfile import ZipFile

from pagefault.errors import UsageError
from pagefault.ingest.formats.margins import word_margins
from pagefault.ingest.formats.trees import shown
from pagefault.ingest.markup import pages_of
from pagefault.ingest.packed import BROKEN, checked, opened, text_of
from pagefault.ingest.pages import Extracted
from pagefault.ingest.reading import Reading
from pagefault.ingest.word_parts import plainer

__all__ = ["docx"]

_STYLES = "p[style-name='Title'] => h1:fresh\np[style-name='Subtitle'] => p:fresh\ncomment-reference => sup"
_BACK = re.compile(r'<a href="#(?:footnote|endnote|comment)-ref-[^"<>]{0,99}">↑</a>')  # of a note
_ASIDE = re.compile(
    r"docProps/\S{1,99}|customXml/\S{1,99}|word/(?!document\.xml)[^/]{1,99}\.xml|word/theme/\S{1,99}"
)
_OLD_OFFICE = b"\xd0\xcf\x11\xe0"  # a container: .doc, or a .docx with a password


def _damaged(archive: ZipFile, reading: Reading) -> set[str]:
    """Check the XML of a document, and return the parts that are damaged and that it can be read without."""
    damaged = set[str]()
    for name in archive.namelist():
        try:
            if name.endswith((".xml", ".rels")):
                checked(archive.read(name))
        except BROKEN as error:
            if not _ASIDE.fullmatch(name):
                raise
            damaged.add(name)
            reading.note(f"A part of it is damaged, and left out ({name}: {error}).")
    return damaged


def docx(data: bytes, reading: Reading) -> Extracted:
    """Read a Word document; its comments, notes, headers and footers come at the end."""
    if data.startswith(_OLD_OFFICE):
        raise UsageError("It is encrypted, or an old .doc; save it as .docx without a password.")
    mammoth: Any = import_module("mammoth")

    def no_picture(_: Any) -> dict[str, str]:
        return {"src": ""}

    try:
        with opened(data) as archive:
            title = text_of(archive, "docProps/core.xml", "title")
            damaged = _damaged(archive, reading)
            plain = plainer(archive, damaged)
            margins = "".join(f"<p>{shown(line)}</p>" for line in word_margins(archive, damaged))
        pictures = mammoth.images.img_element(no_picture)
        read = mammoth.convert_to_html(BytesIO(plain), style_map=_STYLES, convert_image=pictures)
    except BROKEN as error:
        raise UsageError(f"It is not a .docx that can be read ({error}); it may be damaged.") from None
    first, leaves = pages_of(_BACK.sub("", str(read.value)) + margins, reading, whole=True)
    return Extracted(title or first, leaves, markdown=True)
