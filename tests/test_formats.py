"""Each format of documents: what a reader sees of a file is found in its pages, under its headings."""

from __future__ import annotations

import json
import struct
from email.message import EmailMessage
from io import BytesIO
from zipfile import ZipFile

import pytest

from document_files import archive, pdf
from format_files import ODF, biff_text, compound, msg, odt, pptx, related, sheet, slide_text, xls, xlsx
from pagefault.errors import UsageError
from pagefault.ingest.bounds import Bounds
from pagefault.ingest.chunk import chunks
from pagefault.ingest.extract import extract, media_of, unknown
from pagefault.ingest.formats.code import LANGUAGES, grammar
from pagefault.ingest.pages import Extracted
from pagefault.ingest.reading import Reading, ReadingOptions
from pagefault.models.tokens import HeuristicCounter

BOUNDS = Bounds(seconds=60, memory=1024, characters=2_000_000, pages=500)


def read(data: bytes, name: str, kind: str = "") -> Extracted:
    reading = Reading(BOUNDS, ReadingOptions(kind=kind), file=name)
    return extract(data, media_of(name, "", data, kind), reading)


def text_of(read: Extracted) -> str:
    return "|".join(leaf.text for leaf in read.leaves)


def headings_of(read: Extracted) -> list[str]:
    return [heading.path for leaf in read.leaves for heading in leaf.headings]


# slides


def test_a_slide_is_a_page_with_its_table_notes_comments_chart_and_diagram() -> None:
    table = (
        "<p:graphicFrame><a:tbl><a:tr><a:tc><a:p><a:r><a:t>Zone</a:t></a:r></a:p></a:tc><a:tc><a:p><a:r>"
        "<a:t>Fare</a:t></a:r></a:p></a:tc></a:tr><a:tr><a:tc rowSpan='2'><a:p><a:r><a:t>North</a:t>"
        "</a:r></a:p>"
        "</a:tc><a:tc><a:p><a:r><a:t>2.10</a:t></a:r></a:p></a:tc></a:tr><a:tr><a:tc vMerge='1'/><a:tc>"
        "<a:p><a:r>"
        "<a:t>3.90</a:t></a:r></a:p></a:tc></a:tr></a:tbl></p:graphicFrame>"
    )
    drawn = (
        '<p:graphicFrame><c:chart xmlns:c="c" r:id="r3"/></p:graphicFrame><p:grpSp>'
        + slide_text("Grouped")
        + "</p:grpSp>"
    )
    diagram = '<p:graphicFrame><d:relIds xmlns:d="d" r:dm="r4"/></p:graphicFrame>'
    a = 'xmlns:a="a" xmlns:p="p"'
    parts: dict[str, str | bytes] = {
        "ppt/slides/_rels/slide1.xml.rels": related(
            ("notesSlide", "../notesSlides/n1.xml"), ("comments", "../comments/c1.xml"),
            ("chart", "../charts/chart1.xml"), ("diagramData", "../diagrams/data1.xml"),
        ),
        "ppt/notesSlides/n1.xml": f"<p:notes {a}>{slide_text('Say hello.', kind='body')}</p:notes>",
        "ppt/comments/c1.xml": f"<p:cmLst {a}><p:cm authorId='0'><p:text>Too long?</p:text></p:cm></p:cmLst>",
        "ppt/charts/chart1.xml": f"<c:chart xmlns:c='c' {a}><c:title><a:p><a:r><a:t>Tides</a:t></a:r>"
        f"</a:p></c:title>"
        "<c:ser><c:tx><c:v>Height</c:v></c:tx><c:cat><c:pt idx='0'><c:v>Faro</c:v></c:pt></c:cat>"
        "<c:val><c:pt idx='0'><c:v>3.9</c:v></c:pt></c:val></c:ser></c:chart>",
        "ppt/diagrams/data1.xml": f"<d:x xmlns:d='d' {a}><d:pt><d:t><a:p><a:r><a:t>Ebb</a:t></a:r>"
        f"</a:p></d:t></d:pt></d:x>",
    }  # fmt: skip
    first = (
        slide_text("Fares", kind="title") + slide_text("One", "Two &amp; &lt;b>") + table + drawn + diagram
    )
    found = read(pptx([first, slide_text("Last", kind="title")], title="Ferry", more=parts), "a.pptx")
    assert (found.title, len(found.leaves), headings_of(found)) == ("Ferry", 2, ["Fares", "Last"])
    assert found.leaves[0].text == (
        "# Fares\n\n- One\n- Two & <b>\n\n| Zone | Fare |\n| --- | --- |\n| North | 2.10 |\n| North |"
        " 3.90 |\n\n"
        "Tides\n\n|  | Height |\n| --- | --- |\n| Faro | 3.9 |\n\nGrouped\n\n- Ebb\n\nNotes:\n\nSay"
        " hello.\n\n"
        "Comment: Too long?"
    )


