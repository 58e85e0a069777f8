"""Kinds that the content of a file tells, whatever its name: by first bytes, and by members of an archive.

Left out: kinds of text, which the name tells (``formats``).
"""

from __future__ import annotations

from io import BytesIO
from zipfile import ZipFile

from pagefault.ingest.packed import BROKEN

__all__ = ["WORD", "ZIP", "content_media", "text_media"]

WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
ZIP = "application/zip"
_PACKED = b"PK\x03\x04"


def content_media(data: bytes) -> str | None:
    """Return the media type that the content tells for certain; None if it does not."""
    if data.startswith(b"%PDF-"):
        return "application/pdf"
    return _packed_media(data) if data.startswith(_PACKED) else None


def text_media(data: bytes) -> str:
    """Return the media type of text, or of a damaged archive, that neither a name nor a server tells."""
    if data.startswith(_PACKED):
        return ZIP
    head = data[:1024].lstrip().lower()
    return "text/html" if head.startswith((b"<!doctype html", b"<html")) else "text/plain"


def _packed_media(data: bytes) -> str | None:
    """Return the media type of an archive by its members; None if it is of no known kind."""
    try:
        with ZipFile(BytesIO(data)) as archive:
            names = set(archive.namelist())
    except BROKEN:
        return None
    if "word/document.xml" in names:
        return WORD
    return "application/epub+zip" if "META-INF/container.xml" in names else ZIP
