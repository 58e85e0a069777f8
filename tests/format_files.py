"""Documents made for tests, of the formats that are packed XML, compound files or text: small, as bytes."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from document_files import archive

_MAIN = "application/vnd.openxmlformats-officedocument"
_RELATED = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_DRAWING = "http://schemas.openxmlformats.org/drawingml/2006/main"
_SLIDES = "http://schemas.openxmlformats.org/presentationml/2006/main"
_NONE = 0xFFFFFFFF
_SHEETS = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OPEN = "urn:oasis:names:tc:opendocument:xmlns:"
_NAMESPACES = " ".join(
    f'xmlns:{name}="{_OPEN}{name}:1.0"' for name in ("office", "text", "table", "presentation")
)
ODF = (
    f'{_NAMESPACES} xmlns:draw="{_OPEN}drawing:1.0" xmlns:form="{_OPEN}form:1.0" '
    'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xlink="http://www.w3.org/1999/xlink"'
)


def related(*targets: tuple[str, str]) -> str:
    """The list of what a part refers to: kind and target, with the ids r1, r2 ..."""
    each = (
        f'<Relationship Id="r{number}" Type="{_RELATED}/{kind}" Target="{target}"/>'
        for number, (kind, target) in enumerate(targets, 1)
    )
    space = "http://schemas.openxmlformats.org/package/2006/relationships"
    return f'<Relationships xmlns="{space}">{"".join(each)}</Relationships>'


def slide_text(*paragraphs: str, kind: str = "") -> str:
    """A shape of a slide; ``kind``: of its placeholder."""
    place = f'<p:nvPr><p:ph type="{kind}"/></p:nvPr>' if kind else "<p:nvPr/>"
    lines = "".join(f"<a:p><a:r><a:t>{each}</a:t></a:r></a:p>" for each in paragraphs)
    return f"<p:sp><p:nvSpPr>{place}</p:nvSpPr><p:txBody>{lines}</p:txBody></p:sp>"


def pptx(slides: Sequence[str], *, title: str = "", more: dict[str, str | bytes] | None = None) -> bytes:
    """A presentation of slides, each the shapes of one. ``more``: parts, by name; the parts of a slide named
    ``ppt/slides/_rels/slide1.xml.rels`` say what it refers to."""
    spaces = f'xmlns:a="{_DRAWING}" xmlns:p="{_SLIDES}" xmlns:r="{_RELATED}"'
    ids = "".join(f'<p:sldId id="{255 + n}" r:id="r{n}"/>' for n in range(1, len(slides) + 1))
    core = f"<x xmlns:dc='http://purl.org/dc/elements/1.1/'><dc:title>{title}</dc:title></x>"
    files: dict[str, str | bytes] = {
        "_rels/.rels": related(("officeDocument", "ppt/presentation.xml")),
        "ppt/presentation.xml": f"<p:presentation {spaces}><p:sldIdLst>{ids}</p:sldIdLst></p:presentation>",
        "ppt/_rels/presentation.xml.rels": related(
            *(("slide", f"slides/slide{n}.xml") for n in range(1, len(slides) + 1))
        ),
        "docProps/core.xml": core,
    }
    for number, shapes in enumerate(slides, 1):
        whole = shapes if shapes.startswith("<!") else ""
        files[f"ppt/slides/slide{number}.xml"] = whole or (
            f"<p:sld {spaces}><p:cSld><p:spTree>{shapes}</p:spTree></p:cSld></p:sld>"
        )
    return archive(files | (more or {}))


def xlsx(
    sheets: dict[str, str], *, strings: Sequence[str] = (), more: dict[str, str | bytes] | None = None
) -> bytes:
    """A workbook of sheets: name to the XML of its rows, and what follows them."""
    names = list(sheets)
    listed = "".join(f'<sheet name="{each}" sheetId="{n}" r:id="r{n}"/>' for n, each in enumerate(names, 1))
    types = "".join(
        f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="{_MAIN}.worksheet+xml"/>'
        for n in range(1, len(names) + 1)
    )
    space = "http://schemas.openxmlformats.org/package/2006/content-types"
    texts = "".join(f"<si><t>{each}</t></si>" for each in strings)
    files: dict[str, str | bytes] = {
        "[Content_Types].xml": f'<Types xmlns="{space}"><Override PartName="/xl/workbook.xml" '
        f'ContentType="{_MAIN}.spreadsheetml.sheet.main+xml"/>{types}</Types>',
        "_rels/.rels": related(("officeDocument", "xl/workbook.xml")),
        "xl/workbook.xml": f'<workbook xmlns="{_SHEETS}" xmlns:r="{_RELATED}"><sheets>{listed}</sheets>'
        "</workbook>",
        "xl/_rels/workbook.xml.rels": related(
            *(("worksheet", f"worksheets/sheet{n}.xml") for n in range(1, len(names) + 1)),
            ("sharedStrings", "sharedStrings.xml"),
        ),
        "xl/sharedStrings.xml": f'<sst xmlns="{_SHEETS}">{texts}</sst>',
    }
    for number, name in enumerate(names, 1):
        files[f"xl/worksheets/sheet{number}.xml"] = f'<worksheet xmlns="{_SHEETS}">{sheets[name]}</worksheet>'
    return archive(files | (more or {}))


def sheet(rows: Sequence[Sequence[str | float | None]], merged: Sequence[str] = ()) -> str:
    """The XML of a sheet's rows, from A1 on; ``merged``: ranges such as ``A1:B1``."""
    written: list[str] = []
    for number, row in enumerate(rows, 1):
        cells = (
            f'<c r="{chr(65 + column)}{number}" t="inlineStr"><is><t>{value}</t></is></c>'
            if isinstance(value, str)
            else f'<c r="{chr(65 + column)}{number}"><v>{value}</v></c>'
            for column, value in enumerate(row)
            if value is not None
        )
        written.append(f'<row r="{number}">{"".join(cells)}</row>')
    ranges = "".join(f'<mergeCell ref="{each}"/>' for each in merged)
    return f"<sheetData>{''.join(written)}</sheetData>" + (
        f"<mergeCells>{ranges}</mergeCells>" if ranges else ""
    )


