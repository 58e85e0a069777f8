"""Hostile documents of packed XML, mail, RTF and the like: each is small, and asks a careless reader for
minutes or gigabytes, or for what is not in the file."""

from __future__ import annotations

from document_files import archive
from format_files import ODF, compound, msg, odt, pptx, related, sheet, slide_text, xlsx
from hostile_documents import BILLION_LAUGHS, OUTSIDE, QUADRATIC

_SPACES = 'xmlns:a="a" xmlns:p="p" xmlns:r="r"'
_SLIDE = "<p:sldId r:id='r1'/>"
_LONG = "x" * 1_000_000


def _slide(prolog: str, text: str) -> bytes:
    shape = slide_text(text)
    return pptx([f"{prolog}<p:sld {_SPACES}><p:cSld><p:spTree>{shape}</p:spTree></p:cSld></p:sld>"])


def _text(prolog: str, text: str) -> bytes:
    body = f"<office:body><office:text><text:p>{text}</text:p></office:text></office:body>"
    return odt(f"{prolog}<office:document-content {ODF}>{body}</office:document-content>")


def _content(body: str) -> bytes:
    return odt(f"<text:p>tide</text:p>{body}")


def _workbook(part: str, prolog: str) -> bytes:
    return xlsx({"A": sheet([["a", "b"], ["c", 1]])}, more={part: f"{prolog}<x>&a9;&a;</x>"})


def _multipart(depth: int) -> bytes:
    heads = "".join(f'Content-Type: multipart/mixed; boundary="b{n}"\r\n\r\n--b{n}\r\n' for n in range(depth))
    return f"Subject: deep\r\nMIME-Version: 1.0\r\n{heads}\r\ntide".encode()


def _nested_zip(depth: int, files: int) -> bytes:
    data = archive({"a.txt": "tide"})
    for _ in range(depth):
        data = archive({f"{n}.zip": data for n in range(files)})
    return data


def _looped() -> bytes:
    """A compound file whose first sector is followed by itself."""
    whole = bytearray(msg({"0037001F": "tide".encode("utf-16-le")}))
    table = whole.rindex((1).to_bytes(4, "little") + (2).to_bytes(4, "little"))
    whole[table : table + 4] = (0).to_bytes(4, "little")
    return bytes(whole)


_CELLS = "<table:table-cell><text:p>x</text:p></table:table-cell>"
_REPEATED = (
    '<table:table><table:table-row table:number-rows-repeated="1048576"><table:table-cell '
    'table:number-columns-repeated="16384"><text:p>tide</text:p></table:table-cell></table:table-row></table:table>'
)
_NAMED = _REPEATED.replace("<table:table>", '<table:table table:name="A">')
_MANIFEST = '<m:manifest xmlns:m="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>'

