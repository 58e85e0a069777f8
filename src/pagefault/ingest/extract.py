"""A file's bytes to its title and pages: its kind, and the reader of that kind.

Left out: the kinds (``formats``) and their readers.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import PurePosixPath

from pagefault.errors import UsageError
from pagefault.ingest.formats import BY_MEDIA, FORMATS, declared_media, suffix_media
from pagefault.ingest.formats.sniffing import content_media, text_media
from pagefault.ingest.pages import Extracted
from pagefault.ingest.reading import Reading

__all__ = ["extract", "is_known", "media_of", "need_extra"]

_MODULES = {
    "chardet",
    "httpx2",
    "semantic_text_splitter",
    *(name for each in FORMATS for name in each.modules),
}


def need_extra() -> None:
    """Raise ``UsageError`` if packages that loading needs are not installed."""
    if missing := sorted(name for name in _MODULES if find_spec(name) is None):
        raise UsageError(
            f"Loading documents needs further packages ({', '.join(missing)}); "
            "run: pip install 'pagefault[documents]'"
        )


def is_known(name: str) -> bool:
    """Return True if files of this name are loaded from a folder."""
    return suffix_media(PurePosixPath(name).suffix.lower()) is not None


def media_of(name: str, declared: str, data: bytes) -> str:
    """Return the media type by the first of: the content, the name's suffix, the type that a server declared,
    plain text."""
    return (
        content_media(data)
        or suffix_media(PurePosixPath(name).suffix.lower())
        or declared_media(declared)
        or text_media(data)
    )


def extract(data: bytes, media: str, reading: Reading) -> Extracted:
    """Read a document; a ``UsageError`` has the reason if that fails. Its notes come with it."""
    if not data.strip():
        raise UsageError("It is empty.")
    read = BY_MEDIA[media].read(data, reading)
    reading.check(sum(len(leaf.text) for leaf in read.leaves), len(read.leaves))
    if not any(leaf.text.strip() for leaf in read.leaves):
        raise UsageError("There is no text in it.")
    return replace(read, notes=tuple(reading.notes))
