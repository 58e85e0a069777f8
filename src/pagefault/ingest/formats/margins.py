"""Headers and footers of Word documents, OpenDocument files and workbooks, each as one line.

A line is there once, however many pages show it. Left out: numbers of pages, and names of files and sheets.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import unescape
from zipfile import ZipFile

from pagefault.ingest.formats.trees import Element, attribute, found, references, tree

__all__ = ["margin_of_codes", "open_margins", "sheet_margins", "word_margins"]

_OPEN = re.compile(r"(header|footer)(?:-left|-first)?")
_SHEET = re.compile(rb"<(?:\w{1,9}:)?(?:odd|even|first)(Header|Footer)\b[^<>]{0,99}>([^<>]{1,4000})<")
_CODE = re.compile(r'&(?:&|"[^"]{0,300}"|K[0-9A-Fa-f+-]{1,8}|\d{1,3}|.)', re.DOTALL)
_NUMBERED = re.compile(
    r"(?i)(?:page|of|seite|von|página|pagina|de|di|sur|стр|страница|из|第|页|頁|共|[\W\d])*"
)
_NUMBERS = frozenset(("PAGE", "NUMPAGES", "SECTION", "SECTIONPAGES"))
_WORD_BREAKS = frozenset(("p", "br", "tab", "tc"))
_OPEN_BREAKS = frozenset(("p", "s", "tab", "line-break", "region-left", "region-center", "region-right"))
_OPEN_SKIPPED = frozenset(("page-number", "page-count", "sheet-name", "file-name", "annotation", "desc"))


def margin_of_codes(kind: str, text: str) -> str:
    """Return a line for a header or footer of a sheet of Excel, with codes such as ``&C`` and ``&P``."""
    return _line(kind, _CODE.sub(_code, text))


def word_margins(archive: ZipFile) -> list[str]:
    """Return the headers and footers that a Word document refers to."""
    parts = references(archive, "word/document.xml").values()
    kinds = [(kind, name) for kind, name in parts if kind in ("header", "footer")]
    return _once(_line(kind, "".join(_word(tree(archive.read(name))))) for kind, name in kinds)


def open_margins(styles: Element) -> list[str]:
    """Return the headers and footers of the pages that an OpenDocument file styles."""
    pages = (each for page in found(styles, "master-page") for each in page)
    return _once(
        _line(kind[1], "".join(_open(each)))
        for each in pages
        if (kind := _OPEN.fullmatch(each.tag)) and attribute(each, "display") != "false"
    )


def sheet_margins(sheet: bytes) -> list[str]:
    """Return the headers and footers of a sheet of XLSX. Its XML may be large, so it is searched for them."""
    parts = (
        (kind.decode(), unescape(text.decode("utf-8", "replace"))) for kind, text in _SHEET.findall(sheet)
    )
    return _once(margin_of_codes(kind, text) for kind, text in parts)


def _line(kind: str, text: str) -> str:
    """Return a line such as ``Header: Draft``; empty if there is no more than the number of a page."""
    said = " ".join(text.split())
    return "" if _NUMBERED.fullmatch(said) else f"{kind.capitalize()}: {said}"


def _once(lines: Iterable[str]) -> list[str]:
    return [line for line in dict.fromkeys(lines) if line]


def _code(code: re.Match[str]) -> str:
    if code[0] == "&&":
        return "&"
    return " " if code[0] in ("&L", "&C", "&R") else ""


def _word(root: Element) -> Iterator[str]:
    """Yield the text of a part of Word, without the numbers of pages that its fields show."""
    left, field, is_number = [root], "", False
    while left:
        each = left.pop()
        if each.tag == "fldChar":
            kind = attribute(each, "fldCharType")
            is_number = kind == "separate" and _is_number(field)
            field = "" if kind == "begin" else field
        elif each.tag == "instrText":
            field += each.text or ""
        elif each.tag == "t" and not is_number:
            yield each.text or ""
        elif each.tag in _WORD_BREAKS:
            yield " "
        is_left_out = each.tag == "Fallback" or (
            each.tag == "fldSimple" and _is_number(attribute(each, "instr"))
        )
        left += () if is_left_out else reversed(each)


def _is_number(field: str) -> bool:
    return bool(_NUMBERS.intersection(field.split()[:1]))


def _open(element: Element) -> Iterator[str]:
    """Yield the text of an element of OpenDocument, in order."""
    left: list[Element | str] = [element]
    while left:
        each = left.pop()
        if isinstance(each, str):
            yield each
            continue
        if each.tag in _OPEN_BREAKS:
            yield " "
        if each.tag not in _OPEN_SKIPPED:
            inside = (part for child in each for part in (child, child.tail or ""))
            left += reversed([each.text or "", *inside])