def test_a_damaged_slide_costs_that_slide_and_is_named() -> None:
    whole = pptx([slide_text("One"), slide_text("Two")], more={"ppt/slides/slide1.xml": "<p:sld"})
    found = read(whole, "a.pptx")
    assert text_of(found) == "Two"
    assert found.notes[0].startswith("Slide 1 of 2 is damaged, and left out")


# tables


def test_damaged_notes_of_a_slide_cost_no_more_than_these() -> None:
    parts: dict[str, str | bytes] = {
        "ppt/slides/_rels/slide1.xml.rels": related(("notesSlide", "../n.xml")), "ppt/n.xml": "<p:notes"
    }  # fmt: skip
    found = read(pptx([slide_text("Ebb")], more=parts | {"docProps/core.xml": "<x"}), "a.pptx")
    assert text_of(found) == "Ebb"
    assert found.notes[0].startswith("A part of it is damaged, and left out (ppt/n.xml: ")


def test_a_damaged_sheet_costs_that_sheet_and_is_named() -> None:
    found = read(xlsx({"A": sheet([["a", "b"], ["c", 1]]), "B": "<sheetData><row"}), "a.xlsx")
    assert text_of(found) == "a: c\nb: 1\n\n"
    assert found.notes[0].startswith("The sheet B is damaged, and left out (")


def test_a_row_of_a_sheet_is_lines_under_the_headings_of_its_columns() -> None:
    rows = sheet(
        [
            ["Fares 2026"],
            ["Zone", "Kind", "Price"],
            ["North", "Single", 2.5],
            [None, "Return", 3.9],
            [],
            ["x", 7],
        ],
        ["A3:A4"],
    )
    found = read(xlsx({"Fares": rows, "More": sheet([[1, 2]])}), "a.xlsx")
    assert text_of(found) == (
        "Fares 2026\n\nZone: North\nKind: Single\nPrice: 2.5\n\nZone: North\nKind: Return\nPrice: 3.9\n\n"
        "Zone: x\nKind: 7\n\n|A: 1\nB: 2\n\n"
    )
    assert headings_of(found)[0] == "Fares › row 1"
    assert headings_of(found)[-1] == "More › row 1"


def test_a_head_of_two_rows_names_each_column_by_both() -> None:
    rows = sheet([["Port", "2025", None], [None, "Plan", "Done"], ["Faro", 3, 4]], ["B1:C1"])
    assert text_of(read(xlsx({"A": rows}), "a.xlsx")) == "Port: Faro\n2025 Plan: 3\n2025 Done: 4\n\n"


def test_comments_of_cells_and_text_boxes_stand_beside_the_rows() -> None:
    parts: dict[str, str | bytes] = {
        "xl/worksheets/_rels/sheet1.xml.rels": related(
            ("comments", "../comments1.xml"), ("drawing", "../d/d1.xml")
        ),
        "xl/comments1.xml": "<comments><authors><author>Ann</author></authors><commentList><comment ref='A1' "
        "authorId='0'><text><r><t>Check it.</t></r></text></comment></commentList></comments>",
        "xl/d/d1.xml": "<x xmlns:a='a'><a:p><a:r><a:t>In a box</a:t></a:r></a:p></x>",
    }
    found = read(xlsx({"A": sheet([["a", "b"], ["c", 1]])}, more=parts), "a.xlsx")
    assert text_of(found) == "a: c\nb: 1\n\nComment at A1 (Ann): Check it.\n\nIn a box\n\n"


def test_buttons_headers_and_sheets_that_are_charts_are_read() -> None:
    control = (
        "<v:shape><v:textbox><div>{}</div></v:textbox><x:ClientData ObjectType='{}'><x:Checked>1</x:Checked>"
        "</x:ClientData></v:shape>"
    )
    controls = (
        control.format("Send", "Button") + control.format("Paid", "Checkbox") + control.format("", "Note")
    )
    parts: dict[str, str | bytes] = {
        "xl/worksheets/_rels/sheet1.xml.rels": related(("vmlDrawing", "../d/v1.vml")),
        "xl/d/v1.vml": f"<xml xmlns:v='v' xmlns:x='x'>{controls}</xml>",
        "docProps/core.xml": "<x xmlns:dc='http://purl.org/dc/elements/1.1/'><dc:title>Fares</dc:title></x>",
    }
    margins = (
        '<headerFooter><oddHeader>&amp;C&amp;"Arial,Bold"&amp;12Draft &amp;&amp; more</oddHeader>'
        "<oddFooter>&amp;LPage &amp;P of &amp;N</oddFooter><firstFooter>&amp;KFF0000Secret</firstFooter>"
        "</headerFooter>"
    )
    found = read(xlsx({"A": sheet([["a", "b"], ["c", 1]]) + margins}, more=parts), "a.xlsx")
    assert found.title == "Fares"
    assert text_of(found) == "a: c\nb: 1\n\nSend\n\n☒ Paid\n\nHeader: Draft & more\n\nFooter: Secret\n\n"


