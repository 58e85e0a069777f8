"""Documents made for tests of what is read of them: parts of Word, books and PDFs that are easily lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from document_files import archive
from hostile_documents import pdf_of

_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_M = "http://schemas.openxmlformats.org/officeDocument/2006/math"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
_FONT = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>"


def paragraph(text: str, properties: str = "") -> str:
    return f"<w:p>{properties}<w:r><w:t>{text}</w:t></w:r></w:p>"


def word(
    body: str, parts: Mapping[str, tuple[str, str]] | None = None, links: Mapping[str, str] | None = None
) -> bytes:
    """A Word document with this body; ``parts``: further files by their name, each its kind and its XML;
    ``links``: further relations, to where they lead."""
    relations = "".join(
        f'<Relationship Id="{name.partition(".")[0]}" Type="{_OFFICE}/{kind}" Target="{name}"/>'
        for name, (kind, _) in (parts or {}).items()
    )
    relations += "".join(
        f'<Relationship Id="{id}" Type="{_OFFICE}/diagramData" Target="{target}"/>'
        for id, target in (links or {}).items()
    )
    files: dict[str, str | bytes] = {
        "[Content_Types].xml": f'<Types xmlns="{_TYPES}"><Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}"><Relationship Id="r" '
        f'Type="{_OFFICE}/officeDocument" Target="word/document.xml"/></Relationships>',
        "word/_rels/document.xml.rels": f'<Relationships xmlns="{_PACKAGE}">{relations}</Relationships>',
        "word/document.xml": _rooted("document", f"<w:body>{body}</w:body>"),
    }
    files |= {f"word/{name}": xml for name, (_, xml) in (parts or {}).items()}
    return archive(files)


def _rooted(name: str, inner: str) -> str:
    return (
        f'<w:{name} xmlns:w="{_W}" xmlns:m="{_M}" xmlns:r="{_OFFICE}" '
        'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
        'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
        'xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart" '
        'xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape" '
        f'xmlns:dgm="http://schemas.openxmlformats.org/drawingml/2006/diagram">{inner}</w:{name}>'
    )


def notes(kind: str, *entries: str) -> str:
    """The XML of comments or footnotes, numbered from 1, as their author wrote them."""
    return _rooted(
        f"{kind}s",
        "".join(
            f'<w:{kind} w:id="{number}" w:author="Ann">{paragraph(text)}</w:{kind}>'
            for number, text in enumerate(entries, 1)
        ),
    )


def diagram(*lines: str) -> str:
    texts = "".join(f"<a:p><a:r><a:t>{line}</a:t></a:r></a:p>" for line in lines)
    return f'<d xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main">{texts}</d>'


def chart(title: str, name: str, points: Mapping[str, str]) -> str:
    cat = "".join(f"<c:pt><c:v>{each}</c:v></c:pt>" for each in points)
    val = "".join(f"<c:pt><c:v>{each}</c:v></c:pt>" for each in points.values())
    return (
        '<c:chartSpace xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart" '
        'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main">'
        f"<a:p><a:t>{title}</a:t></a:p><c:ser><c:tx><c:v>{name}</c:v></c:tx><c:cat>{cat}</c:cat>"
        f"<c:val>{val}</c:val></c:ser></c:chartSpace>"
    )


def book(
    spine: Sequence[str], files: Mapping[str, str], *, items: Sequence[str] = (), navigation: str = ""
) -> bytes:
    """A book whose package lists ``items`` beside ``files``, and reads in the order of ``spine``."""
    names = dict.fromkeys([*files, *items])
    listed = "".join(
        f'<item id="{name}" href="{name}" media-type="application/xhtml+xml"/>' for name in names
    )
    order = "".join(f'<itemref idref="{name}"/>' for name in spine)
    held: dict[str, str | bytes] = {
        "META-INF/container.xml": '<container><rootfile full-path="b.opf"/></container>',
        "b.opf": "<package><metadata><title>Tides</title></metadata><manifest>"
        f'{listed}<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>'
        f"</manifest><spine>{order}</spine></package>",
        "nav.xhtml": f'<html xmlns="http://www.w3.org/1999/xhtml"><body><nav>{navigation}</nav></body></html>',
    }
    return archive(held | {name: f"<html><body>{body}</body></html>" for name, body in files.items()})


def pages(
    contents: Sequence[bytes | None], *, annotations: Sequence[bytes] = (), fields: bytes = b""
) -> bytes:
    """A PDF of pages with these contents, None for one that is damaged; ``annotations`` are on the first page
    and are the objects from 10 on; ``fields`` names those that are a form's."""
    first = 10 + len(annotations)
    kids = b" ".join(b"%d 0 R" % (first + 2 * index) for index in range(len(contents)))
    form = b"/AcroForm<</Fields[%s]/DR<</Font<</F 3 0 R>>>>>>" % fields if fields else b""
    objects: list[bytes] = [
        b"<</Type/Catalog/Pages 2 0 R%s>>" % form,
        b"<</Type/Pages/Count %d/Kids[%s]>>" % (len(contents), kids),
        _FONT,
        *[b"null"] * 6,
        *annotations,
    ]
    for index, content in enumerate(contents):
        held = b" ".join(b"%d 0 R" % (10 + n) for n in range(len(annotations))) if index == 0 else b""
        page = (
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents %d 0 R/Annots[%s]"
            b"/Resources<</Font<</F 3 0 R>>>>>>" % (first + 2 * index + 1, held)
        )
        stream = b"" if content is None else content
        objects.append(b"null" if content is None else page)
        objects.append(b"<</Length %d>>stream\n%s\nendstream" % (len(stream), stream))
    return pdf_of(objects)


def shown(text: str, y: int = 700) -> bytes:
    """The content of a page that shows a text."""
    return b"BT /F 12 Tf 72 %d Td (%s) Tj ET\n" % (y, text.encode("cp1252"))


def right_to_left(glyphs: Sequence[str]) -> bytes:
    """A PDF of one word: its glyphs from left to right, each the letters that it stands for."""
    lines = b"".join(
        b"<%02x> <%s>\n" % (code, text.encode("utf-16-be").hex().encode())
        for code, text in enumerate(glyphs, 65)
    )
    names = (
        b"/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def\n"
        b"1 begincodespacerange <00> <ff> endcodespacerange\n%d beginbfchar\n%sendbfchar\nendcmap end end"
        % (len(glyphs), lines)
    )
    content = b"BT /F 20 Tf 72 700 Td (%s) Tj ET" % bytes(range(65, 65 + len(glyphs)))
    return pdf_of(
        [
            b"<</Type/Catalog/Pages 2 0 R>>",
            b"<</Type/Pages/Count 1/Kids[3 0 R]>>",
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R"
            b"/Resources<</Font<</F 5 0 R>>>>>>",
            b"<</Length %d>>stream\n%s\nendstream" % (len(content), content),
            b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/ToUnicode 6 0 R>>",
            b"<</Length %d>>stream\n%s\nendstream" % (len(names), names),
        ]
    )
