"""Pages of HTML, and documents that become HTML, to Markdown. Left out: addresses of links, and pictures."""

from __future__ import annotations

from pagefault.ingest.html import declared_encoding, read_html
from pagefault.ingest.pages import Extracted, Leaf, paginate
from pagefault.ingest.reading import Reading

__all__ = ["html", "pages_of"]


def html(data: bytes, reading: Reading) -> Extracted:
    """Read a page of HTML without menus and the like."""
    title, leaves = pages_of(data, reading, whole=False)
    return Extracted(title, leaves, markdown=True)


def pages_of(source: bytes | str, reading: Reading, *, whole: bool) -> tuple[str, tuple[Leaf, ...]]:
    """Return the title and the pages of one file of HTML. ``whole``: it is a part of a document, without a
    site's menus around it."""
    if isinstance(source, bytes):
        source = reading.decode(source, declared_encoding(source))
    page = read_html(source, whole=whole)
    reading.check(len(page.text))
    return page.title, tuple(paginate(page.text, page.headings, markdown=True))
