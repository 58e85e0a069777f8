"""Files to pages and chunks: each format, what is wrong with a file, and chunks as stretches of a page."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from document_files import archive, docx, epub, pdf
from pagefault.errors import UsageError
from pagefault.ingest.bounds import Bounds
from pagefault.ingest.chunk import CHUNK, Chunk, chunks, spans
from pagefault.ingest.extract import extract, media_of
from pagefault.ingest.pages import PAGE, Extracted, Heading, Leaf, clean, markdown_headings, paginate
from pagefault.ingest.reading import Reading, ReadingOptions
from pagefault.models.tokens import HeuristicCounter

COUNTER = HeuristicCounter()
BOUNDS = Bounds(seconds=60, memory=1024, characters=2_000_000, pages=500)
SENTENCE = "The tide turns at noon, and the harbour master writes it into his book. "


def read(data: bytes, name: str, declared: str = "", **options: Any) -> Extracted:
    def on_page(done: int, total: int) -> None:
        assert 0 < done <= total

    reading = Reading(BOUNDS, ReadingOptions(**options), on_page)
    return extract(data, media_of(name, declared, data), reading)


def cut(leaves: Sequence[Leaf], *, markdown: bool) -> list[Chunk]:
    pages = enumerate(leaves, 1)
    return [chunk for page, leaf in pages for chunk in chunks(leaf, page, COUNTER, markdown=markdown)]


def text_of(read: Extracted) -> str:
    return "".join(leaf.text for leaf in read.leaves)


def refusal(data: bytes, name: str) -> str:
    with pytest.raises(UsageError) as caught:
        read(data, name)
    return str(caught.value)


# formats


def test_a_pdf_keeps_its_pages_and_its_outline_gives_their_headings() -> None:
    seen: list[tuple[int, int]] = []
    data = pdf(["One.", "Two.", "", "Four."], title="On tides", chapters={1: "Ebb", 3: "Flow"})
    found = extract(
        data, "application/pdf", Reading(BOUNDS, on_page=lambda done, total: seen.append((done, total)))
    )
    assert found.title == "On tides"
    assert not found.markdown
    assert [leaf.text for leaf in found.leaves] == ["One.", "Two.", "", "Four."]
    assert [[h.path for h in leaf.headings] for leaf in found.leaves] == [[], ["Ebb"], ["Ebb"], ["Flow"]]
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_the_lines_of_a_pdf_paragraph_are_joined_and_its_hyphens_undone() -> None:
    text = SENTENCE * 3 + "\n\nThe light-\nhouse is white.\n- first\n- second"
    (leaf,) = read(pdf([text]), "a.pdf").leaves
    first, *rest = leaf.text.split("\n")
    assert first == (SENTENCE * 3).strip()
    assert [line for line in rest if line] == ["The lighthouse is white.", "- first", "- second"]


@pytest.mark.parametrize("title", ["", "untitled", "Microsoft Word - report.doc", "scan_0001.tif"])
def test_a_pdf_that_has_only_its_program_s_title_has_none(title: str) -> None:
    assert read(pdf(["x"], title=title), "a.pdf").title == ""


def test_markdown_is_titled_by_its_front_matter_or_its_first_heading() -> None:
    assert read(b"---\nlayout: x\ntitle: 'My notes'\n---\n# One\n\nHi", "a.md").title == "My notes"
    found = read(b"Hello\n\nTides\n=====\n\n```\n# no heading\n```\n\n## Ebb *and* flow\n\nHi", "a.md")
    assert found.title == "Tides"
    assert found.leaves == (
        Leaf(
            "Hello\n\nTides\n=====\n\n```\n# no heading\n```\n\n## Ebb *and* flow\n\nHi",
            (Heading(7, "Tides"), Heading(42, "Tides › Ebb *and* flow")),
        ),
    )


def test_html_is_its_content_without_what_stands_around_it() -> None:
    page = (
        "<html><head><title>Site: Tides</title><style>a{}</style></head><body><nav>Menu</nav><main>"
        "<h1>Tides</h1><p>Ebb_and *flow* at <a href='http://x'>noon</a>.<img src='x' alt='y'></p>"
        "<table><tr><th>port</th><th>m</th></tr><tr><td>Faro</td><td>3.9</td></tr></table>"
        "<script>bad()</script></main><footer>Imprint</footer></body></html>"
    )
    found = read(page.encode(), "a.html")
    assert found.title == "Tides"
    text = text_of(found)
    assert text.startswith("# Tides\n\nEbb_and *flow* at noon.")
    assert "| Faro | 3.9 |" in text
    assert not [word for word in ("Menu", "bad", "Imprint", "http", "Site") if word in text]


def test_html_keeps_lists_quotations_code_and_the_columns_of_tables() -> None:
    page = (
        "<title>x</title><h1>T</h1><ul><li>a<ol start='3'><li>b</li><li><p>c</p><p>d</p></li></ol></li></ul>"
        "<blockquote>q <b>r</b></blockquote><pre>x\n  ``` y</pre><table><tr><th>Zone<th>Fare<th>Price"
        "<tr><td rowspan=2>North<td>Single<td>2|1<tr><td>Return<td>3.9</table>"
        "<table><tr><td><h2>Layout</h2>left</td><td>right</td></tr></table>"
    )
    found = read(page.encode(), "a.html")
    assert text_of(found).replace("\n\n", "\n") == (
        "# T\n- a\n  3. b\n  4. c\n    d\n> q **r**\n````\nx\n  ``` y\n````\n"
        "| Zone | Fare | Price |\n| --- | --- | --- |\n| North | Single | 2\\|1 |\n| North | Return | 3.9 |\n"
        "## Layout\nleft\nright"
    )
    assert [h.path for h in found.leaves[0].headings] == ["T", "T › Layout"]


@pytest.mark.parametrize(
    ("page", "title", "text"),
    [
        (  # the headline's name, not the site's
            "<meta property='og:title' content='Ferry'><header><h1>News</h1></header><main>It sank.</main>",
            "Ferry",
            "It sank.",
        ),
        (
            "<article>Teaser</article><div><h1>Ferry</h1>It sank near the mole.</div>",
            "Ferry",
            "Teaser\n\n# Ferry\n\nIt sank near the mole.",
        ),
        (
            "<nav>Menu</nav><article><h1>Quay</h1>Wall<aside>1. cais</aside></article>",
            "Quay",
            "# Quay\n\nWall\n\n1. cais",
        ),
        (
            "<form><h1>Quay</h1><p>Wall<button>Send</button></p></form><aside>Ads</aside>",
            "Quay",
            "# Quay\n\nWall",
        ),
    ],
)
def test_the_content_of_a_page_is_found(page: str, title: str, text: str) -> None:
    found = read(page.encode(), "a.html")
    assert (found.title, text_of(found)) == (title, text)


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "windows-1252"])
def test_html_is_read_in_the_character_set_it_declares(encoding: str) -> None:
    word = "潮汐" if encoding == "gb18030" else "marée"
    page = f"<html><head><meta charset='{encoding}'></head><body><p>{word}</p></body></html>"
    assert text_of(read(page.encode(encoding), "a.html")) == word


def test_html_nested_beyond_reason_still_gives_its_words() -> None:
    deep = "<div>" * 5_000 + "tide" + "</div>" * 5_000
    assert "tide" in text_of(read(deep.encode(), "a.html"))


def test_a_word_document_keeps_its_headings() -> None:
    found = read(docx([("Heading1", "Tides"), ("", "Ebb &amp; flow."), ("Heading2", "Faro")]), "a.docx")
    assert text_of(found) == "# Tides\n\nEbb & flow.\n\n## Faro"
    assert [h.path for h in found.leaves[0].headings] == ["Tides", "Tides › Faro"]
    assert found.title == "Tides"
    assert read(docx([("", "x")], title="Named"), "a.docx").title == "Named"


def test_a_book_is_read_in_the_order_of_its_spine_each_file_on_pages_of_its_own() -> None:
    found = read(epub(["<h1>Ebb</h1><p>Out.</p>", "<h1>Flow</h1><p>In.</p>"], title="Tides"), "a.epub")
    assert found.title == "Tides"
    assert [leaf.text for leaf in found.leaves] == ["# Ebb\n\nOut.", "# Flow\n\nIn."]


def test_a_row_of_a_table_is_lines_of_its_columns() -> None:
    found = read(b'port;height;\nFaro;3.9;x\n;4.1\n"Por\nto";"5;1"\n', "a.csv")
    rows = ["port: Faro\nheight: 3.9\ncolumn 3: x", "height: 4.1", "port: Por\nto\nheight: 5;1"]
    assert text_of(found) == "".join(f"{row}\n\n" for row in rows)
    assert [h.path for h in found.leaves[0].headings] == ["row 1", "row 2", "row 3"]
    assert text_of(read(b"a\tb\n1\t2\n", "a.tsv")) == "a: 1\nb: 2\n\n"
    assert text_of(read(b"word\ntide\n", "a.csv")) == "word: tide\n\n"
    assert text_of(read(b"sep=;\r\nName;Betrag\r\nA;1,5\r\n", "a.csv")) == "Name: A\nBetrag: 1,5\n\n"
    assert text_of(read(b'a|b\n"x, y"|2\nz, w|3\n', "a.csv")) == "a: x, y\nb: 2\n\na: z, w\nb: 3\n\n"


def test_a_record_is_lines_of_its_fields_and_its_text() -> None:
    lines = b'{"text": "Out.", "title": "Ebb", "n": 3, "none": null, "tags": ["a"]}\n\n"bare"\n[1, 2]\n'
    found = read(lines, "a.jsonl")
    assert text_of(found) == 'title: Ebb\nn: 3\ntags: ["a"]\nOut.\n\nbare\n\n[1, 2]\n\n'
    assert [h.path for h in found.leaves[0].headings] == ["record 1", "record 2", "record 3"]


@pytest.mark.parametrize(
    ("encoding", "word"),
    [
        ("utf-8", "marée 潮汐 🌊"),
        ("utf-8-sig", "marée"),
        ("utf-16", "marée 潮汐 🌊"),
        ("utf-32", "潮汐"),
        ("gb18030", "潮水在中午转向，港务长把它写进他的书里。"),
        ("windows-1252", "La marée haute à Faro – très élevée"),
    ],
)
def test_the_character_set_of_text_is_told_from_its_bytes(encoding: str, word: str) -> None:
    assert text_of(read(word.encode(encoding), "a.txt")) == word


def test_the_kind_of_a_file_is_told_from_what_it_holds_then_its_name_then_the_server() -> None:
    def media(data: bytes, name: str = "", declared: str = "") -> str:
        return media_of(name, declared, data).rpartition("/")[2].rpartition(".")[2]

    assert media(pdf(["x"]), "report.txt") == "pdf"
    assert media(docx([("", "x")])) == "document"
    assert media(epub(["x"]), "download") == "epub+zip"
    assert media(b"# x", "README.MD") == "markdown"
    assert media(b"a,b", "export", "text/csv; charset=utf-8") == "csv"
    assert media(b"{}", "export", "application/x-ndjson") == "jsonl"
    assert media(b" <!DOCTYPE html><p>x", "", "text/plain") == "html"
    assert media(b"plain words", "Makefile", "application/octet-stream") == "plain"


# what is wrong with a file


@pytest.mark.parametrize(
    ("data", "name", "says"),
    [
        (b"", "a.txt", "empty"),
        (b" \n\t", "a.pdf", "empty"),
        (b"<p> </p>", "a.html", "no text"),
        (b"\x89PNG\r\n\x1a\n\0\0", "a.png", "It is a picture (PNG)"),
        (bytes(range(1, 256)), "a.bin", "not text"),
        (bytes(range(1, 256)), "a.txt", "not text"),
        (b"nonsense", "a.pdf", "not a PDF"),
        (pdf(["words"] * 9)[:900], "a.pdf", "not a PDF"),
        (pdf(["secret"], password="open sesame"), "a.pdf", "encrypted"),
        (pdf(["", ""]), "a.pdf", "OCR"),
        (b"nonsense", "a.docx", "not a .docx"),
        (docx([("", "x")])[:-40], "a.docx", "not a .docx"),
        (archive({"word/document.xml": "<w:document>"}), "a.docx", "not a .docx"),
        (b"\xd0\xcf\x11\xe0 old", "a.docx", "a damaged file of an older Office program"),
        (b"nonsense", "a.epub", "not an EPUB"),
        (archive({"META-INF/container.xml": "<container/>"}), "a.epub", "not an EPUB"),
        (epub(["x"], encrypted=True), "a.epub", "DRM"),
        (b"[" * 100_000, "a.jsonl", "Line 1 is not JSON"),
        (b"a,b\n" + b"x" * 2_000_001, "a.csv", "more than 2,000,000 characters"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_a_sentence(data: bytes, name: str, says: str) -> None:
    said = refusal(data, name)
    assert says in said
    assert said.endswith(".")
    assert "\n" not in said


def test_an_archive_that_would_unpack_to_too_much_is_refused() -> None:
    bomb = archive({"word/document.xml": b" " * (64 << 20)})
    assert "too much for its size" in refusal(bomb, "a.docx")


@cache
def _whole(kind: str) -> bytes:
    words = [SENTENCE * 4, SENTENCE]
    match kind:
        case "a.pdf":
            return pdf(words, title="Tides", chapters={0: "Ebb"})
        case "a.docx":
            return docx([("Heading1", "Tides"), ("", SENTENCE)], title="Tides")
        case "a.epub":
            return epub(words, encrypted=True)
        case _:
            return b"<html><head><title>x</title></head><body><p>tide &amp; <b>ebb</b></body></html>"


@given(kind=st.sampled_from(["a.pdf", "a.docx", "a.epub", "a.html"]), data=st.data())
def test_a_damaged_file_is_read_or_refused_and_nothing_else(kind: str, data: st.DataObject) -> None:
    whole = bytearray(_whole(kind))
    for place in data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=12)):
        whole[place] = data.draw(st.integers(0, 255))
    cut = whole[: data.draw(st.integers(len(whole) // 2, len(whole)))]
    with suppress(UsageError):
        read(bytes(cut), kind)


# pages and chunks

_PIECES = (
    *(
        SENTENCE * 5,
        "今天天气很好。我们去公园玩吧！" * 9,
        "unbroken" * 300,
        "👩‍👩‍👧🫠",
        "e\u0301tude ",
        "こんにちは、世界。",
    ),
    *("# Ebb\n\n", "## Flow\n", "- item\n", "\n\n", "\n", " ", "| a | b |\n|---|---|\n", "```\n"),
)
_TEXTS = st.lists(
    st.sampled_from(_PIECES),
    max_size=40,
).map("".join)


@example(text="", markdown=True)
@example(text=" # Ebb\n\n" + SENTENCE * 5, markdown=True)
@example(text="潮汐" * 2_000, markdown=False)
@given(text=_TEXTS, markdown=st.booleans())
def test_a_chunk_is_a_stretch_of_its_page_within_its_bound_and_all_text_is_in_one(
    text: str, markdown: bool
) -> None:
    headings = markdown_headings(text) if markdown else []
    leaves = tuple(paginate(text, headings, markdown=markdown))
    kept = "".join(leaf.text for leaf in leaves)
    assert "".join(kept.split()) == "".join(text.split()), "a page of nothing but white space is left out"
    assert all(len(leaf.text) <= PAGE and leaf.text.strip() for leaf in leaves)
    paths = {heading.path for heading in headings}
    covered = [set[int]() for _ in leaves]
    for chunk in cut(leaves, markdown=markdown):
        page = leaves[chunk.page - 1].text
        assert page[chunk.start : chunk.stop] == chunk.text == chunk.text.strip() != ""
        assert COUNTER.count(chunk.text) <= CHUNK
        assert chunk.section in paths | {""}
        covered[chunk.page - 1].update(range(chunk.start, chunk.stop))
    for leaf, places in zip(leaves, covered, strict=True):
        assert not [c for index, c in enumerate(leaf.text) if not c.isspace() and index not in places]


def test_chunks_end_at_sentences_and_overlap_a_little() -> None:
    for sentence, end in ((SENTENCE, "."), ("今天天气很好，我们去公园玩吧！", "！")):
        text = sentence * (2_400 // len(sentence))
        found = spans(text, COUNTER, markdown=False)
        assert len(found) > 2
        assert all(text[start:stop].endswith(end) for start, stop in found)
        assert all(later[0] < earlier[1] for earlier, later in pairwise(found))
        assert sum(stop - start for start, stop in found) < 1.3 * len(text)


def test_a_chunk_names_its_heading_and_those_above() -> None:
    text = f"# Tides\n\n{SENTENCE * 12}\n\n## Ebb\n\n{SENTENCE * 12}\n\n# Ports\n\n{SENTENCE * 9}"
    leaves = tuple(paginate(text, markdown_headings(text), markdown=True))
    found = cut(leaves, markdown=True)
    assert list(dict.fromkeys(c.section for c in found)) == ["Tides", "Tides › Ebb", "Ports"]


def test_a_heading_holds_on_the_pages_that_follow() -> None:
    text = f"# Tides\n\n{(SENTENCE * 6 + chr(10) * 2) * 20}"
    leaves = list(paginate(text, markdown_headings(text), markdown=True))
    assert len(leaves) > 2
    assert all(leaf.headings == (Heading(0, "Tides"),) for leaf in leaves)


def test_a_long_text_without_a_break_is_cut_in_time_that_grows_with_its_length() -> None:
    leaves = tuple(paginate("x" * 1_000_000, (), markdown=False))
    assert max(len(leaf.text) for leaf in leaves) <= PAGE
    assert sum(len(leaf.text) for leaf in leaves) == 1_000_000


def test_text_is_cleaned_of_what_is_no_text() -> None:
    assert clean("a\r\nb\rc\x00\x0c\ufffe\n\n \n\n\n\nd\ud83d\te") == "a\nb\nc\n\n\nd\ufffd\te"