def test_comments_boxes_titles_and_headers_of_an_old_workbook_are_read() -> None:
    def drawn(kind: int, number: int, text: str, state: bytes = b"") -> list[tuple[int, bytes]]:
        first, rest = text[:4], text[4:]
        return [
            (0x5D, struct.pack("<HHHH", 0x15, 18, kind, number) + bytes(14) + state),
            (0x1B6, bytes(10) + struct.pack("<HH", len(text), 16) + bytes(4)),
            (0x3C, b"\0" + first.encode("latin-1")),
            (0x3C, b"\1" + rest.encode("utf-16-le")),
            (0x3C, bytes(16)),
        ]

    def title(holder: int, text: str) -> list[tuple[int, bytes]]:
        return [(holder, b""), (0x1033, b""), (0x100D, b"\0\0" + biff_text(text, 1)), (0x1034, b"")]

    records = [
        (0x14, biff_text("&LDraft")),
        (0x204, struct.pack("<HHH", 0, 0, 0) + biff_text("tide")),
        *drawn(0x19, 7, "Check it."),
        *drawn(0x06, 8, "In a bóx"),
        *drawn(0x0B, 9, "Paid yet", struct.pack("<HHH", 0x12, 2, 1)),
        (0x809, struct.pack("<HHHHII", 0x600, 0x20, 0x0DBB, 0x07CC, 0, 6)),
        *title(0x1025, "Tides"),
        *title(0x1003, "a series"),
        (0x0A, b""),
        (0x1C, struct.pack("<HHHH", 0, 0, 0, 7) + biff_text("Ann")),
    ]
    found = read(xls("A", records), "a.xls")
    assert [line for line in text_of(found).split("\n") if line] == [
        "tide", "Comment at A1 (Ann): Check it.", "Header: Draft", "In a bóx", "☒ Paid yet", "Chart: Tides",
    ]  # fmt: skip


def test_comments_boxes_controls_and_headers_of_a_sheet_of_opendocument_are_read() -> None:
    cell = "<table:table-cell office:value-type='string'><text:p>{}</text:p>{}</table:table-cell>"
    said = "<dc:creator>Ann</dc:creator><text:p>Check</text:p><text:p>it.</text:p>"
    comment = f"<office:annotation>{said}</office:annotation>"
    box = "<draw:frame><draw:text-box><text:p>In a box</text:p></draw:text-box></draw:frame>"
    chart = "<draw:frame><draw:object xlink:href='./Object 1'/></draw:frame>"
    body = (
        "<table:table table:name='A'><office:forms><form:form><form:button form:label='Send'/><form:checkbox "
        "form:label='Paid' form:current-state='checked'/></form:form></office:forms>"
        f"<table:shapes>{box}{chart}"
        "</table:shapes><table:table-row table:number-rows-repeated='2'><table:table-cell/></table:table-row>"
        "<table:table-row><table:table-cell table:number-columns-repeated='2'/>"
        f"{cell.format('tide', comment)}</table:table-row></table:table>"
    )
    style = (
        "<style:header><text:p>Draft</text:p></style:header>"
        "<style:footer><text:p>Page <text:page-number>1</text:page-number></text:p></style:footer>"
    )
    more: dict[str, str | bytes] = {
        "META-INF/manifest.xml": "<manifest/>",
        "styles.xml": f"<s {ODF} xmlns:style='s'><style:master-page>{style}</style:master-page></s>",
        "Object 1/content.xml": "<c xmlns:c='c' xmlns:t='t'><c:title><t:p>Tides</t:p></c:title></c>",
    }
    found = read(odt(body, kind="spreadsheet", title="Fares", more=more), "a.ods")
    assert found.title == "Fares"
    assert [line for line in text_of(found).replace("|", "\n").split("\n") if line] == [
        "tide", "Send", "☒ Paid", "In a box", "Chart: Tides", "Comment at C3 (Ann): Check it.",
        "Header: Draft",
    ]  # fmt: skip


def test_a_page_that_a_program_named_as_a_workbook_is_read_as_what_it_is() -> None:
    assert text_of(read(b"<html><body><p>tide</p></body></html>", "export.xls")) == "tide"


# texts


