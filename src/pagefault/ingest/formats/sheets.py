"""Spreadsheets (XLSX, XLSM, XLSB, XLS, ODS): each sheet begins a page, a row is lines of ``column: value``.

Formulas are not computed: the values are those that were stored. Left out: formats of numbers, pictures.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from importlib import import_module
from io import BytesIO
from itertools import chain
from typing import Any
from zipfile import ZipFile

from pagefault.errors import UsageError
from pagefault.ingest.formats.cell_notes import sheet_notes
from pagefault.ingest.formats.rows import Cell, Merged, records
from pagefault.ingest.packed import BROKEN, LibraryFaults, opened, text_of
from pagefault.ingest.pages import Extracted, Heading, Leaf, clean
from pagefault.ingest.plain import records_of
from pagefault.ingest.reading import Reading
from pagefault.quoting import inline

__all__ = ["spreadsheet"]

_MOST_CELLS = 20_000_000  # between the corners of a sheet: the library makes room for each
_CELL = re.compile(rb'<(?:\w{1,9}:)?c\s[^<>]{0,200}?\br=["\']([A-Z]{1,3})(\d{1,7})["\'][^<>]{0,200}(?<!/)>')
_TITLES = ("docProps/core.xml", "meta.xml")
_EXCEL_4 = (b"\x09\x00", b"\x09\x02", b"\x09\x04")  # records without a container
_FILEPASS = 0x2F
_DAMAGED = "It is not a workbook that can be read ({}); open it in its program, and save it again as .xlsx."


def spreadsheet(data: bytes, reading: Reading) -> Extracted:
    """Read all sheets of a workbook."""
    if data.startswith(_EXCEL_4):
        raise UsageError("It is a workbook of Excel 4 or older; save it as .xlsx in LibreOffice.")
    calamine: Any = import_module("python_calamine")
    try:
        title = _checked_title(data) if data.startswith(b"PK") else ""
        with LibraryFaults(_DAMAGED), calamine.CalamineWorkbook.from_filelike(BytesIO(data)) as book:
            leaves = tuple(_leaves(book, sheet_notes(data, reading), reading))
    except calamine.PasswordError:
        raise UsageError("It is encrypted; save it without a password.") from None
    except (calamine.CalamineError, *BROKEN) as error:
        if _has_password(data):
            raise UsageError("It is encrypted; save it without a password.") from None
        raise UsageError(_DAMAGED.format(str(error)[:200])) from None
    return Extracted(title, leaves)


def _has_password(data: bytes) -> bool:
    """Return whether an old workbook (XLS) has the record that says so; the library does not tell."""
    place = data.find(b"\x09\x08\x10\x00\x00\x06\x05\x00")  # the beginning of the workbook
    for _ in range(20):
        if place < 0 or place + 4 > len(data):
            return False
        record, size = struct.unpack_from("<HH", data, place)
        if record == _FILEPASS:
            return True
        place += 4 + size
    return False


def _checked_title(data: bytes) -> str:
    """Check the XML of a workbook, and return its title."""
    with opened(data) as archive:
        for name in archive.namelist():
            if name.endswith(".xml"):
                _check_part(archive, name)
        return next(filter(None, (text_of(archive, name, "title") for name in _TITLES)), "")


def _check_part(archive: ZipFile, name: str) -> None:
    """Raise ``UsageError`` for entities, and for a sheet whose corners are too far apart."""
    part = archive.read(name)
    if b"<!ENTITY" in part or b"<\0!\0E\0N\0T" in part:
        raise UsageError("It declares entities, which no workbook needs; save it again from its source.")
    if "/worksheets/" not in f"/{name}":
        return
    columns, last = set[bytes](), 0
    for found in _CELL.finditer(part):
        columns.add(found[1])
        last = max(last, int(found[2]))
    widest = max(columns, key=lambda letters: (len(letters), letters), default=b"A")
    if last * _number(widest) > _MOST_CELLS:
        raise UsageError(
            f"A sheet of it reaches from A1 to {widest.decode()}{last}, which is mostly empty cells; delete "
            "what stands far out, or save the sheet as CSV."
        )


def _number(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = 26 * number + letter - 64
    return number


def _leaves(book: Any, notes: Mapping[str, Sequence[str]], reading: Reading) -> Iterator[Leaf]:
    sheets = [each for each in book.sheets_metadata if str(each.typ).endswith("WorkSheet")]
    calamine: Any = import_module("python_calamine")
    pages = size = hidden = 0
    for number, about in enumerate(sheets, 1):
        try:
            found = _sheet(book.get_sheet_by_name(about.name), notes.get(about.name, ()), reading)
        except calamine.CalamineError as error:
            if len(sheets) == 1:
                raise
            reading.note(f"The sheet {inline(about.name)} is damaged, and left out ({inline(str(error))}).")
            continue
        yield from found
        pages, size = pages + len(found), size + sum(len(leaf.text) for leaf in found)
        reading.check(size, pages)
        reading.on_page(number, len(sheets))
        hidden += bool(found) and not str(about.visible).endswith("Visible")
    if hidden:
        reading.note(f"{hidden} of {len(sheets)} sheets are hidden in the workbook; they are loaded too.")
    for name in notes.keys() - {about.name for about in sheets}:  # sheets that are charts
        named = [(line, name or "beside the sheets") for line in notes[name]]
        yield from records_of(named, reading).leaves


def _sheet(sheet: Any, notes: Sequence[str], reading: Reading) -> list[Leaf]:
    ranges = [Merged(*first, *last) for first, last in sheet.merged_cell_ranges or ()]
    rows = ([_cell(value) for value in row] for row in sheet.iter_rows())
    beside = ((line, "beside the cells") for line in notes)
    name = " ".join(clean(sheet.name).split())
    named = ((text, f"{name} › {place}") for text, place in chain(records(rows, ranges), beside))
    leaves = records_of(named, reading).leaves
    return [Leaf(leaf.text, leaf.headings or (Heading(0, name),)) for leaf in leaves]


def _cell(value: object) -> Cell:
    """Return a value as it is written, and whether it is words."""
    match value:
        case str():
            return Cell(clean(value).strip(), True)
        case bool():
            return Cell(str(value).upper(), False)
        case float() if value.is_integer() and abs(value) < 1e15:
            return Cell(str(int(value)), False)
        case float():
            return Cell(f"{value:.15g}", False)
        case datetime() if value.time() == time():
            return Cell(value.date().isoformat(), False)
        case datetime():
            return Cell(value.isoformat(" "), False)
        case date() | time():
            return Cell(value.isoformat(), False)
        case timedelta() | int():
            return Cell(str(value), False)
        case _:
            return Cell("", False)