def odt(
    body: str, *, title: str = "", kind: str = "text", more: dict[str, str | bytes] | None = None
) -> bytes:
    """An OpenDocument file with this body: ``office:text`` or ``office:presentation``."""
    inner = body if body.startswith("<!") else (
        f"<office:document-content {ODF}><office:body><office:{kind}>{body}</office:{kind}></office:body>"
        "</office:document-content>"
    )  # fmt: skip
    files: dict[str, str | bytes] = {
        "mimetype": f"application/vnd.oasis.opendocument.{kind}",
        "content.xml": inner,
        "meta.xml": f"<office:document-meta {ODF}><office:meta><dc:title>{title}</dc:title></office:meta>"
        "</office:document-meta>",
    }
    return archive(files | (more or {}))


def compound(streams: dict[str, bytes]) -> bytes:
    """A compound file (as of the older Office) of streams; a name may have storages before it: ``a/b``."""
    return _Compound(streams).made()


def xls(name: str, records: Sequence[tuple[int, bytes]]) -> bytes:
    """An old workbook (BIFF8) of one sheet with these records."""

    def beginning(kind: int) -> tuple[int, bytes]:
        return 0x809, struct.pack("<HHHHII", 0x600, kind, 0x0DBB, 0x07CC, 0, 6)

    def written(each: Sequence[tuple[int, bytes]]) -> bytes:
        return b"".join(struct.pack("<HH", kind, len(data)) + data for kind, data in each)

    def book(start: int) -> bytes:
        named = struct.pack("<IBBBB", start, 0, 0, len(name), 0) + name.encode("latin-1")
        return written([beginning(5), (0x85, named), (0x0A, b"")])

    sheet = written([beginning(0x10), *records, (0x0A, b"")])
    return compound({"Workbook": book(len(book(0))) + sheet})