def test_opendocument_keeps_headings_tables_notes_comments_boxes_and_forms() -> None:
    body = (
        "<text:tracked-changes><text:p>Deleted.</text:p></text:tracked-changes>"
        "<office:forms><form:form><form:text form:name='Name' form:current-value='Wilhelmina'/>"
        "<form:checkbox "
        "form:label='Single' form:current-state='checked'/></form:form></office:forms>"
        "<text:h text:outline-level='1'>Tides</text:h><text:p>The<text:s text:c='2'/>tide<text:note>"
        "<text:note-citation>1"
        "</text:note-citation><text:note-body><text:p>Or ebb.</text:p></text:note-body></text:note> turns"
        "<draw:frame><draw:text-box><text:p>In a box.</text:p></draw:text-box></draw:frame> at noon."
        "<office:annotation>"
        "<dc:creator>Ann</dc:creator><text:p>Sure?</text:p></office:annotation></text:p>"
        "<text:list><text:list-item><text:p>First</text:p></text:list-item></text:list>"
        "<table:table><table:table-row><table:table-cell><text:p>Zone</text:p></table:table-cell>"
        "<table:table-cell>"
        "<text:p>Fare</text:p></table:table-cell></table:table-row><table:table-row><table:table-cell "
        "table:number-rows-spanned='2'><text:p>North</text:p></table:table-cell><table:table-cell>"
        "<text:p>2.10"
        "</text:p></table:table-cell></table:table-row><table:table-row><table:covered-table-cell/>"
        "<table:table-cell><text:p>3.90</text:p></table:table-cell></table:table-row></table:table>"
    )
    found = read(odt(body, title="Named"), "a.odt")
    assert found.title == "Named"
    assert text_of(found) == (
        "# Tides\n\nThe tide[1] turns at noon.\n\nIn a box.\n\n- First\n\n| Zone | Fare |\n| --- | --- |\n"
        "| North | 2.10 |\n| North | 3.90 |\n\nName: Wilhelmina\n\n☒ Single\n\n[1] Or ebb.\n\nComment"
        " (Ann): Sure?"
    )
    inner = f"<office:body><office:text>{body}</office:text></office:body>"
    flat = f"<office:document {ODF}>{inner}</office:document>"
    assert text_of(read(flat.encode(), "a.fodt")) == text_of(found)


def test_damaged_parts_beside_the_text_of_opendocument_cost_no_more_than_these() -> None:
    found = read(odt("<text:p>Tides</text:p>", more={"styles.xml": "<s", "meta.xml": "<m"}), "a.odt")
    assert text_of(found) == "Tides"
    assert [note.partition(":")[0] for note in found.notes] == [
        f"A part of it is damaged, and left out ({name}.xml" for name in ("meta", "styles")
    ]


def test_headers_and_footers_of_opendocument_are_read_once() -> None:
    margins = "".join(
        f"<style:master-page><style:{kind}><text:p>Draft<text:tab/>{kind}</text:p></style:{kind}></style:master-page>"
        for kind in ("header", "footer")
    )
    hidden = "<style:header style:display='false'><text:p>No</text:p></style:header>"
    pages = f"{margins * 2}<style:master-page>{hidden}</style:master-page>"
    styles = f"<s {ODF} xmlns:style='s'>{pages}</s>"
    found = read(odt("<text:p>Tides</text:p>", more={"styles.xml": styles}), "a.odt")
    assert text_of(found) == "Tides\n\nHeader: Draft header\n\nFooter: Draft footer"


def test_a_slide_of_opendocument_is_a_page() -> None:
    slides = "".join(
        f'<draw:page draw:name="p{n}"><draw:frame><draw:text-box><text:p>Slide {n}</text:p></draw:text-box>'
        "</draw:frame></draw:page>" for n in (1, 2)
    )  # fmt: skip
    footer = "<presentation:footer-decl presentation:name='f'>Draft</presentation:footer-decl>"
    slides = footer + slides.replace('name="p2"', 'name="p2" presentation:use-footer-name="f"')
    found = read(odt(slides, kind="presentation"), "a.odp")
    assert (text_of(found), headings_of(found)) == ("Slide 1|Slide 2\n\nDraft", ["p1", "p2"])


