"""Headers and footers of Word documents, OpenDocument files and workbooks, each as one line.

A line is there once, however many pages show it. Left out: numbers of pages, and names of files and sheets.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
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


def word_margins(archive: ZipFile, without: Set[str]) -> list[str]:
    """Return the headers and footers that a Word document refers to, without these parts."""
    parts = references(archive, "word/document.xml").values()
    kinds = [(kind, name) for kind, name in parts if kind in ("header", "footer") and name not in without]
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
    left, field = [root], _Field()
    while left:
        each = left.pop()
        field.take(each)
        if each.tag == "t" and not field.is_number:
            yield each.text or ""
        elif each.tag in _WORD_BREAKS:
            yield " "
        left += () if _is_left_out(each) else reversed(each)


@dataclass(slots=True)
class _Field:
    """The field that is open; ``is_number``: what it shows is the number of a page."""

    is_number: bool = False
    _code: str = ""

    def take(self, element: Element) -> None:
        if element.tag == "instrText":
            self._code += element.text or ""
        elif element.tag == "fldChar":
            kind = attribute(element, "fldCharType")
            self.is_number = kind == "separate" and _is_number(self._code)
            self._code = "" if kind == "begin" else self._code


def _is_left_out(element: Element) -> bool:
    is_simple = element.tag == "fldSimple" and _is_number(attribute(element, "instr"))
    return is_simple or element.tag == "Fallback"


def _is_number(code: str) -> bool:
    return bool(_NUMBERS.intersection(code.split()[:1]))


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
