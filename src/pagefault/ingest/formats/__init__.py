"""The registry of formats: each is declared once, in ``FORMATS``, and read by one module.

    declaration.py  the declaration of a format
    sniffing.py     kinds that a file's content tells

The other modules read a format or a family each; ``plain``, ``pdf`` and ``markup``, one folder up, do too.
Left out: what is done with the pages (``extract``).
"""

from __future__ import annotations

from pagefault.ingest import markup, plain
from pagefault.ingest.books import epub
from pagefault.ingest.formats.captions import captions
from pagefault.ingest.formats.code import LANGUAGES, code, language_of
from pagefault.ingest.formats.declaration import Format
from pagefault.ingest.formats.mail import mail, mailbox
from pagefault.ingest.formats.markup_xml import xml
from pagefault.ingest.formats.notebooks import notebook
from pagefault.ingest.formats.opendocument import opendocument
from pagefault.ingest.formats.outlook import outlook
from pagefault.ingest.formats.rtf import rtf
from pagefault.ingest.formats.sheets import spreadsheet
from pagefault.ingest.formats.slides import pptx
from pagefault.ingest.formats.sniffing import EPUB, MAIL, MAILBOX, PPTX, RTF, WORD, XLSX, XML, ZIP
from pagefault.ingest.formats.structured import json_document, json_lines
from pagefault.ingest.formats.zipped import archive
from pagefault.ingest.pdf import pdf
from pagefault.ingest.word import docx

__all__ = ["BY_MEDIA", "FORMATS", "KINDS", "declared_media", "kind_media", "suffix_media"]

_OPEN = "application/vnd.oasis.opendocument."
_BINARY = "application/vnd.ms-excel.sheet.binary.macroenabled.12"
_CALAMINE = ("python_calamine",)

FORMATS: tuple[Format, ...] = (
    # text, whose kind its name tells
    Format("text/plain", plain.text, (".txt", ".text", ".log", ".rst"), kind="text"),
    Format(
        "text/markdown", plain.markdown, (".md", ".markdown"),
        ("text/x-markdown",), "markdown", ("markdown_it",),
    ),
    Format(
        "text/html", markup.html, (".html", ".htm", ".xhtml"),
        ("application/xhtml+xml",), "html", ("selectolax",),
    ),
    Format("text/csv", plain.csv_table, (".csv", ".tsv"), ("text/tab-separated-values",), "csv"),
    Format(
        "application/json", json_document, (".json", ".geojson"),
        ("text/json", "application/ld+json"), "json",
    ),
    Format("application/jsonl", json_lines, (".jsonl", ".ndjson"), ("application/x-ndjson",), "jsonl"),
    Format("application/x-ipynb+json", notebook, (".ipynb",)),
    Format(
        XML, xml, (".xml", ".rss", ".atom", ".opml", ".fb2"),
        ("text/xml", "application/rss+xml", "application/atom+xml"), "xml",
    ),
    Format("application/x-subrip", captions, (".srt",)),
    Format("text/vtt", captions, (".vtt",)),
    *(Format(each.media, code, modules=("tree_sitter", each.package)) for each in LANGUAGES),
    # documents
    Format("application/pdf", pdf, (".pdf",), modules=("pypdfium2",)),
    Format(WORD, docx, (".docx", ".docm", ".dotx"), modules=("mammoth",)),
    Format(f"{_OPEN}text", opendocument, (".odt", ".ott", ".fodt")),
    Format(RTF, rtf, (".rtf",), ("text/rtf", "application/x-rtf")),
    Format(EPUB, epub, (".epub",)),
    # slides
    Format(PPTX, pptx, (".pptx", ".pptm", ".ppsx", ".potx")),
    Format(f"{_OPEN}presentation", opendocument, (".odp", ".otp", ".fodp")),
    Format(f"{_OPEN}graphics", opendocument, (".odg",)),
    # tables
    Format(XLSX, spreadsheet, (".xlsx", ".xlsm", ".xltx"), modules=_CALAMINE),
    Format(_BINARY, spreadsheet, (".xlsb",), modules=_CALAMINE),
    Format("application/vnd.ms-excel", spreadsheet, (".xls",), modules=_CALAMINE),
    Format(f"{_OPEN}spreadsheet", spreadsheet, (".ods", ".ots"), modules=_CALAMINE),
    # what holds other documents
    Format(MAIL, mail, (".eml", ".emlx", ".mht", ".mhtml"), ("multipart/related",)),
    Format("application/vnd.ms-outlook", outlook, (".msg",), modules=("olefile", "compressed_rtf")),
    Format(MAILBOX, mailbox, (".mbox", ".mbx")),
    Format(ZIP, archive, (".zip",), ("application/x-zip-compressed",)),
)  # fmt: skip

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