def test_rtf_is_its_visible_text_with_headings_tables_notes_and_comments() -> None:
    source = (
        rb"{\rtf1\ansi\ansicpg1251{\fonttbl{\f0\fcharset0 A;}{\f1\fcharset128 B;}}{\stylesheet{\s1"
        rb" heading 1;}{\*\cs2 Heading 1 Char;}}"
        rb"{\info{\title My \u8220?tides\u8221?}{\author Nobody}}{\header Top\cell\par}{\headerf Top \par}"
        rb"{\footer Page {\field{\*\fldinst PAGE}{\fldrslt 1}}}\pard\s1 Tides\par\pard "
        rb"Ebb\footnote x{\footnote  In a note.} and{\v  secret}{\deleted  gone} {\field{\*\fldinst"
        rb" HYPERLINK "
        rb'"http://x"}{\fldrslt flow}}, \f1\'83\'65\'83\'58\'83\'67\f0, caf\u233\'e9, \lquote a\rquote .\par '
        rb"{\*\atnauthor Ann}{\*\annotation Sure?}{\pict\pngblip 89504e47}\trowd\cellx1\cellx2\intbl"
        rb" Zone\cell Fare\cell\row "
        rb"\trowd\clvmgf\cellx1\cellx2\intbl North\cell"
        rb" 2.10\cell\row\trowd\clvmrg\cellx1\cellx2\intbl\cell 3.90\cell\row"
        rb"\pard End \{x\}\bin3 }}}.\par}"
    ).replace(rb"\footnote x{", b"{")
    found = read(source, "a.doc")  # old programs name it so
    assert found.title == "My “tides”"
    assert text_of(found) == (
        "# Tides\n\nEbb[1] and flow, テスト, café, ‘a’.\n\n| Zone | Fare |\n| --- | --- |\n| North | 2.10 |\n"
        "| North | 3.90 |\n\nEnd {x}.\n\n[1] In a note.\n\nComment (Ann): Sure?\n\n"
        "Header: Top\n\nFooter: Page 1"
    )


# mail


def message(**headers: str) -> EmailMessage:
    made = EmailMessage()
    for name, value in headers.items():
        made[name] = value
    return made


def test_a_message_is_its_headers_and_text_and_what_is_attached_is_apart() -> None:
    made = message(
        Subject="Café", From="Ann <a@example.org>", To="b@example.org", Date="Mon, 1 Jan 2024 10:00:00 +0100"
    )
    made.set_content("Meet me.")
    made.add_alternative("<p>Meet <b>me</b>.</p>", subtype="html")
    made.add_attachment(pdf(["The plan."]), maintype="application", subtype="pdf", filename="Plän.pdf")
    inner = message(Subject="Inner")
    inner.set_content("Within.")
    made.add_attachment(inner)
    found = read(made.as_bytes(), "a.eml")
    assert found.title == "Café"
    assert text_of(found) == (
        "Subject: Café\nFrom: Ann <a@example.org>\nTo: b@example.org\nDate: 2024-01-01 10:00"
        " +0100\n\nMeet me.\n\n"
        "Attached: Plän.pdf, Inner.eml"
    )
    plan, within = found.parts
    assert text_of(read(plan.data, plan.name)) == "The plan."
    assert text_of(read(within.data, within.name)) == "Subject: Inner\n\nWithin."
    assert media_of("", "", made.as_bytes()) == "message/rfc822"


def test_the_formatted_form_is_taken_if_the_plain_one_says_little() -> None:
    made = message(Subject="x")
    made.set_content("See HTML.")
    made.add_alternative("<p>The <i>tide</i> turns at noon, and the keeper notes it.</p>", subtype="html")
    assert text_of(read(made.as_bytes(), "a.eml")).endswith(
        "The *tide* turns at noon, and the keeper notes it."
    )


def test_a_message_with_hostile_headers_shows_them_as_text() -> None:
    data = (
        b"Subject: =?utf-8?b?!!!?= a\x00b\r\nFrom: \xff\xfe <x\r\nDate: yesterday\r\n"
        b"Content-Type: text/plain; charset=nope\r\n\r\ntide"
    )
    found = text_of(read(data, "a.eml"))
    assert found.endswith("Date: yesterday\n\ntide")


def test_each_message_of_a_mailbox_begins_a_page() -> None:
    data = b"".join(
        b"From a@b Mon Jan  1 10:00:0%d 2024\nSubject: m%d\nFrom: a@b\n\nFrom here on, %d.\n\n" % (n, n, n)
        for n in (1, 2)
    )
    found = read(data, "a.mbox")
    assert (
        text_of(found)
        == "Subject: m1\nFrom: a@b\n\nFrom here on, 1.|Subject: m2\nFrom: a@b\n\nFrom here on, 2."
    )
    assert headings_of(found) == ["m1 – a@b", "m2 – a@b"]


def test_a_message_of_outlook_is_read_like_any_other() -> None:
    def wide(text: str) -> bytes:
        return text.encode("utf-16-le")

    attached = "__attach_version1.0_#00000000/__substg1.0_"
    data = msg(
        {
            "0037001F": wide("Café"), "0C1A001F": wide("Ann"), "5D01001F": wide("a@example.org"),
            "1000001F": wide("Meet me.\r\n"),
            f"{attached}3707001F": wide("notes.txt"), f"{attached}37010102": b"The plan.",
            "__attach_version1.0_#00000001/__substg1.0_3701000D/__substg1.0_0037001F": wide("Inner"),
        },
        sent=133_485_408_000_000_000,
    )  # fmt: skip
    found = read(data, "a.msg")
    assert text_of(found) == (
        "Subject: Café\nFrom: Ann <a@example.org>\nDate: 2024-01-01 00:00 +0000\n\nMeet me.\n\n"
        "Attached: notes.txt, Inner.eml"
    )
    assert found.parts[0].data.rstrip(b"\0") == b"The plan."


