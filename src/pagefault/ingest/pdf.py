"""PDF, page by page, by PDFium. Left out: text recognition, so a scan has no text."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

from pagefault.errors import UsageError
from pagefault.ingest.pages import Extracted, Heading, Leaf, clean, heading_path
from pagefault.ingest.reading import Reading

__all__ = ["pdf"]

_WRONG_PASSWORD = 4  # FPDF_ERR_PASSWORD
_ENDS_SENTENCE = tuple(".!?:;…。！？：；")
_LONG_LINE = 0.75  # share of the longest line from which on a line was wrapped
_WIDE = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]")
_NO_TITLE = re.compile(r"untitled|microsoft \w+ - |.*\.\w{2,4}$", re.IGNORECASE)


def pdf(data: bytes, reading: Reading) -> Extracted:
    """Read a PDF and report each page. The heading of a page is the last
    entry of the document's outline before it."""
    pdfium: Any = import_module("pypdfium2")
    try:
        document = pdfium.PdfDocument(data)
    except pdfium.PdfiumError as error:
        if getattr(error, "err_code", None) == _WRONG_PASSWORD:
            raise UsageError("It is encrypted; save it without a password.") from None
        raise UsageError("It is not a PDF that can be read; it may be damaged.") from None
    try:
        total, size = len(document), 0
        reading.check(0, total)
        headings, leaves = _outline(document), list[Leaf]()
        for index in range(total):
            under = headings.get(index, leaves[-1].headings if leaves else ())
            leaves.append(Leaf(_page_text(document, index), under))
            size += len(leaves[-1].text)
            reading.check(size)
            reading.on_page(index + 1, total)
        title = str(document.get_metadata_value("Title") or "").strip()
    except pdfium.PdfiumError as error:
        raise UsageError(f"It is damaged ({error}); save it again from its source.") from None
    finally:
        document.close()
    if not any(leaf.text.strip() for leaf in leaves):
        raise UsageError("It has no text, only pictures; run text recognition (OCR) over it first.")
    return Extracted("" if _NO_TITLE.match(title) else title, tuple(leaves))


def _page_text(document: Any, index: int) -> str:
    page = document[index]
    try:
        text_page = page.get_textpage()
        try:
            return _reflow(str(text_page.get_text_range()))
        finally:
            text_page.close()
    finally:
        page.close()


def _outline(document: Any) -> dict[int, tuple[Heading, ...]]:
    """Return by index of page the last entry of the outline that begins there, with those above it."""
    above: dict[int, str] = {}
    found: dict[int, tuple[Heading, ...]] = {}
    for entry in document.get_toc():
        target, name = entry.get_dest(), " ".join(clean(str(entry.get_title())).split())
        index = target.get_index() if target else None
        path = heading_path(above, entry.level, name)
        if index is not None:
            found[index] = (Heading(0, path),)
    return found


def _reflow(text: str) -> str:
    """Return a page's text with the lines of a paragraph joined, so that it can be cut at sentences.
    PDFium marks a word that is hyphenated at the end of a line by U+FFFE."""
    lines = clean(re.sub("\ufffe[\r\n]*", "", text)).split("\n")
    longest = max(map(len, lines))
    joined = [lines[0].rstrip()]  # pieces
    for before, line in zip(lines, (line.rstrip() for line in lines[1:]), strict=False):
        last = before.rstrip()
        broken = last and line and not last.endswith(_ENDS_SENTENCE)
        if broken and (line[0].islower() or len(last) >= _LONG_LINE * longest):
            space = "" if _WIDE.match(last[-1]) and _WIDE.match(line[0]) else " "
            joined += (space, line.lstrip())
        else:
            joined += ("\n", line)
    return "".join(joined)
