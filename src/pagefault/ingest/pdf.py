"""PDF, page by page, by PDFium. A page that is damaged costs that page, and is named.

Left out: fields and notes (``annotations``), pages that are pictures (``recognition``).
"""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

from pagefault.errors import UsageError
from pagefault.ingest.annotations import page_marks
from pagefault.ingest.pages import Extracted, Heading, Leaf, clean, heading_path
from pagefault.ingest.reading import Reading, numbers
from pagefault.ingest.recognition import Recognition
from pagefault.ingest.right_to_left import reading_order
from pagefault.quoting import inline

__all__ = ["pdf"]

_WRONG_PASSWORD = 4  # FPDF_ERR_PASSWORD
_XFA = (2, 3)  # FORMTYPE_XFA_FULL, FORMTYPE_XFA_FOREGROUND
_NAMED = 20  # attached files that a note names
_ENDS_SENTENCE = tuple(".!?:;…。！？：；")
_LONG_LINE = 0.75  # share of the longest line from which on a line was wrapped
_WIDE = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]")
_NO_TITLE = re.compile(r"untitled|microsoft \w+ - |.*\.\w{2,4}$", re.IGNORECASE)


def pdf(data: bytes, reading: Reading) -> Extracted:
    """Read a PDF and report each page. The heading of a page is the last entry of the document's outline
    before it."""
    pdfium: Any = import_module("pypdfium2")
    document = _opened(pdfium, data, reading)
    try:
        document.init_forms()  # before its pages are counted, as PDFium asks
        total = len(document)
        reading.check(0, total)
        leaves = _Pages(pdfium, document, reading).leaves(total)
        title = str(document.get_metadata_value("Title") or "").strip()
        _note_form_and_files(document, reading)
    except pdfium.PdfiumError as error:
        raise UsageError(f"It is damaged ({error}); save it again from its source.") from None
    finally:
        document.close()
    return Extracted("" if _NO_TITLE.match(title) else title, tuple(leaves))


def _opened(pdfium: Any, data: bytes, reading: Reading) -> Any:
    try:
        return pdfium.PdfDocument(data, password=reading.options.password or None)
    except pdfium.PdfiumError as error:
        if getattr(error, "err_code", None) != _WRONG_PASSWORD:
            raise UsageError(
                "It is not a PDF that can be read, or only a part of one; get it anew, or print it to PDF."
            ) from None
    if reading.options.password:
        raise UsageError("It is encrypted, and not with this password; check --password.")
    raise UsageError("It is encrypted; give its password by --password, or save it without one.")


def _note_form_and_files(document: Any, reading: Reading) -> None:
    """Note parts that are not read: a form of XFA, attached files."""
    if document.get_formtype() in _XFA:
        reading.note("It has a form of XFA, which is not read; print it into a new PDF, and load that.")
    if files := document.count_attachments():
        names = (inline(document.get_attachment(index).get_name()) for index in range(min(files, _NAMED)))
        reading.note(f"Attached files that are not read ({files:,}): {', '.join(names)}.")


class _Pages:
    """Reads the pages of a document, and notes those that are damaged or have no text."""

    def __init__(self, pdfium: Any, document: Any, reading: Reading) -> None:
        self._pdfium = pdfium
        self._document = document
        self._reading = reading
        self._damaged: list[int] = []
        self._pictures: list[int] = []
        self._recognised = 0
        self._texts = 0
        self._recognition = Recognition(2 * reading.bounds.seconds) if reading.options.ocr else None

    def leaves(self, total: int) -> list[Leaf]:
        headings, leaves, size = _outline(self._document), list[Leaf](), 0
        for index in range(total):
            under = headings.get(index, leaves[-1].headings if leaves else ())
            leaves.append(Leaf(self._text(index), under))
            size += len(leaves[-1].text)
            self._reading.check(size)
            self._reading.on_page(index + 1, total)
        self._note(total)
        return leaves

    def _text(self, index: int) -> str:
        try:
            page = self._document[index]
        except self._pdfium.PdfiumError:
            self._damaged.append(index + 1)
            return ""
        try:
            text = _reflow(_content(page))
            marks = "\n".join(page_marks(self._document, page))
            if not text.strip() and any(True for _ in page.get_objects(max_depth=1)):
                text = self._recognise(page, index + 1)
            self._texts += bool(text.strip() or marks)
            return "\n\n".join(filter(None, (text, marks)))
        except self._pdfium.PdfiumError:
            self._damaged.append(index + 1)
            return ""
        finally:
            page.close()

    def _recognise(self, page: Any, number: int) -> str:
        found = self._recognition.text(page) if self._recognition else None
        if not found:
            self._pictures.append(number)
            return ""
        self._recognised += 1
        return _reflow(found)

    def _note(self, total: int) -> None:
        """Report pages that were not read as they stand; ``UsageError`` if no page was."""
        damaged, pictures = self._damaged, self._pictures
        if damaged and len(damaged) == total:
            raise UsageError("It is damaged (none of its pages can be read); save it again from its source.")
        if not self._texts and self._recognition is None:
            raise UsageError("It has no text, only pictures; load it with --ocr, or run OCR over it first.")
        if damaged:
            said = "Page" if len(damaged) == 1 else "Pages"
            self._reading.note(f"{said} {numbers(damaged)} of {total:,} cannot be read (damaged).")
        if self._recognised:
            self._reading.note(f"{self._recognised:,} of {total:,} pages were read by text recognition.")
        if pictures:
            verb = "has" if len(pictures) == 1 else "have"
            way = "" if self._recognition else "; --ocr recognises it"
            said = f"{len(pictures):,} of {total:,} pages {verb} no text (pictures)"
            self._reading.note(f"{said}: {numbers(pictures)}{way}.")


def _content(page: Any) -> str:
    text_page = page.get_textpage()
    try:
        return reading_order(text_page, str(text_page.get_text_range()))
    finally:
        text_page.close()


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
