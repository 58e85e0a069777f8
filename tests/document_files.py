"""Documents made for tests: small PDF, DOCX and EPUB files as bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile

from fpdf import FPDF

_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"


def pdf(
    pages: Sequence[str],
    *,
    title: str = "",
    chapters: Mapping[int, str] | None = None,
    password: str | None = None,
) -> bytes:
    """A PDF of these pages; ``chapters``: entries of its outline by the index of their page."""
    made = FPDF()
    made.set_title(title)
    made.set_font("helvetica", size=11)
    if password is not None:
        made.set_encryption("owner", password)
    for index, text in enumerate(pages):
        made.add_page()
        if name := (chapters or {}).get(index):
            made.start_section(name)
        if text:
            made.multi_cell(0, 6, text)
    return bytes(made.output())


def archive(files: Mapping[str, str | bytes]) -> bytes:
    held = BytesIO()
    with ZipFile(held, "w", ZIP_DEFLATED) as made:
        for name, content in files.items():
            made.writestr(name, content)
    return held.getvalue()


def docx(paragraphs: Sequence[tuple[str, str]], *, title: str = "") -> bytes:
    """A Word document of paragraphs (style, text), e.g. ``("Heading1", "Tides")``; no style: ``""``."""
    body = "".join(
        f'<w:p><w:pPr><w:pStyle w:val="{style}"/></w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>'
        for style, text in paragraphs
    )
    names = {style for style, _ in paragraphs if style}
    styles = "".join(
        f'<w:style w:type="paragraph" w:styleId="{name}"><w:name w:val="{name[:-1]} {name[-1]}"/></w:style>'
        for name in sorted(names)
    )
    overrides = (
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.'
        'wordprocessingml.document.main+xml"/>'
    )
    return archive(
        {
            "[Content_Types].xml": "<Types xmlns="
            f'"http://schemas.openxmlformats.org/package/2006/content-types">{overrides}</Types>',
            "_rels/.rels": f'<Relationships xmlns="{_RELATIONS}"><Relationship Id="r1" Type="{_OFFICE}" '
            'Target="word/document.xml"/></Relationships>',
            "docProps/core.xml": f'<c xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{title}'
            "</dc:title></c>",
            "word/styles.xml": f'<w:styles xmlns:w="{_WORD}">{styles}</w:styles>',
            "word/document.xml": f'<w:document xmlns:w="{_WORD}"><w:body>{body}</w:body></w:document>',
        }
    )


def epub(chapters: Sequence[str], *, title: str = "A Book", encrypted: bool = False) -> bytes:
    """A book whose chapters are the bodies of XHTML files."""
    names = [f"ch {n}.xhtml" for n in range(len(chapters))]
    items = "".join(f'<item id="c{n}" href="text/ch%20{n}.xhtml"/>' for n in range(len(chapters)))
    spine = "".join(f'<itemref idref="c{n}"/>' for n in range(len(chapters)))
    files: dict[str, str | bytes] = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container">'
        '<rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles></container>',
        "OEBPS/book.opf": '<package xmlns="http://www.idpf.org/2007/opf" '
        f'xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata><dc:title>{title}</dc:title></metadata>'
        f"<manifest>{items}</manifest><spine>{spine}</spine></package>",
    }
    for name, body in zip(names, chapters, strict=True):
        files[f"OEBPS/text/{name}"] = (
            '<?xml version="1.0" encoding="utf-8"?><html xmlns="http://www.w3.org/1999/xhtml"><head>'
            f"<title>Part</title></head><body>{body}</body></html>"
        )
    if encrypted:
        files["META-INF/encryption.xml"] = (
            '<encryption><EncryptedData><CipherReference URI="OEBPS/text/ch%200.xhtml"/></EncryptedData>'
            "</encryption>"
        )
    return archive(files)