# data


def test_json_has_its_escapes_decoded_and_its_structure_kept() -> None:
    value = {
        "title": "caf\u00e9",
        "ports": [{"name": "Faro", "tides": [1, 2]}, {"name": "\u706f"}],
        "on": True,
        "no": None,
    }
    found = read(json.dumps(value).encode(), "a.json")
    assert found.title == "café"
    assert text_of(found) == (
        "title: café\n\nports:\n  -\n    name: Faro\n    tides: [1, 2]\n  -\n    name: 灯\n\non:"
        " true\n\nno: null\n\n"
    )
    assert headings_of(found) == ["title", "ports", "on", "no"]
    records = read(b'[{"text": "Out.", "n": {"a": "b\\nc"}}, 3]', "a.json")
    assert (text_of(records), headings_of(records)) == (
        "n:\n  a: b\n    c\nOut.\n\n3\n\n",
        ["record 1", "record 2"],
    )
    broken = read(b'{"a": 1,}', "a.json")
    assert text_of(broken) == '{"a": 1,}'
    assert "It is not JSON" in broken.notes[0]


def test_a_line_that_is_no_json_costs_nothing_and_is_named() -> None:
    found = read(b'{"text": "ebb"}\n\nnot json\n{"text": "flow"}\n' + b"[" * 100_000, "a.jsonl")
    assert text_of(found).replace("|", "").startswith("ebb\n\nnot json\n\nflow\n\n[[[")
    assert found.notes == ("Lines that are not JSON, loaded as plain text: 3, 5.",)


def test_fields_of_one_name_are_all_read() -> None:
    assert text_of(read(b'{"a": 1, "b": {"c": 1, "c": 2, "c": 3}, "a": 2}', "a.json")).split("\n") == [
        "a: 1", "", "b:", "  c: 1", "  c (2): 2", "  c (3): 3", "", "a (2): 2", "", "",
    ]  # fmt: skip


def test_outputs_of_a_notebook_in_html_tracebacks_and_what_is_left_out_are_told() -> None:
    outputs: list[dict[str, object]] = [
        {"output_type": "execute_result", "data": {"text/html": ["<b>tide</b>", "<p>ebb</p>"]}},
        {
            "output_type": "error",
            "ename": "E",
            "evalue": "no",
            "traceback": ["\x1b[0;31mline 3\x1b[0m", "E: no"],
        },
        {"output_type": "display_data", "data": {"application/vnd.widget": {}}},
        {"output_type": "display_data", "data": {"image/png": "aaaa", "text/plain": "<Figure>"}},
        {"output_type": "stream", "text": "x" * 30_000},
    ]
    cell = {"cell_type": "code", "source": "1", "outputs": outputs}
    found = read(json.dumps({"cells": [cell]}).encode(), "a.ipynb")
    said = text_of(found)
    assert "tide" in said
    assert "ebb" in said
    assert "line 3\nE: no" in said
    assert "\x1b" not in said
    assert found.notes == (
        "Outputs that are no text, left out: 1.",
        "Outputs that are pictures, left out: 1.",
        "Outputs that are longer than 20,000 characters, and cut there: 1.",
    )


def test_a_table_of_nothing_but_names_is_a_line() -> None:
    assert text_of(read(b"Zone;Fare\n", "a.csv")).strip() == "Zone | Fare"


def test_an_archive_without_its_end_is_not_taken_for_the_one_in_it() -> None:
    held = BytesIO()
    with ZipFile(held, "w") as made:  # stored as it is
        made.writestr("first.txt", "outside")
        made.writestr("in.zip", archive({"in.txt": "inside"}))
    whole = held.getvalue()
    with pytest.raises(UsageError, match="cut off; get it anew"):
        read(whole[: whole.rindex(b"PK\1\2")], "a.zip")


def test_words_of_a_drawing_in_a_page_are_read() -> None:
    drawing = "<svg><title>icon</title><style>x</style><text>High <tspan>water</tspan></text></svg>"
    assert text_of(read(f"<p>See {drawing} here.</p>".encode(), "a.html")) == "See High water here."


