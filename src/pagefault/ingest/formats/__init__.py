"""The registry of formats: each is declared once, in ``FORMATS``, and read by one module.

    declaration.py  the declaration of a format
    sniffing.py     kinds that a file's content tells

The other modules read a format or a family each; ``plain``, ``pdf`` and ``markup``, one folder up, do too.
Left out: what is done with the pages (``extract``).
"""

from __future__ import annotations

from pagefault.ingest import markup, plain
from pagefault.ingest.formats.declaration import Format
from pagefault.ingest.formats.sniffing import WORD
from pagefault.ingest.pdf import pdf

__all__ = ["BY_MEDIA", "FORMATS", "declared_media", "suffix_media"]

FORMATS: tuple[Format, ...] = (
    Format("text/plain", plain.text, (".txt", ".text", ".log", ".rst"), kind="text"),
    Format(
        "text/markdown",
        plain.markdown,
        (".md", ".markdown"),
        ("text/x-markdown",),
        kind="markdown",
        modules=("markdown_it",),
    ),
    Format(
        "text/html",
        markup.html,
        (".html", ".htm", ".xhtml"),
        ("application/xhtml+xml",),
        kind="html",
        modules=("selectolax",),
    ),
    Format("text/csv", plain.csv_table, (".csv", ".tsv"), ("text/tab-separated-values",), "csv"),
    Format("application/jsonl", plain.json_lines, (".jsonl", ".ndjson"), ("application/x-ndjson",), "jsonl"),
    Format("application/pdf", pdf, (".pdf",), modules=("pypdfium2",)),
    Format(WORD, markup.docx, (".docx",), modules=("mammoth",)),
    Format("application/epub+zip", markup.epub, (".epub",)),
)

BY_MEDIA = {each.media: each for each in FORMATS}
_BY_SUFFIX = {suffix: each.media for each in FORMATS for suffix in each.suffixes}
_BY_DECLARED = {name: each.media for each in FORMATS for name in (each.media, *each.declared)}


def suffix_media(suffix: str) -> str | None:
    """Return the media type of files with this suffix, in lower case; None if it is unknown."""
    return _BY_SUFFIX.get(suffix)


def declared_media(declared: str) -> str | None:
    """Return the media type that a server means; None if it is unknown, or says no more than text."""
    found = _BY_DECLARED.get(declared.partition(";")[0].strip().lower())
    return None if found == "text/plain" else found
