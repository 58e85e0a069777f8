"""The registry of formats: each is declared once, in ``FORMATS``, and read by one module.

    declaration.py  the declaration of a format
    sniffing.py     kinds that a file's content tells

The other modules read a format or a family each; ``plain``, ``pdf`` and ``markup``, one folder up, do too.
Left out: what is done with the pages (``extract``).
"""

from __future__ import annotations

from pagefault.ingest import markup, plain
from pagefault.ingest.books import epub
from pagefault.ingest.formats.code import LANGUAGES, code, language_of
from pagefault.ingest.formats.declaration import Format
from pagefault.ingest.formats.sniffing import WORD, ZIP
from pagefault.ingest.formats.zipped import archive
from pagefault.ingest.pdf import pdf
from pagefault.ingest.word import docx

__all__ = ["BY_MEDIA", "FORMATS", "KINDS", "declared_media", "kind_media", "suffix_media"]

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
    Format(WORD, docx, (".docx",), modules=("mammoth",)),
    Format("application/epub+zip", epub, (".epub",)),
    Format(ZIP, archive, (".zip",), ("application/x-zip-compressed",)),
    *(Format(each.media, code, modules=("tree_sitter", each.package)) for each in LANGUAGES),
)

BY_MEDIA = {each.media: each for each in FORMATS}
KINDS = {each.kind: each.media for each in FORMATS if each.kind} | {"code": ""}
_BY_SUFFIX = {suffix: each.media for each in FORMATS for suffix in each.suffixes}
_BY_DECLARED = {name: each.media for each in FORMATS for name in (each.media, *each.declared)}


def suffix_media(suffix: str) -> str | None:
    """Return the media type of files with this suffix, in lower case; None if it is unknown."""
    return _BY_SUFFIX.get(suffix)


def kind_media(kind: str, file: str) -> str | None:
    """Return the media type of a file that was said to be of this kind; None if that does not tell."""
    if kind == "code":
        language = language_of(file)
        return language.media if language else None
    return KINDS.get(kind)


def declared_media(declared: str) -> str | None:
    """Return the media type that a server means; None if it is unknown, or says no more than text."""
    found = _BY_DECLARED.get(declared.partition(";")[0].strip().lower())
    return None if found == "text/plain" else found