def test_a_notebook_is_its_text_code_and_output() -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Tides\n", "Of Faro."]},
        {"cell_type": "code", "source": "print(3.9)", "outputs": [
            {"output_type": "stream", "text": ["3.9\n"]},
            {"output_type": "display_data", "data": {"image/png": "x", "text/plain": "<Figure>"}},
            {"output_type": "error", "ename": "E", "evalue": "bad"},
        ]},
    ]  # fmt: skip
    book = {"nbformat": 4, "metadata": {"language_info": {"name": "python"}}, "cells": cells}
    found = read(json.dumps(book).encode(), "a.ipynb")
    assert found.title == "Tides"
    assert (
        text_of(found)
        == "# Tides\nOf Faro.\n\n```python\nprint(3.9)\n```\n\n```\n3.9\n```\n\n```\nE: bad\n```"
    )
    assert found.notes == ("Outputs that are pictures, left out: 1.",)


def test_xml_keeps_its_structure_and_its_titles_are_headings() -> None:
    source = (
        "<!DOCTYPE b [<!ENTITY co 'Ann &#38; Sons'>]><b xmlns:x='u' id='7'><title>Tides</title><s>"
        "<title>Ebb</title>"
        "<p>Out <i>to</i> sea.</p><n x:unit='m'>3.9</n></s></b>"
    ).replace("&#38;", "and")
    found = read(source.encode(), "a.xml")
    assert (found.title, headings_of(found)) == ("Tides", ["Tides", "Tides › Ebb"])
    assert text_of(found) == "b (id: 7):\n  Tides\n  s:\n    Ebb\n    Out to sea.\n    n (unit: m): 3.9\n"
    assert (
        text_of(read(b"<?xml version='1.0' encoding='windows-1251'?><a>\xcf\xf0</a>", "a.xml")) == "a: Пр\n"
    )
    damaged = read(b"<a><b>tide</b><c>", "a.xml")
    assert text_of(damaged) == "a:\n  b: tide\n  c\n"
    assert damaged.notes[0].startswith("It is damaged (")
    feed = b"<rss><item><description>&lt;p&gt;A &lt;b&gt;b&lt;/b&gt;&lt;/p&gt;</description></item></rss>"
    assert "description: A **b**" in text_of(read(feed, "a.rss"))


def test_captions_are_lines_of_time_speaker_and_words() -> None:
    vtt = b"WEBVTT\n\n00:00:01.000 --> 00:00:02.000\n<v Eva>Good <i>morning</i>\n"
    assert text_of(read(vtt, "a.vtt")) == "00:00:01 Eva: Good morning"
    srt = "1\n00:00:01,000 --> 00:00:02,000\nПривет, мир, я здесь\n".encode("cp1251")
    assert text_of(read(srt, "a.srt")) == "00:00:01 Привет, мир, я здесь"


# code


def test_code_is_cut_at_definitions_which_are_its_headings() -> None:
    method = '    def turn(self):\n        """Тide."""\n' + "        self.now += 1  # so it goes\n" * 30
    methods = f"{method}\n{method.replace('turn', 'ebb')}"
    source = f"import sea\n\n\nclass Tide:\n    'x'\n\n{methods}\n\n@sea\ndef flow():\n    return 1\n"
    found = read(source.encode(), "tide.py", "code")
    assert found.title == "tide.py"
    assert "".join(leaf.text for leaf in found.leaves) == source
    language, counter = grammar("text/x-python"), HeuristicCounter()
    sections = [
        each.section
        for page, leaf in enumerate(found.leaves, 1)
        for each in chunks(leaf, page, counter, markdown=False, grammar=language)
    ]
    assert list(dict.fromkeys(sections))[:4] == ["", "Tide", "Tide › turn", "Tide › ebb"]
    assert "flow" in headings_of(found)


@pytest.mark.parametrize(
    ("name", "source", "paths"),
    [
        (
            "a.js",
            "class A { go() {} }\nconst f = () => 1;\nexport function g() {}",
            ["A", "A › go", "f", "g"],
        ),
        ("a.ts", "interface I { x: number }\nclass A<T> { go(): void {} }", ["I", "A", "A › go"]),
        ("a.java", "class A { A() {} int go() { return 1; } }", ["A", "A › A", "A › go"]),
        ("a.c", "struct P { int x; };\nint *go(struct P *p) { return 0; }", ["P", "go"]),
        ("a.cpp", "namespace n { class A { void go() {} }; }", ["n", "n › A", "n › A › go"]),
        ("a.cs", "namespace N { class A { void Go() {} } }", ["N", "N › A", "N › A › Go"]),
        ("a.go", "package p\ntype T struct{}\nfunc (t T) Go() {}", ["T", "Go"]),
        ("a.rs", "struct S;\nimpl S { fn go() {} }\nmod m {}", ["S", "S", "S › go", "m"]),
        ("a.rb", "module M\n class A\n  def go\n  end\n end\nend", ["M", "M › A", "M › A › go"]),
        ("a.php", "<?php class A { function go() {} }", ["A", "A › go"]),
        ("a.sh", "go() { echo; }", ["go"]),
        ("a.tsx", "const V = () => <b/>;", ["V"]),
    ],
)
def test_definitions_are_found_in_each_language(name: str, source: str, paths: list[str]) -> None:
    (leaf,) = read(source.encode(), name, "code").leaves
    assert [each.path for each in leaf.headings if each.path and source[each.start :].strip()][
        : len(paths) * 3
    ]
    begun = [each.path for each in leaf.headings if each.path]
    assert list(dict.fromkeys(begun)) == list(dict.fromkeys(paths))


