"""Kinds that the content of a file tells, whatever its name: by first bytes, and by members of an archive.

Left out: kinds of text, which the name tells (``formats``).
"""

from __future__ import annotations

import re
from io import BytesIO
from zipfile import ZipFile

from pagefault.errors import UsageError
from pagefault.ingest.formats.refusals import IWORK, compound_kind, refusal
from pagefault.ingest.packed import BROKEN

__all__ = [
    "EPUB",
    "MAIL",
    "MAILBOX",
    "PPTX",
    "RTF",
    "WORD",
    "XLSX",
    "XML",
    "ZIP",
    "content_media",
    "text_media",
]

_OFFICE = "application/vnd.openxmlformats-officedocument"
WORD = f"{_OFFICE}.wordprocessingml.document"
PPTX = f"{_OFFICE}.presentationml.presentation"
XLSX = f"{_OFFICE}.spreadsheetml.sheet"
EPUB, ZIP, RTF = "application/epub+zip", "application/zip", "application/rtf"
MAIL, MAILBOX, XML = "message/rfc822", "application/mbox", "application/xml"
_OPEN = "application/vnd.oasis.opendocument."

_PACKED = (b"PK\x03\x04", b"PK\x05\x06")
_COMPOUND = b"\xd0\xcf\x11\xe0"
_BY_MEMBER = {
    "word/document.xml": WORD,
    "ppt/presentation.xml": PPTX,
    "xl/workbook.xml": XLSX,
    "xl/workbook.bin": "application/vnd.ms-excel.sheet.binary.macroenabled.12",
    "META-INF/container.xml": EPUB,
}
_REFUSED = {
    "FixedDocSeq.fdseq": "It is an XPS document; print it to PDF.",
    "FixedDocumentSequence.fdseq": "It is an XPS document; print it to PDF.",
    "visio/document.xml": "It is a drawing of Visio; export it as PDF.",
    "AndroidManifest.xml": "It is a program (Android), and no document.",
}
_SMALL = 1 << 20  # bytes of a member that is looked at
_HEADER = re.compile(
    rb"(?i)\A(?:[\w-]{1,60}:[^\r\n]{0,2000}\r?\n(?:[ \t][^\r\n]{0,2000}\r?\n){0,99}){1,40}?"
    rb"(?:message-id|mime-version|received|return-path|subject):"
)
_MAILBOX = re.compile(rb"\AFrom \S{1,300} [^\r\n]{0,300}\d\d:\d\d[^\r\n]{0,60}\r?\n[\w-]{1,60}:")


def content_media(data: bytes) -> str | None:
    """Return the media type that the content tells for certain; None if it does not. ``UsageError`` with the
    way out if the kind is known, and not read."""
    if data.startswith(b"%PDF-"):
        return "application/pdf"
    if data.lstrip()[:5] == b"{\\rtf":
        return RTF
    if data.startswith(_COMPOUND):
        kind = compound_kind(data)
        if kind.why:
            raise UsageError(kind.why)
        return kind.media
    if why := refusal(data):
        raise UsageError(why)
    return _packed_media(data) if data.startswith(_PACKED) else None


def text_media(data: bytes) -> str:
    """Return the media type of text, or of a damaged archive, that neither a name nor a server tells."""
    if data.startswith(_PACKED):
        return ZIP
    head = data[:65536]
    if _MAILBOX.match(head):
        return MAILBOX
    if _HEADER.match(head):
        return MAIL
    if head.startswith(b"WEBVTT"):
        return "text/vtt"
    begin = head[:1024].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if begin.startswith((b"<!doctype html", b"<html")) or (begin.startswith(b"<?xml") and b"<html" in begin):
        return "text/html"
    return XML if begin.startswith(b"<?xml") else "text/plain"


def _packed_media(data: bytes) -> str | None:
    """Return the media type of an archive by its members; None if it is damaged."""
    try:
        with ZipFile(BytesIO(data)) as archive:
            return _media_by_members(archive)
    except BROKEN:
        return None


def _media_by_members(archive: ZipFile) -> str:
    names = archive.NameToInfo
    if found := next((media for name, media in _BY_MEMBER.items() if name in names), ""):
        return found
    stated = _small(archive, "mimetype").decode("ascii", "replace").strip()
    if stated == EPUB:
        return EPUB
    if stated.startswith(_OPEN):
        return stated.removesuffix("-template")
    if why := next((why for name, why in _REFUSED.items() if name in names), ""):
        raise UsageError(why)
    if any(name == "Index.zip" or (name.startswith("Index/") and name.endswith(".iwa")) for name in names):
        raise UsageError(IWORK)
    return _main(_small(archive, "[Content_Types].xml")) or ZIP


def _small(archive: ZipFile, name: str) -> bytes:
    member = archive.NameToInfo.get(name)
    return archive.read(member) if member and member.file_size < _SMALL else b""


def _main(types: bytes) -> str | None:
    """Return the media type that the list of types of an Office file tells."""
    for word, media in ((b"wordprocessingml", WORD), (b"presentationml", PPTX), (b"spreadsheetml", XLSX)):
        if re.search(word + rb"\.\w{1,30}\.main\+xml", types):
            return media
    return None
