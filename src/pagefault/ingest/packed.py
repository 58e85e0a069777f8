"""Packed files (ZIP) and the XML in them: opened within bounds, and checked before they are read.

Left out: what the members say (``markup``, ``formats``).
"""

from __future__ import annotations

import zlib
from io import BytesIO
from types import TracebackType
from xml.etree import ElementTree
from xml.parsers.expat import ExpatError, ParserCreate
from zipfile import BadZipFile, ZipFile

from pagefault.errors import UsageError
from pagefault.ingest.pages import MOST_UNPACKED

__all__ = ["BROKEN", "LibraryFaults", "checked", "elements", "opened", "text_of"]

_LEAST_UNPACKED = 16 << 20  # bytes that an archive may always unpack to
_MOST_RATIO = 50  # unpacked bytes per packed one; XML has 5 to 20
_MOST_FILES = 20_000

# The errors that readers of archives and XML raise for damaged input.
BROKEN = (
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


class LibraryFaults:
    """A wall around a library whose faults are of no kind that can be caught: a bare ``Exception``, and what
    fails in its Rust. They are refused as damage of the file; ``sentence`` has a place for the fault."""

    def __init__(self, sentence: str) -> None:
        self._sentence = sentence

    def __enter__(self) -> None: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if kind is Exception or (kind is not None and kind.__name__ == "PanicException"):
            raise UsageError(self._sentence.format(str(error)[:200])) from None


def opened(data: bytes, *, members_encrypted: bool = False) -> ZipFile:
    """Open an archive; ``UsageError`` if it would unpack to too much, or is encrypted and must not be."""
    archive = ZipFile(BytesIO(data))
    entries = archive.infolist()
    if data.startswith(b"PK\3\4") and entries and min(entry.header_offset for entry in entries) > 0:
        raise UsageError("Its list of files is cut off; get it anew.")  # that of an archive within is found
    unpacked = sum(entry.file_size for entry in entries)
    allowed = min(MOST_UNPACKED, max(_LEAST_UNPACKED, _MOST_RATIO * len(data)))
    if unpacked > allowed or len(entries) > _MOST_FILES:
        raise UsageError(
            f"It would unpack to {unpacked >> 20:,} MB, too much for its size; save it anew in smaller parts."
        )
    if not members_encrypted and any(entry.flag_bits & 1 for entry in entries):
        raise UsageError("It is encrypted; save it without a password.")
    return archive


def checked(xml: bytes) -> bytes:
    """Return XML that declares no entities, of which a few make gigabytes; ``UsageError`` if it does."""

    def refuse(*_: object) -> None:
        raise UsageError("It declares entities, which no such file needs; save it again from its source.")

    parser = ParserCreate()
    parser.EntityDeclHandler = refuse
    parser.Parse(xml, True)
    return xml


def elements(archive: ZipFile, name: str) -> list[ElementTree.Element]:
    """Return all elements of an XML file, without their namespaces."""
    found = list(ElementTree.fromstring(checked(archive.read(name))).iter())
    for element in found:
        element.tag = element.tag.rpartition("}")[2]
    return found


def text_of(archive: ZipFile, name: str, tag: str) -> str:
    """Return the text of the first such element; empty without such an element, or if the file is damaged."""
    if name not in archive.namelist():
        return ""
    try:
        texts = ("".join(e.itertext()) for e in elements(archive, name) if e.tag == tag)
        return " ".join(next(texts, "").split())
    except BROKEN:
        return ""
