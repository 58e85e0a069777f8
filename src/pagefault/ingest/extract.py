"""A file's bytes to its title and pages: its kind, and the reader of that kind.

Left out: the kinds (``formats``) and their readers.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import PurePosixPath

from pagefault.errors import UsageError
from pagefault.ingest.formats import BY_MEDIA, FORMATS, KINDS, declared_media, kind_media, suffix_media
from pagefault.ingest.formats.code import language_of
from pagefault.ingest.formats.refusals import suffix_refusal
from pagefault.ingest.formats.sniffing import MAIL, WORD, XLSX, XML, content_media, text_media
from pagefault.ingest.pages import Extracted, ReadPart, clean
from pagefault.ingest.reading import Reading

__all__ = ["check_kind", "extract", "media_of", "need_extra", "part_with_reason", "unknown"]

_MODULES = {
    "chardet",
    "httpx2",
    "semantic_text_splitter",
    *(name for each in FORMATS for name in each.modules),
}

_CONTAINERS = frozenset((WORD, XLSX, "application/vnd.ms-excel"))
_PAGES = frozenset(("text/html", XML, MAIL))
_BINARY = (b"PK", b"\xd0\xcf\x11\xe0")


def need_extra() -> None:
    """Raise ``UsageError`` if packages that loading needs are not installed."""
    if missing := sorted(name for name in _MODULES if find_spec(name) is None):
        raise UsageError(
            f"Loading documents needs further packages ({', '.join(missing)}); "
            "run: pip install 'pagefault[documents]'"
        )


def check_kind(kind: str) -> None:
    """Raise ``UsageError`` if there is no such kind of text."""
    if kind and kind not in KINDS:
        raise UsageError(f"There is no kind {kind[:40]!r}; it is one of {', '.join(KINDS)}.")


def unknown(name: str, kind: str) -> str:
    """Return the reason if files of this name are not loaded from a folder; empty if they are."""
    if suffix_media(PurePosixPath(name).suffix.lower()) or (language_of(name) and kind == "code"):
        return ""
    if language_of(name):
        return "It is source code; load it with --as code."
    if why := suffix_refusal(PurePosixPath(name).suffix.lower()):
        return why
    return "Its kind is unknown; name it to load it as text."


def part_with_reason(part: ReadPart, kind: str) -> ReadPart:
    """Return a document within another; if its kind is unknown, with the reason in place of its bytes."""
    try:
        known = part.why or part.skip or content_media(part.data) or declared_media(part.declared)
        why = "" if known else unknown(part.name, kind)
    except UsageError as error:
        why = str(error)
    return replace(part, data=b"", skip=why.replace("name it", "unpack and name it")) if why else part


def media_of(name: str, declared: str, data: bytes, kind: str = "") -> str:
    """Return the media type by the first of: the content, the kind that was asked for, the name's suffix, the
    type that a server declared, plain text."""
    stated = kind_media(kind, name) or suffix_media(PurePosixPath(name).suffix.lower())
    found = content_media(data) or stated or declared_media(declared) or text_media(data)
    if found in _CONTAINERS and not data.startswith(_BINARY):
        return (
            text_media(data) if text_media(data) in _PAGES else found
        )  # programs name pages .xls, and text .doc
    return found


def extract(data: bytes, media: str, reading: Reading) -> Extracted:
    """Read a document; a ``UsageError`` has the reason if that fails. Its notes come with it."""
    if not data.strip():
        raise UsageError("It is empty.")
    read = BY_MEDIA[media].read(data, reading)
    reading.check(sum(len(leaf.text) for leaf in read.leaves), len(read.leaves))
    if not read.parts and not any(leaf.text.strip() for leaf in read.leaves):
        raise UsageError("There is no text in it.")
    return replace(read, title=clean(read.title), notes=tuple(map(clean, reading.notes)))