# name: what is wrong with it; a reader must answer each at once or refuse it within its bounds.
HOSTILE_FORMATS: dict[str, bytes] = {
    "laughs.pptx": _slide(BILLION_LAUGHS, "&a9;"),
    "quadratic.pptx": _slide(QUADRATIC, "&a;" * 20_000),
    "outside.pptx": _slide(OUTSIDE, "&a;&b;"),
    "bomb.pptx": pptx([slide_text("x" * (20 << 20))]),
    "groups.pptx": pptx(["<p:grpSp>" * 3_000 + slide_text("tide") + "</p:grpSp>" * 3_000]),
    "one slide many times.pptx": pptx(
        [slide_text(_LONG[:100_000])],
        more={
            "ppt/presentation.xml": f"<p:presentation {_SPACES}><p:sldIdLst>{_SLIDE * 20_000}</p:sldIdLst>"
            "</p:presentation>",
        },
    ),
    "spans.pptx": pptx(
        [
            "<p:graphicFrame><a:tbl>"
            + "<a:tr><a:tc rowSpan='9999' gridSpan='9999'><a:p><a:r><a:t>tide</a:t></a:r>"
            "</a:p></a:tc></a:tr>" * 500 + "</a:tbl></p:graphicFrame>"
        ]
    ),
    "outside the file.pptx": pptx(
        [slide_text("tide")],
        more={
            "ppt/slides/_rels/slide1.xml.rels": related(
                ("notesSlide", "../../../../etc/passwd"),
                ("comments", "http://127.0.0.1:9/x"),
                ("chart", "\\\\h\\x"),
            ),
        },
    ),
    "laughs.odt": _text(BILLION_LAUGHS, "&a9;"),
    "outside.odt": _text(OUTSIDE, "&a;&b;"),
    "laughs.fodt": f"{BILLION_LAUGHS}<office:document {ODF}>&a9;</office:document>".encode(),
    "bomb.odt": _content(f"<text:p>{'x' * (20 << 20)}</text:p>"),
    "lists.odt": _content("<text:list><text:list-item>" * 1_500 + "</text:list-item></text:list>" * 1_500),
    "tables.odt": _content(
        f"<table:table><table:table-row>{_CELLS}<table:table-cell>" * 300
        + "</table:table-cell></table:table-row></table:table>" * 300
    ),
    "repeated.odt": _content(_REPEATED * 50),
    "repeated in repeated.odt": _content(
        "<table:table><table:table-row table:number-rows-repeated='9999'><table:table-cell "
        "table:number-columns-repeated='9999'>"
        * 12
        + "<text:p>tide</text:p>"
        + "</table:table-cell></table:table-row></table:table>" * 12
    ),
    "spaces.odt": _content("<text:p>" + '<text:s text:c="999999999"/>x' * 20_000 + "</text:p>"),
    "laughs.xlsx": _workbook("xl/comments1.xml", BILLION_LAUGHS),
    "laughs in strings.xlsx": _workbook("xl/sharedStrings.xml", BILLION_LAUGHS),
    "outside.xlsx": _workbook("xl/worksheets/sheet1.xml", OUTSIDE),
    "bomb.xlsx": xlsx(
        {"A": f"<sheetData><row r='1'><c r='A1' t='str'><v>{'x' * (20 << 20)}</v></c></row></sheetData>"}
    ),
    "far.xlsx": xlsx(
        {
            "A": "<sheetData><row r='1048576'><c r='XFD1048576'><v>1</v></c></row><row r='1'><c r='A1'><v>1"
            "</v></c></row></sheetData>"
        }
    ),
    "far without places.xlsx": xlsx(
        {
            "A": "<sheetData><row r='1'><c><v>1</v></c></row><row r='1048576'>"
            + "<c/>" * 16_000
            + "<c><v>1</v></c></row></sheetData>"
        }
    ),
    "merged.xlsx": xlsx({"A": sheet([["tide", 1]] * 1_000, ["A1:XFD1048576"] * 1_000)}),
    "one string many times.xlsx": xlsx(
        {
            "A": "<sheetData>"
            + "".join(f"<row r='{n}'><c r='A{n}' t='s'><v>0</v></c></row>" for n in range(1, 5_000))
            + "</sheetData>"
        },
        strings=[_LONG],
    ),
    "formulas.xlsx": xlsx(
        {
            "A": "<sheetData><row r='1'><c r='A1' t='str'><f>WEBSERVICE(\"http://127.0.0.1:9/\")</f>"
            "<v>tide</v></c></row></sheetData>"
        }
    ),
    "sheets.xlsx": xlsx({f"S{n}": sheet([["a", 1]]) for n in range(1_500)}),
    "repeated.ods": odt(_NAMED, kind="spreadsheet", more={"META-INF/manifest.xml": _MANIFEST}),
    "cut.xls": compound({"Workbook": b"\x09\x08\x10\0\0\6\5\0" + b"\xff" * 5_000}),
    "laughs.xml": f"{BILLION_LAUGHS}<x>&a9;</x>".encode(),
    "quadratic.xml": f"{QUADRATIC}<x>{'&a;' * 20_000}</x>".encode(),
    "short entity.xml": f"<!DOCTYPE x [<!ENTITY a '{'x' * 999}'>]><x>{'&a;' * 100_000}</x>".encode(),
    "outside.xml": f"{OUTSIDE}<x>tide &a;&b;</x>".encode(),
    "deep.xml": b"<a>" * 100_000 + b"tide",
    "deep and closed.xml": b"<a><title>t</title>" * 20_000 + b"tide" + b"</a>" * 20_000,
    "attributes.xml": b"<x " + b" ".join(b"a%d='1'" % n for n in range(50_000)) + b">tide</x>",
    "marks.xml": b"<x><d>" + b"&lt;p " * 100_000 + b"</d></x>",
    "brackets.json": b"[" * 200_000,
    "objects.json": b'{"a":' * 100_000,
    "closed.json": b"[" * 50_000 + b"]" * 50_000,
    "digits.json": b"9" * 200_000,
    "halves.json": b'{"\\ud800": "\\udc00 tide", "title": "\\ud800"}',
    "cells.ipynb": b'{"cells": [' + b'{"cell_type": "code", "source": ["' + b"`" * 20_000 + b'"]}]}',
    "no cells.ipynb": b'{"cells": {"a": 1}, "metadata": [], "worksheets": 3}',
    "deep.eml": _multipart(2_000),
    "no end.eml": b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    + b"--b\r\n\r\ntide\r\n" * 20_000,
    "words.eml": b"Subject: " + b"=?utf-8?q?a?= " * 50_000 + b"\r\n\r\ntide",
    "headers.eml": b"X: y\r\n" * 100_000 + b"\r\ntide",
    "addresses.eml": b"From: "
    + b"<" * 100_000
    + b"(" * 100_000
    + b"\r\nDate: "
    + b"9" * 100_000
    + b"\r\n\r\ntide",
    "name.eml": b"Subject: x\r\nContent-Disposition: attachment; filename*0*=utf-8''"
    + b"%ff" * 20_000
    + b"; filename*999999999=x\r\nContent-Type: text/x; charset="
    + b"x" * 10_000
    + b"\r\n\r\ntide",
    "forms.eml": b"Subject: x\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n"
    + b"--b\r\nContent-Type: text/html\r\n\r\n<p>tide\r\n" * 3_000,
    "froms.mbox": b"From a@b Mon Jan  1 10:00:00 2024\n\n" * 4_000,
    "groups.rtf": b"{\\rtf1 " + b"{" * 100_000 + b"tide",
    "closed.rtf": b"{\\rtf1 " + b"}" * 300_000 + b"tide",
    "binary.rtf": b"{\\rtf1 tide\\bin9999999999 " + b"{\\bin-5 x}" * 20_000,
    "cells.rtf": b"{\\rtf1 \\trowd"
    + b"\\cellx1" * 50_000
    + b"\\cell" * 50_000
    + b"\\row" * 50_000
    + b" tide}",
    "notes.rtf": b"{\\rtf1 tide" + b"{\\footnote x" * 5_000 + b"}",
    "halves.rtf": b"{\\rtf1 tide " + b"\\u-10179 \\uc9" * 20_000 + b"}",
    "numbers.rtf": b"{\\rtf1\\ansicpg99999\\uc-9\\s99999999\\outlinelevel-3 tide\\u9999999999 x}",
    "marks.rtf": b"{\\rtf1 <script>x</script><table>" + b"<td rowspan=1000>" * 5_000 + b" tide}",
    "looped.msg": _looped(),
    "properties.msg": compound(
        {"__properties_version1.0": b"\xff" * 10_000, "__substg1.0_0037001F": b"\xff\xd8" * 999}
    ),
    "rtf.msg": compound(
        {"__properties_version1.0": b"", "__substg1.0_10090102": b"\xff" * 20 + b"LZFu" + b"\xff" * 99}
    ),
    "header.msg": msg(
        {"0037001F": "a\r\nBcc: x@y\r\n\r\nforged".encode("utf-16-le"), "1000001F": b"t\0i\0d\0e\0"}
    ),
    "arrows.vtt": b"WEBVTT\n\n"
    + b"00:00:00.000 --> 00:00:01.000 " * 20_000
    + b"\n<v"
    + b" " * 50_000
    + b"tide",
    "times.srt": b"1\n99:99:99,999 --> 99:99:99,999\ntide\n\n" * 5_000,
    "zips.zip": _nested_zip(3, 12),
    "brackets.py": b"(" * 200_000,
    "functions.py": b"".join(b" " * n + b"def f%d():\n" % n for n in range(700)),
    "braces.c": b"int f() {" * 20_000,
    "quotes.js": b"`${" * 20_000,
}
