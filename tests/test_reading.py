"""Documents in which something is easily lost: what a reader sees is read, or the report names it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from document_files import archive, docx, pdf
from pagefault.errors import UsageError
from pagefault.ingest.bounds import Bounds
from pagefault.ingest.characters import decoded
from pagefault.ingest.extract import extract, media_of
from pagefault.ingest.html import read_html
from pagefault.ingest.pages import Extracted
from pagefault.ingest.reading import Reading, ReadingOptions, numbers
from reading_files import book, chart, diagram, notes, pages, paragraph, right_to_left, shown, word

BOUNDS = Bounds(seconds=60, memory=1024, characters=2_000_000, pages=500)
RUSSIAN = "Привет, меня зовут Иван, я живу в Москве. Маяк стоит на молу, и огонь горит каждый вечер. "
SENTENCE = "The tide turns at noon, and the harbour master writes it into his book. "


def read(data: bytes, name: str, **options: Any) -> Extracted:
    return extract(data, media_of(name, "", data), Reading(BOUNDS, ReadingOptions(**options)))


def text_of(found: Extracted) -> str:
    return "\n".join(leaf.text for leaf in found.leaves)


def html(body: str, head: str = "") -> Extracted:
    return read(f"<!DOCTYPE html><html><head>{head}</head><body>{body}</body></html>".encode(), "a.html")


# characters

LONG = {
    "cp1251": RUSSIAN,
    "koi8-r": RUSSIAN,
    "cp866": RUSSIAN,
    "iso8859-5": RUSSIAN,
    "shift_jis": "灯台は港の端に立っています。毎晩、日が沈むと、灯台守が火をともします。今日は風が強いです。",
    "euc_jp": "灯台は港の端に立っています。毎晩、日が沈むと、灯台守が火をともします。今日は風が強いです。",
    "iso2022_jp": "灯台は港の端に立っています。毎晩、日が沈むと、灯台守が火をともします。",
    "gb18030": "灯塔矗立在港口的尽头。每天晚上太阳落山的时候，守塔人点亮灯火。今天的风很大，海浪很高。",
    "big5": "燈塔矗立在港口的盡頭。每天晚上太陽落山的時候，守塔人點亮燈火。今天的風很大，海浪很高。",
    "euc_kr": "등대는 항구 끝에 서 있습니다. 매일 저녁 해가 지면 등대지기가 불을 켭니다.",
    "cp1252": "La marée haute à Faro est très élevée – le gardien du phare l’écrit. Größe, señor.",
    "iso8859-2": "Latarnia morska stoi na końcu mola. Każdego wieczoru, gdy słońce zachodzi, świeci.",
    "cp1253": "Ο φάρος βρίσκεται στην άκρη του λιμανιού. Κάθε βράδυ, όταν δύει ο ήλιος, ανάβει το φως.",
    "cp1255": "המגדלור עומד בקצה הנמל. בכל ערב, כשהשמש שוקעת, שומר המגדלור מדליק את האור.",
    "cp1256": "تقف المنارة في نهاية الميناء. كل مساء عندما تغرب الشمس يشعل حارس المنارة الضوء.",
    "cp874": "ประภาคารตั้งอยู่ที่ปลายท่าเรือ ทุกเย็นเมื่อพระอาทิตย์ตก ผู้ดูแลประภาคารจะจุดไฟ",
}


@pytest.mark.parametrize("encoding", LONG)
def test_a_character_set_is_detected_and_said(encoding: str) -> None:
    found = read(LONG[encoding].encode(encoding), "a.txt")
    assert text_of(found) == LONG[encoding].strip() or text_of(found) == LONG[encoding]
    (note,) = found.notes
    assert note.startswith("Its characters are read as ")


SHORT = [
    ("cp1252", "Größe"),
    ("cp1252", "El niño comió piñas mañana."),
    ("cp1252", '{"a": "café grüße"}'),
    ("cp1250", "Zażółć gęślą jaźń."),
    ("cp1250", "Žluťoučký kůň šel domů."),
    ("iso8859-2", "Příliš žluťoučký kůň úpěl ďábelské ódy."),
    ("iso8859-9", "Merhaba, benim adım Ayşe."),
    ("koi8-r", "Привет, мир."),
    ("cp866", "Привет, мир."),
    ("cp1251", "Маяк\0 стоит"),
]


@pytest.mark.parametrize(("encoding", "text"), SHORT)
def test_a_short_text_is_read_in_a_set_in_which_its_words_have_one_alphabet(encoding: str, text: str) -> None:
    found = decoded(text.encode(encoding))
    assert found.text == text
    assert "not certain; --encoding sets another" in found.note


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize(
    "text", ["Маяк стоит на молу.", "灯塔在海边。", "Ο φάρος.\r\n", "The tide turns at noon."]
)
def test_utf_16_and_32_need_no_mark(encoding: str, text: str) -> None:
    assert decoded(text.encode(encoding)).text == text


def test_utf_8_with_a_few_bad_bytes_is_utf_8() -> None:
    found = read((RUSSIAN * 9).encode() + b"\x96 end", "a.txt")
    assert text_of(found) == f"{RUSSIAN * 9}\ufffd end"
    assert found.notes == ("Places that cannot be decoded as utf-8, where \ufffd stands: 1.",)


def test_a_page_that_declares_its_set_is_read_in_it_in_spite_of_a_bad_byte() -> None:
    page = f"<meta charset=koi8-u><p>{RUSSIAN}".encode("koi8-u")
    assert RUSSIAN.strip() in text_of(read(page, "a.html"))
    assert not read(page, "a.html").notes
    mixed = ("<meta charset=shift_jis><p>" + LONG["shift_jis"] * 3).encode("shift_jis") + b"\x82"
    assert LONG["shift_jis"] in text_of(read(mixed, "b.html"))


def test_few_characters_are_a_guess_and_the_report_says_so() -> None:
    data = "Привет, меня зовут Иван.".encode("cp1251")
    (note,) = read(data, "a.txt").notes
    assert "not certain; --encoding sets another" in note
    assert text_of(read(data, "a.txt", encoding="windows-1251")) == "Привет, меня зовут Иван."
    assert read(data, "a.txt", encoding="windows-1251").notes == ()
    assert "Places that cannot be decoded as utf-8" in read(data, "a.txt", encoding="utf-8").notes[0]


@pytest.mark.parametrize("name", ["klingon", "base64", "rot13", "\ud800", "../../x", "x" * 1_000])
def test_an_encoding_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="There is no encoding"):
        ReadingOptions(encoding=name)


def test_utf_16_needs_no_mark() -> None:
    assert decoded("The tide turns at noon.".encode("utf-16-le")).text == "The tide turns at noon."
    assert decoded("The tide turns at noon.".encode("utf-16-be")).text == "The tide turns at noon."


def test_zero_bytes_in_a_log_cost_nothing() -> None:
    found = read(b"start of the log\n" + b"\0" * 5_000 + b"\nend\n", "a.log")
    assert text_of(found).split() == ["start", "of", "the", "log", "end"]
    assert found.notes == ("Zero bytes left out: 5,000.",)


def test_front_matter_may_be_toml() -> None:
    found = read(b'+++\ntitle = "My  notes"\ndate = 2024-05-01\n+++\n# One\n\nHi', "a.md")
    assert (found.title, text_of(found)) == ("My notes", "# One\n\nHi")
    assert read(b"+++\nno toml\n+++\n# One", "a.md").title == "One"


def test_a_cell_may_be_of_any_size() -> None:
    cell = "x" * 300_000
    assert text_of(read(f"a,b\n1,{cell}\n".encode(), "a.csv")).replace("\n", "").endswith(cell)


# PDF

_FORM = (
    b"<</Type/Annot/Subtype/Widget/Rect[150 690 300 710]/F 4/FT/Tx/T(person)/TU(First name)/V(Wilhelmina)>>",
    b"<</Type/Annot/Subtype/Widget/Rect[150 660 170 680]/F 4/FT/Btn/T(a.single)/V/Yes/AS/Yes"
    b"/AP<</N<</Yes 4 0 R/Off 4 0 R>>>>>>",
    b"<</Type/Annot/Subtype/Widget/Rect[150 630 170 650]/F 4/FT/Btn/T(b.married)/V/Off/AS/Off"
    b"/AP<</N<</Yes 4 0 R/Off 4 0 R>>>>>>",
    b"<</Type/Annot/Subtype/Widget/Rect[150 600 170 620]/F 4/FT/Ch/Ff 131072/T(port)"
    b"/Opt[(Faro)(Porto)]/V(Faro)>>",
    b"<</Type/Annot/Subtype/FreeText/Rect[72 500 300 520]/F 4/Contents(Typed on the page)>>",
    b"<</Type/Annot/Subtype/Text/Rect[72 400 88 420]/F 4/T(Eve\r[x] y)/Contents(Check\rit)>>",
    b"<</Type/Annot/Subtype/Popup/Rect[72 400 88 420]/Contents(Check\rit)>>",
    b"<</Type/Annot/Subtype/Link/Rect[72 400 88 420]/Contents(where it leads)>>",
)


def test_values_of_a_pdf_form_and_notes_on_its_pages_are_read() -> None:
    data = pages([shown("Name:")], annotations=_FORM, fields=b"10 0 R 11 0 R 12 0 R 13 0 R")
    assert text_of(read(data, "a.pdf")) == (
        "Name:\n\nFirst name: Wilhelmina\n☒ single\n☐ married\nport: Faro\nTyped on the page\n"
        "Note (Eve [x] y): Check\nit"
    )


def test_a_form_of_xfa_is_named() -> None:
    data = pages([shown("Please wait...")], annotations=_FORM[:1], fields=b"10 0 R]/XFA[(datasets) 4 0 R")
    assert read(data, "a.pdf").notes == (
        "It has a form of XFA, which is not read; print it into a new PDF, and load that.",
    )


def test_a_damaged_page_costs_that_page_and_is_named() -> None:
    found = read(pages([shown("One."), None, shown("Three."), None, None]), "a.pdf")
    assert [leaf.text for leaf in found.leaves] == ["One.", "", "Three.", "", ""]
    assert found.notes == ("Pages 2, 4-5 of 5 cannot be read (damaged).",)
    with pytest.raises(UsageError, match="none of its pages can be read"):
        read(pages([None, None]), "a.pdf")


_DRAWN = b"q 400 0 0 400 90 300 cm 0.5 g 0 0 1 1 re f Q\n"


def test_pages_without_text_are_counted() -> None:
    found = read(pages([shown("Cover."), _DRAWN, _DRAWN, b""]), "a.pdf")
    assert found.notes == ("2 of 4 pages have no text (pictures): 2-3; --ocr recognises it.",)
    with pytest.raises(UsageError, match="only pictures; load it with --ocr"):
        read(pages([_DRAWN]), "a.pdf")


_TESSERACT = """#!/bin/sh
if [ "$1" = --list-langs ]; then printf 'List of available languages (2):\\neng\\nosd\\nfra\\n'; exit; fi
[ "$(head -c 2)" = P5 ] || exit 1
cat > /dev/null
echo "The lamp is lit, $6."
"""


@pytest.mark.skipif(os.name == "nt", reason="a program in sh")
def test_pictures_are_read_by_tesseract_where_it_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = pages([shown("Cover."), _DRAWN])
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="needs the program tesseract"):
        read(data, "a.pdf", ocr=True)
    program = tmp_path / "tesseract"
    program.write_text(_TESSERACT)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    found = read(data, "a.pdf", ocr=True)
    assert [leaf.text for leaf in found.leaves] == ["Cover.", "The lamp is lit, eng+fra."]
    assert found.notes == ("1 of 2 pages were read by text recognition.",)
    program.write_text("#!/bin/sh\nexit 1\n")
    assert read(data, "a.pdf", ocr=True).notes == ("1 of 2 pages has no text (pictures): 2.",)


def test_a_password_opens_a_pdf_and_is_shown_nowhere() -> None:
    data = pdf(["The vault opens at noon."], password="open sésame")
    with pytest.raises(UsageError, match="give its password by --password"):
        read(data, "a.pdf")
    with pytest.raises(UsageError, match="not with this password") as caught:
        read(data, "a.pdf", password="open barley")
    assert "barley" not in str(caught.value)
    assert text_of(read(data, "a.pdf", password="open sésame")) == "The vault opens at noon."
    options = ReadingOptions(password="open sésame")
    assert "sésame" not in f"{options} {options!r} {options.mark}"


@pytest.mark.parametrize(
    ("glyphs", "said"),
    [
        (["م", "لا", "س", "ل", "ا"], "السلام"),
        (["لا"], "لا"),
        (["ب", "ا", "ت", "ك"], "كتاب"),
        (["ם", "ו", "ל", "ש"], "שלום"),
        (["ﺔ", "ﻨ", "ﺳ"], "سنة"),
    ],
)
def test_arabic_and_hebrew_words_of_a_pdf_are_in_reading_order(glyphs: list[str], said: str) -> None:
    assert text_of(read(right_to_left(glyphs), "a.pdf")) == said


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        ("in םלוע םולש out", "in שלום עולם out"),
        ("a םלוע 12 םולש, b", "a שלום 12 עולם, b"),
        ("A 11 Pro לש (ללוכ) ריחמ", "מחיר (כולל) של A 11 Pro"),
        ("םוי 3 העש (א", "א) שעה 3 יום"),
    ],
)
def test_words_of_both_directions_in_a_line_of_a_pdf_are_in_reading_order(seen: str, said: str) -> None:
    assert text_of(read(right_to_left(list(seen)), "a.pdf")) == said


def test_numbers_are_shown_as_people_write_them() -> None:
    assert numbers([1, 3, 4, 5, 9]) == "1, 3-5, 9"
    assert numbers(list(range(0, 100, 2))).endswith("38, ...")


# Word


def _lines(found: Extracted) -> list[str]:
    return [line for line in text_of(found).split("\n") if line]


def test_comments_and_footnotes_of_a_word_document_stand_at_its_end() -> None:
    body = (
        '<w:p><w:r><w:t>The rent is 900.</w:t></w:r><w:r><w:commentReference w:id="1"/></w:r>'
        '<w:r><w:footnoteReference w:id="1"/></w:r></w:p>'
    )
    parts = {
        "comments.xml": ("comments", notes("comment", "Ask for a discount.")),
        "footnotes.xml": ("footnotes", notes("footnote", "Since May.")),
    }
    said = text_of(read(word(body, parts), "a.docx"))
    assert "Ann: Ask for a discount." in said
    assert "Since May." in said
    assert "↑" not in said


@pytest.mark.parametrize(
    ("formula", "said"),
    [
        (
            "<m:f><m:num><m:r><m:t>a+b</m:t></m:r></m:num><m:den><m:r><m:t>2</m:t></m:r></m:den></m:f>",
            "(a+b)/2",
        ),
        (
            "<m:sSup><m:e><m:r><m:t>x</m:t></m:r></m:e><m:sup><m:r><m:t>n+1</m:t></m:r></m:sup></m:sSup>",
            "x^(n+1)",
        ),
        ("<m:rad><m:deg/><m:e><m:r><m:t>y</m:t></m:r></m:e></m:rad>", "√(y)"),
        (
            '<m:nary><m:naryPr><m:chr m:val="∑"/></m:naryPr><m:sub><m:r><m:t>i=1</m:t></m:r></m:sub>'
            "<m:sup><m:r><m:t>n</m:t></m:r></m:sup><m:e><m:r><m:t>i</m:t></m:r></m:e></m:nary>",
            "∑_(i=1)^n i",
        ),
        ("<m:d><m:e><m:r><m:t>a</m:t></m:r></m:e><m:e><m:r><m:t>b</m:t></m:r></m:e></m:d>", "(a, b)"),
        ("<m:e>" * 200 + "<m:r><m:t>deep</m:t></m:r>" + "</m:e>" * 200, "deep"),
    ],
)
def test_a_formula_of_a_word_document_is_a_line(formula: str, said: str) -> None:
    body = f"<w:p><w:r><w:t>It is </w:t></w:r><m:oMath>{formula}</m:oMath></w:p>"
    assert text_of(read(word(body), "a.docx")) == f"It is {said}"


def test_headers_and_footers_of_a_word_document_stand_at_its_end_once() -> None:
    def margin(inner: str) -> str:
        space = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
        return f'<w:hdr xmlns:w="{space}" xmlns:mc="mc"><w:p>{inner}</w:p></w:hdr>'

    def field(code: str, shown: str) -> str:
        marks = [f'<w:r><w:fldChar w:fldCharType="{kind}"/></w:r>' for kind in ("begin", "separate", "end")]
        begin, separate, end = marks
        text = f"<w:r><w:instrText> {code} </w:instrText></w:r>{separate}<w:r><w:t>{shown}</w:t></w:r>"
        return begin + text + end

    draft = "<w:r><w:t>Draft &lt;3&gt;</w:t></w:r>"
    number = field("PAGE", "7") + "<w:r><w:t> of </w:t></w:r>" + field("NUMPAGES", "9")
    parts = {
        "header1.xml": ("header", margin(draft)),
        "header2.xml": ("header", margin(draft)),
        "footer1.xml": ("footer", margin(f"<w:r><w:t>Page </w:t></w:r>{number}")),
        "footer2.xml": ("footer", margin(f"<w:r><w:t>By Ann, </w:t></w:r>{field('DATE', '1 May')}")),
    }
    assert text_of(read(word(paragraph("Tides."), parts), "a.docx")) == (
        "Tides.\n\nHeader: Draft <3>\n\nFooter: By Ann, 1 May"
    )


def test_a_damaged_part_beside_the_text_of_a_word_document_costs_that_part() -> None:
    mark = '<w:p><w:r><w:t>Tides.</w:t></w:r><w:r><w:commentReference w:id="1"/></w:r></w:p>'
    parts = {
        "comments.xml": ("comments", notes("comment", "Sure?")[:-9]),
        "header1.xml": ("header", "<w:hdr"),
        "styles.xml": ("styles", "<w:styles>"),
    }
    found = read(word(mark, parts), "a.docx")
    assert text_of(found) == "Tides."
    assert [note.partition(":")[0] for note in found.notes] == [
        f"A part of it is damaged, and left out (word/{name}" for name in parts
    ]
    with pytest.raises(UsageError, match="it may be damaged"):
        read(word("<w:p>"), "a.docx")


def test_a_reference_to_a_note_that_is_not_there_is_nothing() -> None:
    mark = '<w:p><w:r><w:t>Tides.</w:t></w:r><w:r><w:footnoteReference w:id="9"/></w:r></w:p>'
    assert (
        text_of(read(word(mark, {"footnotes.xml": ("footnotes", notes("footnote", "x"))}), "a.docx"))
        == "Tides."
    )


def test_drop_caps_diagrams_charts_text_boxes_and_fields_of_a_word_document_are_read() -> None:
    box = f"<wps:txbx><w:txbxContent>{paragraph('In a new box.')}</w:txbxContent></wps:txbx>"
    body = (
        paragraph("T", '<w:pPr><w:framePr w:dropCap="drop"/></w:pPr>')
        + paragraph("he tide turns.")
        + '<w:p><w:r><w:drawing><dgm:relIds r:dm="data1"/></w:drawing></w:r></w:p>'
        + '<w:p><w:r><w:drawing><c:chart r:id="chart1"/></w:drawing></w:r></w:p>'
        + f"<w:p><w:r><mc:AlternateContent><mc:Choice>{box}</mc:Choice></mc:AlternateContent></w:r></w:p>"
        + f"<w:p><w:r><w:drawing>{box.replace('new', 'bare')}</w:drawing></w:r></w:p>"
        + "<w:p><w:fldSimple><w:r><w:t>Field text</w:t></w:r></w:fldSimple></w:p>"
    )
    parts = {
        "data1.xml": ("diagramData", diagram("Ebb", "Flow")),
        "chart1.xml": ("chart", chart("Heights", "Faro", {"Mon": "3.9", "Tue": "4.1"})),
    }
    assert _lines(read(word(body, parts), "a.docx")) == [
        "The tide turns.",
        "Ebb",
        "Flow",
        "Heights",
        "Faro: Mon 3.9; Tue 4.1",
        "In a new box.",
        "In a bare box.",
        "Field text",
    ]


@pytest.mark.parametrize("target", ["../../../etc/passwd", "file:///etc/passwd", "http://127.0.0.1:9/x", ""])
def test_relations_of_a_word_document_that_lead_outside_it_are_nothing(target: str) -> None:
    body = '<w:p><w:r><w:t>x</w:t><w:drawing><dgm:relIds r:dm="a"/></w:drawing></w:r></w:p>'
    assert text_of(read(word(body, links={"a": target}), "a.docx")) == "x"


def test_a_merged_cell_stands_under_each_of_its_headings() -> None:
    found = html(
        "<table><tr><th rowspan=2>Zone<th colspan=2>Price<tr><th>Single<th>Return"
        "<tr><td colspan=3>North region<tr><td>A<td>1<td>2</table>"
    )
    assert text_of(found) == (
        "| Zone | Price | Price |\n| --- | --- | --- |\n| Zone | Single | Return |\n"
        "| North region |  |  |\n| A | 1 | 2 |"
    )


# books


def test_missing_chapters_of_a_book_and_unknown_items_of_its_spine_are_named() -> None:
    found = read(book(["a", "b", "nosuch", "c"], {"a": "<p>One.", "c": "<p>Three."}, items=["b"]), "a.epub")
    assert text_of(found) == "One.\nThree."
    assert found.notes == (
        "Its order of chapters names items that it does not list: nosuch.",
        "Chapters that are missing in it: b.",
    )
    with pytest.raises(UsageError, match="no chapter that can be read"):
        read(book(["b"], {}, items=["b"]), "a.epub")


def test_a_damaged_chapter_costs_that_chapter_and_is_named() -> None:
    files = {"a": "<p>One.", "b": "<p>Two " + " ".join(map(str, range(2_000))), "c": "<p>Three."}
    data = bytearray(book(["a", "b", "c"], files))
    place = data.index(b"b", data.index(b"PK\x03\x04", data.index(b"nav.xhtml") + 60))
    middle = data.rindex(b"PK\x03\x04") - 1_000
    assert place < middle
    data[middle : middle + 40] = b"\xff" * 40
    found = read(bytes(data), "a.epub")
    assert text_of(found) == "One.\nThree."
    assert found.notes == ("Chapters that cannot be read (damaged): b.",)


def test_names_of_chapters_footnotes_and_texts_beside_the_spine_of_a_book_are_read() -> None:
    navigation = '<a href="a">The  Lighthouse</a><a href="b#x">Named</a>'
    files = {
        "a": "<p>It stands.<sup>1</sup></p><aside epub:type='footnote'>1. On the mole.</aside>",
        "b": "<h1>Own heading</h1><p>It shines.",
        "notes": "<p>2. Each evening.",
    }
    found = read(book(["a", "b"], files, navigation=navigation), "a.epub")
    assert text_of(found) == (
        "# The Lighthouse\n\nIt stands.1\n\n1. On the mole.\n# Own heading\n\nIt shines.\n2. Each evening."
    )
    assert [leaf.headings[0].path for leaf in found.leaves[:2]] == ["The Lighthouse", "Own heading"]


# HTML


def test_what_a_form_holds_is_read() -> None:
    found = html(
        "<form>Name <input value='Wilhelmina'><input type=hidden value=secret>"
        "<input type=password value=p4ss><p><input type=radio checked> Yes <input type=radio> No</p>"
        "<select><option>Faro<option selected>Porto</select><textarea>My note</textarea>"
        "<button>Send</button></form>"
    )
    assert text_of(found).split("\n\n") == ["Name Wilhelmina", "☒ Yes ☐ No", "Porto", "My note"]


def test_an_article_is_found_without_what_stands_around_it() -> None:
    found = html(
        f"<div class='sidebar'><p>{SENTENCE * 3}Aside.</p></div><div class=text><p>{SENTENCE * 9}</p>"
        f"<ul><li><a href=x>Share</a></li><li><a href=y>Mail</a></li></ul><aside><p>1. In Lisbon it is cais."
        f"</aside><p hidden>Never shown.</p><p>{SENTENCE * 2}</div><div id=comments><p>{SENTENCE * 2}</div>"
    )
    said = text_of(found)
    assert said.count(SENTENCE.strip()) == 11
    assert "1. In Lisbon it is cais." in said
    assert not [word for word in ("Aside.", "Share", "Mail", "Never shown") if word in said]


def test_all_articles_of_a_page_are_read() -> None:
    articles = "".join(f"<article><h2>{name}</h2><p>{SENTENCE * 6}</p></article>" for name in "ABC")
    found = html(f"<div><main>{articles}</main><article><p>{SENTENCE * 2}D ends.</p></article></div>")
    assert [line for line in _lines(found) if line.startswith("#")] == ["## A", "## B", "## C"]
    assert "D ends." in text_of(found)


@pytest.mark.parametrize(
    ("head", "body", "title"),
    [
        (
            "<meta property='og:title' content='Ferry sinks'><title>News</title>",
            "<h1>Site</h1>",
            "Ferry sinks",
        ),
        ("<title>Ferry sinks near the mole - Harbour News</title>", "<p>x", "Ferry sinks near the mole"),
        ("<title>Harbour News: Ferry sinks</title>", "<h1>Ferry sinks</h1>", "Ferry sinks"),
        ("<title>T | Site</title>", "<h1>The real story</h1>", "T | Site"),
        (
            "<title>Ferry sinks | Harbour News</title>",
            "<header><h1>Harbour News</h1></header><main><h2>Ferry sinks</h2></main>",
            "Ferry sinks",
        ),
        (
            "<title>Ferry sinks - Harbour News</title>",
            "<h1>Harbour News</h1><h2>Ferry sinks</h2>",
            "Ferry sinks",
        ),
        ("<title>Array - JavaScript | MDN</title>", "<h1>Array</h1><h2>JavaScript</h2>", "Array"),
        ("<title>Harbour News</title>", "<h1>Harbour News</h1>", "Harbour News"),
        ("", "<h1>The real story</h1>", "The real story"),
    ],
)
def test_the_title_of_a_page(head: str, body: str, title: str) -> None:
    assert html(f"{body}<p>It sank.", head).title == title


@pytest.mark.parametrize(
    "head",
    [
        "<meta name=author content='Ann Lee'><meta property='article:published_time' content='2024-05-01T1'>",
        '<script type="application/ld+json">{"@graph": [{"author": [{"name": "Ann Lee"}], '
        '"datePublished": "2024-05-01"}]}</script>',
    ],
)
def test_author_and_date_of_a_page_stand_above_it(head: str) -> None:
    assert text_of(html("<p>It sank.", head)) == "Author: Ann Lee\nDate: 2024-05-01\n\nIt sank."


@pytest.mark.parametrize("data", ["[" * 100_000, '{"author": 1}', '{"author": {"name": ["x"]}}', "null", "{"])
def test_linked_data_that_is_none_is_nothing(data: str) -> None:
    assert text_of(html("<p>It sank.", f'<script type="application/ld+json">{data}</script>')) == "It sank."


def test_a_formula_of_a_page_is_a_line() -> None:
    found = html(
        "<p>It is <math><mfrac><mrow><mi>d</mi><mi>y</mi></mrow><mrow><mi>d</mi><mi>x</mi></mrow>"
        "</mfrac><mo>=</mo><msup><mi>x</mi><mn>2</mn></msup><annotation>\\tex</annotation></math>.</p>"
    )
    assert text_of(found) == "It is dy/dx=x^2."


def test_pages_that_ask_for_much_are_read_in_time_that_grows_with_them() -> None:
    for body in (
        "<math>" * 20_000,
        "<select><option>x" * 20_000,
        "<div class='comment'>" * 20_000,
        "<input value=x>" * 20_000,
    ):
        begin = time.process_time()
        read_html(f"<p>{SENTENCE * 9}</p>{body}")
        assert time.process_time() - begin < 30


def test_a_word_document_without_any_of_this_is_as_it_was() -> None:
    assert text_of(read(docx([("Heading1", "Tides"), ("", "Ebb.")]), "a.docx")) == "# Tides\n\nEbb."


def test_an_element_of_xhtml_that_closes_itself_does_not_hold_the_rest() -> None:
    page = (
        '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title/><script src="a.js"/>'
        '</head><body><a id="p1"/><h1>One</h1><textarea/><iframe src="x"/>'
        "<p>The tide<br/>turns.</p></body></html>"
    )
    for whole in (True, False):
        found = read_html(page, whole=whole)
        assert (found.title, found.text) == ("One", "# One\n\nThe tide\nturns.")


def test_notes_are_read_wherever_they_stand() -> None:
    article = f"<main><h1>On quays</h1><p>{SENTENCE * 4}<p>{SENTENCE * 6}</main>"
    for note in ('section role="doc-endnotes"', 'aside epub:type="footnote"', 'aside role="doc-footnote"'):
        tag = note.split()[0]
        found = text_of(html(f"{article}<footer><{note}><p>In Lisbon: cais.</{tag}>About us</footer>"))
        assert found.count("In Lisbon: cais.") == 1
        assert "About us" not in found
        assert text_of(html(f"<main><p>{SENTENCE}<{note}>In Lisbon.</{tag}></main>")).count("In Lisbon") == 1
    assert "secret" not in text_of(
        html(f"{article}<div hidden><aside role=doc-footnote>secret</aside></div>")
    )


def test_a_cell_that_spans_the_rest_of_its_group_of_rows_ends_with_it() -> None:
    found = text_of(
        html(
            "<table><thead><tr><th>Zone<th>Ticket<tbody><tr><td rowspan=0>North<td>Single<tr><td>Return"
            "<tbody><tr><td>South<td>Single</table>"
        )
    )
    assert found.split("\n")[2:] == ["| North | Single |", "| North | Return |", "| South | Single |"]


def test_values_of_a_form_stand_apart() -> None:
    form = '<form>Name <input value="Ann">Town <select><option>Faro</select><input value="5">yes</form>'
    assert text_of(html(form)) == "Name Ann Town Faro 5 yes"


def test_a_book_whose_list_of_chapters_is_damaged_is_read_by_names() -> None:
    chapters: dict[str, str | bytes] = {f"OPS/{name}.xhtml": f"<p>Chapter {name}." for name in ("b", "a")}
    stated: dict[str, str | bytes] = {"mimetype": "application/epub+zip"}
    package = '<package><metadata><title>Tides</title></metadata><manifest><item id="a" href="A.XHTML" '
    package += 'media-type="text/html"/></manifest><spine><itemref idref="a"/></spine></package>'
    for held in ({}, {"OPS/c.opf": package[:-20]}):
        found = read(archive(stated | chapters | held), "a.epub")
        assert [leaf.text for leaf in found.leaves] == ["Chapter a.", "Chapter b."]
        assert found.notes == ("Its list of chapters cannot be read; they are in the order of their names.",)
    found = read(archive(stated | chapters | {"OPS/c.opf": package}), "a.epub")
    assert (found.title, found.notes, text_of(found)) == ("Tides", (), "Chapter a.")


def test_chapters_of_pictures_are_named() -> None:
    found = read(book(["a", "b"], {"a": '<img src="a.png"/>', "b": "<p>Two."}), "a.epub")
    assert (text_of(found), found.notes) == ("Two.", ("Chapters without text (pictures): a.",))


def test_a_choice_of_a_pdf_is_read_as_shown_and_a_password_is_not() -> None:
    kind = b"<</Type/Annot/Subtype/Widget/Rect[72 500 192 520]"
    fields = [
        kind + b"/FT/Ch/Ff 131072/T(town)/V(LX)/Opt[[(FA)(Faro)][(LX)(Lisbon)]]>>",
        kind + b"/FT/Tx/Ff 8192/T(word)/V(secret)>>",
    ]
    found = read(pages([shown("Form")], annotations=fields, fields=b"10 0 R 11 0 R"), "a.pdf")
    assert text_of(found) == "Form\n\ntown: Lisbon"


def test_zero_bytes_in_a_short_log_and_a_quoted_separator_are_read() -> None:
    log = read(b"2024 a\0b line\n\0\0\0\0\n2024 end\n", "a.log")
    assert "2024 ab line" in text_of(log)
    assert "2024 end" in text_of(log)
    assert text_of(read(b'"sep=;"\r\nName;Sum\r\nA;1,5\r\n', "a.csv")).strip() == "Name: A\nSum: 1,5"


def test_a_message_whose_parts_are_not_told_apart_is_text() -> None:
    for kind in ("mixed", "alternative"):
        mail = f"Subject: S\nFrom: a@b.c\nContent-Type: multipart/{kind}; boundary=Z\n\nThe tide turns.\n"
        found = read(mail.encode(), "a.eml")
        assert "The tide turns." in text_of(found)
        assert not found.parts


def test_a_row_of_word_that_begins_later_and_a_choice_of_an_old_form_are_read() -> None:
    cells = ["".join(f"<w:tc>{paragraph(each)}</w:tc>" for each in row) for row in (("A", "B"), ("6",))]
    later = '<w:trPr><w:gridBefore w:val="1"/></w:trPr>'
    choice = (
        '<w:p><w:r><w:fldChar w:fldCharType="begin"><w:ffData><w:ddList><w:result w:val="1"/><w:listEntry '
        'w:val="Faro"/><w:listEntry w:val="Lagos"/></w:ddList></w:ffData></w:fldChar></w:r>'
        '<w:r><w:fldChar w:fldCharType="end"/></w:r></w:p>'
    )
    body = f"<w:tbl><w:tr>{cells[0]}</w:tr><w:tr>{later}{cells[1]}</w:tr></w:tbl>{choice}"
    assert text_of(read(word(body), "a.docx")).split("\n")[2:] == ["|  | 6 |", "", "Lagos"]