def biff_text(text: str, width: int = 2) -> bytes:
    """A text of an old workbook: its length in so many bytes, a flag, and UTF-16."""
    return len(text).to_bytes(width, "little") + b"\1" + text.encode("utf-16-le")


@dataclass(slots=True)
class _Entry:
    """An entry of the directory; ``kind``: 5 for the root, 1 for a storage, 2 for a stream."""

    name: str
    kind: int
    children: list[int] = field(default_factory=list[int])
    start: int = 0xFFFFFFFE
    size: int = 0


class _Compound:
    """Writes all streams in sectors of 512 bytes; short ones are padded to the size from which on sectors are
    used."""

    def __init__(self, streams: dict[str, bytes]) -> None:
        self.sectors: list[bytes] = []
        self.next: list[int] = []
        self.entries = [_Entry("Root Entry", 5)]
        for path, data in streams.items():
            *storages, name = path.split("/")
            holder = self.entries[0]
            for each in storages:
                holder = self._storage(holder, each)
            padded = data.ljust(4096, b"\0")
            self._add(holder, _Entry(name, 2, [], self._chain(padded), len(padded)))

    def _storage(self, holder: _Entry, name: str) -> _Entry:
        known = (self.entries[n] for n in holder.children if self.entries[n].name == name)
        return next(known, None) or self._add(holder, _Entry(name, 1))

    def _add(self, holder: _Entry, entry: _Entry) -> _Entry:
        holder.children.append(len(self.entries))
        self.entries.append(entry)
        return entry

    def _chain(self, data: bytes) -> int:
        first = len(self.sectors)
        pieces = [data[n : n + 512].ljust(512, b"\0") for n in range(0, len(data), 512)]
        self.sectors += pieces
        self.next += [*range(first + 1, first + len(pieces)), 0xFFFFFFFE]
        return first

    def _directory(self) -> bytes:
        right: dict[int, int] = {}
        for each in self.entries:
            right |= dict(pairwise(each.children))
        out = b""
        for number, each in enumerate(self.entries):
            name = f"{each.name}\0".encode("utf-16-le")
            out += name.ljust(64, b"\0") + len(name).to_bytes(2, "little") + bytes([each.kind, 1])
            for link in (_NONE, right.get(number, _NONE), each.children[0] if each.children else _NONE):
                out += link.to_bytes(4, "little")
            out += b"\0" * 36 + each.start.to_bytes(4, "little") + each.size.to_bytes(8, "little")
        return out

    def made(self) -> bytes:
        directory = self._chain(self._directory())
        count = (len(self.sectors) + 127) // 127 + 1  # sectors of the table itself
        table = [*self.next, *[0xFFFFFFFD] * count]
        first = len(self.sectors)
        packed = b"".join(each.to_bytes(4, "little") for each in table).ljust(512 * count, b"\xff")
        head = bytes.fromhex("d0cf11e0a1b11ae1") + b"\0" * 16 + bytes.fromhex("3e000300feff09000600")
        head += b"\0" * 10 + count.to_bytes(4, "little") + directory.to_bytes(4, "little") + b"\0" * 4
        head += (64).to_bytes(4, "little") + b"\xfe\xff\xff\xff" + b"\0" * 4 + b"\xfe\xff\xff\xff" + b"\0" * 4
        places = [*range(first, first + count)]
        head += b"".join(each.to_bytes(4, "little") for each in places).ljust(436, b"\xff")
        return head + b"".join(self.sectors) + packed


def msg(texts: dict[str, bytes], *, sent: int = 0) -> bytes:
    """A message of Outlook: streams by tag and type (``0037001F``); ``sent``: 100 ns since 1601."""
    numbers = b"\0" * 32 + b"\x40\x00\x39\x00" + b"\6\0\0\0" + sent.to_bytes(8, "little")
    named = {
        path if "/" in path and "__" in path else f"__substg1.0_{path}": data for path, data in texts.items()
    }
    return compound({"__properties_version1.0": numbers, **named})
