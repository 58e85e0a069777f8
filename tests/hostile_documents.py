"""Hostile documents for tests: each is small, and asks a careless reader for minutes or gigabytes."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from document_files import archive, docx, epub, pdf

_LAUGHS = "".join(f'<!ENTITY a{n} "{10 * _use}">' for n in range(1, 12) if (_use := f"&a{n - 1};"))
BILLION_LAUGHS = f'<!DOCTYPE x [<!ENTITY a0 "ha">{_LAUGHS}]>'
QUADRATIC = '<!DOCTYPE x [<!ENTITY a "' + "x" * 50_000 + '">]>'
OUTSIDE = '<!DOCTYPE x [<!ENTITY a SYSTEM "http://127.0.0.1:9/x"><!ENTITY b SYSTEM "file:///etc/passwd">]>'
_TYPES = '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'


def spine(times: int, body: str) -> bytes:
    """A book whose spine names its one file so many times."""
    references = '<itemref idref="a"/>' * times
    return archive(
        {
            "META-INF/container.xml": '<container><rootfile full-path="b.opf"/></container>',
            "b.opf": '<package><manifest><item id="a" href="a.xhtml"/></manifest><spine>'
            f"{references}</spine></package>",
            "a.xhtml": f"<html><body><p>{body}</p></body></html>",
        }
    )


def package(prolog: str, use: str) -> bytes:
    """A book whose package file has a prolog with entities."""
    return archive(
        {
            "META-INF/container.xml": '<container><rootfile full-path="b.opf"/></container>',
            "b.opf": f"{prolog}<package><title>{use}</title><manifest/><spine/></package>",
        }
    )


def word(document: str) -> bytes:
    """A Word file with this main document."""
    return archive({"[Content_Types].xml": _TYPES, "word/document.xml": document})


def pdf_of(objects: Sequence[bytes]) -> bytes:
    """A PDF of these objects; the first is the catalog."""
    out, places = bytearray(b"%PDF-1.4\n"), list[int]()
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    return bytes(out + b"trailer <</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, start))


def _stream(content: bytes) -> bytes:
    packed = zlib.compress(content, 9)
    return b"<</Filter/FlateDecode/Length %d>>stream\n%s\nendstream" % (len(packed), packed)


def pdf_with(content: bytes, pages: int = 1) -> bytes:
    """A PDF of pages that share one packed content stream."""
    font = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 3 0 R/Resources<</Font<</F 4 0 R>>>>>>"
    kids = b" ".join(b"%d 0 R" % (5 + number) for number in range(pages))
    tree = b"<</Type/Pages/Count %d/Kids[%s]>>" % (pages, kids)
    return pdf_of([b"<</Type/Catalog/Pages 2 0 R>>", tree, _stream(content), font, *[page] * pages])


def page_loop() -> bytes:
    """A PDF whose page tree is its own child."""
    tree = b"<</Type/Pages/Count 1000000000/Kids[2 0 R 2 0 R]>>"
    return pdf_of([b"<</Type/Catalog/Pages 2 0 R>>", tree])


_FORMATTING = "".join(f"<b a{n}><p>" for n in range(20_000))
_SPANS = "<table><tr>" + ("<td rowspan=1000>" + "x" * 79) * 100 + "<tr>" * 20_000
_LONG = "<w:t>" + "x" * 100 + "</w:t>"

# name: what is wrong with it; a reader must answer each at once or refuse it within its bounds.
HOSTILE: dict[str, bytes] = {
    "quotes.csv": b',"' * 20_000,
    "quotes and ends.csv": b',"\n' * 20_000,
    "delimiters.csv": b"\t;|," * 50_000,
    "one column name.csv": b"x" * 100_000 + b"\n" + b"1\n" * 20_000,
    "tags.html": b"<a " * 20_000,
    "attributes.html": b"<p " + b" ".join(b"a%d" % n for n in range(20_000)) + b">x",
    "comments.html": b"<!--" * 100_000,
    "less than.html": b"<" * 500_000,
    "prolog.html": b" " * 200_000 + b"<?xml",
    "divs.html": b"<div>" * 20_000 + b"tide",
    "lists.html": b"<ul><li>" * 10_000 + b"tide",
    "articles.html": b"<article>" * 20_000 + b"tide",
    "headings.html": b"<h1>" + b"x" * 100_000 + b"</h1>" + b"<h2>y</h2>" * 20_000,
    "formatting.html": _FORMATTING.encode(),
    "spans.html": _SPANS.encode(),
    "columns.html": b"<table>" + b"<tr><td colspan=1000>x" * 20_000,
    "titles.html": b"<title>" * 100_000 + b"<svg><title>" * 20_000,
    "front matter.md": b"---\ntitle: " + b" " * 60_000 + b"x\n---\nbody",
    "front matter without end.md": b"---\n" + b"a: b\n" * 50_000 + b"- -\n" * 50_000,
    "brackets.md": b"[" * 100_000,
    "quotations.md": b"> " * 50_000 + b"tide",
    "items.md": b"- " * 50_000 + b"tide",
    "backticks.md": b"`" * 100_000 + b" " + b"```\n" * 30_000,
    "references.md": b"[a]: <\n" * 30_000,
    "emphasis.md": b"*_" * 50_000,
    "spaces.txt": b" " * 300_000 + b"x",
    "lines.txt": b"\n" * 300_000 + b"x",
    "gaps.txt": b"\n \n\t" * 100_000 + b"x",
    "one word.txt": b"x" * 1_000_000,
    "brackets.jsonl": b"[" * 200_000,
    "objects.jsonl": b'{"a":' * 100_000,
    "digits.jsonl": b"9" * 200_000,
    "spine.epub": spine(40, "tide " * 20_000),
    "laughs.epub": package(BILLION_LAUGHS, "&a9;"),
    "entity.epub": package(QUADRATIC, "&a;" * 20_000),
    "outside.epub": package(OUTSIDE, "&a;&b;"),
    "bomb.epub": epub(["x" * (100 << 20)]),
    "chapters.epub": epub(["x"] * 3_000),
    "laughs.docx": word(f"{BILLION_LAUGHS}<d>&a9;</d>"),
    "outside.docx": word(f"{OUTSIDE}<d>&a;&b;</d>"),
    "deep.docx": word("<a>" * 50_000 + "</a>" * 50_000),
    "bomb.docx": archive({"word/document.xml": b" " * (64 << 20)}),
    "long.docx": docx([("", "x" * 300)] * 4_000),
    "loop.pdf": page_loop(),
    "stream.pdf": pdf_with(b"BT /F 9 Tf (tide) Tj ET " + b"q " * 20_000_000),
    "text.pdf": pdf_with(b"BT /F 9 Tf " + b"(tide tide tide tide) Tj " * 200_000 + b"ET"),
    "pages.pdf": pdf_with(b"BT /F 9 Tf (tide) Tj ET", pages=20_000),
    "cut.pdf": pdf(["tide"] * 30)[:-400],
    "nothing.pdf": b"%PDF-1.7\n" + b"0 0 obj<<" * 100_000,
}  # fmt: skip