def test_code_is_code_only_if_that_was_asked_for() -> None:
    assert unknown("a.py", "") == "It is source code; load it with --as code."
    assert unknown("a.py", "code") == ""
    assert unknown("a.xyz", "code") == "Its kind is unknown; name it to load it as text."
    assert media_of("a.py", "", b"x = 1") == "text/plain"
    assert media_of("a.md", "", b"# x", "code") == "text/markdown"
    assert {each.name for each in LANGUAGES} >= {"python", "rust", "go", "java"}


# what is not read


@pytest.mark.parametrize(
    ("data", "name", "says"),
    [
        (compound({"WordDocument": b"x"}), "a.doc", "It is an old Word document (.doc); save it as .docx"),
        (
            compound({"PowerPoint Document": b"x"}),
            "a.ppt",
            "It is an old presentation (.ppt); save it as .pptx",
        ),
        (compound({"EncryptedPackage": b"x"}), "a.docx", "It is encrypted; save it without a password."),
        (compound({"VisioDocument": b"x"}), "a.vsd", "export it as PDF"),
        (compound({"Other": b"x"}), "a", "save it as .docx"),
        (compound({"Workbook": b"x"})[:700], "a.xls", "damaged file of an older Office program"),
        (b"\x09\x04\x06\0\0\0\x10\0", "a.xls", "a workbook of Excel 4 or older; save it as .xlsx"),
        (archive({"Index/Document.iwa": b"x"}), "a.pages", "It is a document of Pages, Numbers or Keynote"),
        (archive({"visio/document.xml": b"x"}), "a.vsdx", "export it as PDF"),
        (b"\xff\xd8\xff\xe0\0", "a.txt", "It is a picture (JPEG)"),
        (
            b"\0\0\0\x18ftypheic\0\0",
            "a.heic",
            "It is a picture (HEIC); save it as PNG or JPEG and attach that",
        ),
        (b"BM606\0\0\0\0\0@@", "a.txt", "It is a picture (BMP); save it as PNG or JPEG"),
        (b"ID3\x04\0\0", "a.mp3", "It is a recording (MP3); load a transcript"),
        (b"\0\0\0\x20ftypisom", "a.mp4", "It is a film (MP4); load its subtitles"),
        (b"\x1f\x8b\x08\0", "a.gz", "It is an archive (gzip); unpack it"),
        (b"SQLite format 3\0", "a.db", "export its tables as CSV"),
        (b"\x7fELF\x02\0", "a", "It is a program (ELF)"),
        (b"%!PS-Adobe-3.0", "a.ps", "convert it to PDF"),
        (b"<svg xmlns='x'><path/></svg>", "a.xml", "It is a picture (SVG)"),
        (odt("", more={"META-INF/manifest.xml": "<m><encryption-data/></m>"}), "a.odt", "It is encrypted"),
        (b"{\\rtf1 }", "a.rtf", "no text"),
        (b"nonsense", "a.msg", "not a message"),
        (b"nonsense", "a.xlsx", "not a workbook"),
        (b"nonsense", "a.pptx", "not a .pptx"),
        (b"nonsense", "a.odt", "not an OpenDocument"),
        (b"nonsense", "a.rtf", "not RTF"),
        (b"nonsense", "a.ipynb", "no notebook"),
        (b"nonsense", "a.xml", "not XML"),
    ],
)
def test_what_is_not_read_is_refused_by_kind_with_the_way_out(data: bytes, name: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(data, name)
    said = str(caught.value)
    assert says in said
    assert said.endswith(".")
    assert "\n" not in said


def test_a_text_about_a_kind_of_file_is_a_text() -> None:
    for begin in (
        "ID3 tags are old.",
        "FORM follows function.",
        "MZ is a letter pair.",
        "BMP is a picture without compression.",
        "GIF89 was a name.",
        "What is AVI then?",
        "Rar! said he.",
    ):
        assert text_of(read(begin.encode(), "a.txt")) == begin
    assert unknown("a.doc", "").startswith("It is an old Word document (.doc)")
    assert unknown("song.mp3", "") == "It is a recording (MP3); load a transcript of it, as SRT, VTT or text."
