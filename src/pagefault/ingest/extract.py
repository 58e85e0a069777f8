"""A file's bytes to its title and pages: its kind, and the reader of that kind.

Left out: the readers (``plain``, ``pdf``, ``markup``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import PurePosixPath

from pagefault.errors import UsageError
from pagefault.ingest import markup, plain
from pagefault.ingest.markup import zip_media
from pagefault.ingest.pages import Extracted
from pagefault.ingest.pdf import pdf
from pagefault.ingest.reading import Reading

__all__ = ["extract", "is_known", "media_of", "need_extra"]

PDF = "application/pdf"
_DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_READERS: dict[str, Callable[[bytes, Reading], Extracted]] = {
    "text/plain": plain.text,
    "text/markdown": plain.markdown,
    "text/html": markup.html,
    "text/csv": plain.csv_table,
    "application/jsonl": plain.json_lines,
    "application/epub+zip": markup.epub,
    _DOCX: markup.docx,
    PDF: pdf,
}
_SUFFIXES = {
    ".txt": "text/plain",
    ".text": "text/plain",
    ".log": "text/plain",
    ".rst": "text/plain",
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".html": "text/html",
    ".htm": "text/html",
    ".xhtml": "text/html",
    ".csv": "text/csv",
    ".tsv": "text/csv",
    ".jsonl": "application/jsonl",
    ".ndjson": "application/jsonl",
    ".pdf": PDF,
    ".docx": _DOCX,
    ".epub": "application/epub+zip",
}
_ALIASES = {
    "application/xhtml+xml": "text/html",
    "application/x-ndjson": "application/jsonl",
    "text/tab-separated-values": "text/csv",
    "text/x-markdown": "text/markdown",
}
_MODULES = (
    "httpx2", "mammoth", "markdown_it", "pypdfium2", "selectolax", "semantic_text_splitter",
)  # fmt: skip


def need_extra() -> None:
    """Raise ``UsageError`` if packages that loading needs are not installed."""
    if missing := [name for name in _MODULES if find_spec(name) is None]:
        raise UsageError(
            f"Loading documents needs further packages ({', '.join(missing)}); "
            "run: pip install 'pagefault[documents]'"
        )


def is_known(name: str) -> bool:
    """Return True if files of this name are loaded from a folder."""
    return PurePosixPath(name).suffix.lower() in _SUFFIXES


def media_of(name: str, declared: str, data: bytes) -> str:
    """Return the media type by the first of: the data's first bytes, the name's suffix, the type that a
    server declared, plain text."""
    if data.startswith(b"%PDF-"):
        return PDF
    if data.startswith(b"PK\x03\x04") and (found := zip_media(data)):
        return found
    if known := _SUFFIXES.get(PurePosixPath(name).suffix.lower()):
        return known
    declared = declared.partition(";")[0].strip().lower()
    declared = _ALIASES.get(declared, declared)
    if declared in _READERS and declared != "text/plain":
        return declared
    head = data[:1024].lstrip().lower()
    return "text/html" if head.startswith((b"<!doctype html", b"<html")) else "text/plain"


def extract(data: bytes, media: str, reading: Reading) -> Extracted:
    """Read a document; a ``UsageError`` has the reason if that fails. Its notes come with it."""
    if not data.strip():
        raise UsageError("It is empty.")
    read = _READERS[media](data, reading)
    reading.check(sum(len(leaf.text) for leaf in read.leaves), len(read.leaves))
    if not any(leaf.text.strip() for leaf in read.leaves):
        raise UsageError("There is no text in it.")
    return replace(read, notes=tuple(reading.notes))
