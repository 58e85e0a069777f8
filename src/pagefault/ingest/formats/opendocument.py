"""Texts and presentations of OpenDocument (ODT, ODP, FODT, FODP) through HTML to Markdown.

Read from the XML: headings, lists, tables with merged cells, notes, comments, text boxes, formulas, headers,
footers, and the values of forms. A slide is a page. Left out: pictures, deleted text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from zipfile import ZipFile

from pagefault.errors import UsageError
from pagefault.ingest.formats.margins import open_margins
from pagefault.ingest.formats.trees import Element, attribute, found, page_of, shown, tree
from pagefault.ingest.packed import BROKEN, opened
from pagefault.ingest.pages import Extracted, Heading, Leaf, paginate
from pagefault.ingest.reading import Reading

__all__ = ["opendocument"]

_ENCRYPTED = "It is encrypted; save it without a password."
_SKIPPED = frozenset((
    "tracked-changes", "sequence-decls", "variable-decls", "user-field-decls", "forms", "title", "desc",
    "covered-table-cell", "table-column", "table-columns", "shapes", "image", "event-listeners", "plugin",
    "dde-connection-decls", "alphabetical-index-source", "table-of-content-source", "settings",
    "index-title-template", "automatic-styles", "date-time-decl", "page-number",
))  # fmt: skip
_FOOTERS = ("use-header-name", "use-footer-name")
_MOST_SPACES = 200
_MOST_REPEATED = 200  # rows and cells alike


def opendocument(data: bytes, reading: Reading) -> Extracted:
    """Read a text or a presentation."""
    try:
        if data.startswith(b"PK"):
            with opened(data) as archive:
                return _read(archive, reading)
        return _extracted(tree(data), tree(data), None, reading)
    except RecursionError:
        raise  # it is nested too deeply, and not damaged
    except BROKEN as error:
        raise UsageError(f"It is not an OpenDocument file that can be read ({error}).") from None


def _read(archive: ZipFile, reading: Reading) -> Extracted:
    manifest = "META-INF/manifest.xml"
    if manifest in archive.NameToInfo:
        for _ in found(tree(archive.read(manifest)), "encryption-data"):
            raise UsageError(_ENCRYPTED)
    meta = _aside(archive, "meta.xml", reading)
    return _extracted(tree(archive.read("content.xml")), meta, archive, reading)


def _extracted(root: Element, meta: Element, archive: ZipFile | None, reading: Reading) -> Extracted:
    about = next(found(meta, "meta"), Element("meta"))
    title = " ".join("".join(next(found(about, "title"), Element("title")).itertext()).split())
    body = next(found(root, "body"), root)
    slides = [
        each for part in body if part.tag in ("presentation", "drawing") for each in found(part, "page")
    ]
    footers = {attribute(each, "name"): each.text or "" for each in found(body, "footer-decl", "header-decl")}
    if slides:
        return Extracted(title, tuple(_slides(slides, footers, archive, reading)), markdown=True)
    writer = _OdfWriter(archive, reading)
    writer.walk(body)
    writer.forms(body)
    writer.margins(open_margins(_aside(archive, "styles.xml", reading) if archive else root))
    page = page_of(writer.html(), reading)
    return Extracted(
        title or page.title, tuple(paginate(page.text, page.headings, markdown=True)), markdown=True
    )


def _aside(archive: ZipFile, name: str, reading: Reading) -> Element:
    """Return a part that a document can be read without; an empty one if it is damaged or not there."""
    try:
        return tree(archive.read(name)) if name in archive.NameToInfo else Element("none")
    except BROKEN as error:
        reading.note(f"A part of it is damaged, and left out ({name}: {error}).")
        return Element("none")


def _slides(
    slides: list[Element], footers: dict[str, str], archive: ZipFile | None, reading: Reading
) -> Iterator[Leaf]:
    size = 0
    for number, slide in enumerate(slides, 1):
        writer = _OdfWriter(archive, reading)
        writer.walk(slide)
        writer.margins([said for use in _FOOTERS if (said := footers.get(attribute(slide, use)))])
        page = page_of(writer.html(), reading)
        size += len(page.text)
        reading.check(size, number)
        reading.on_page(number, len(slides))
        yield Leaf(page.text, page.headings or (Heading(0, attribute(slide, "name") or f"Slide {number}"),))


@dataclass(slots=True)
class _OdfWriter:
    """Elements as HTML. What stands in the middle of a paragraph and is a block of its own comes after it."""

    archive: ZipFile | None
    reading: Reading
    _out: list[str] = field(default_factory=list[str])
    _notes: list[str] = field(default_factory=list[str])
    _later: list[Element] = field(default_factory=list[Element])
    _inside: int = 0  # of a paragraph

    def html(self) -> str:
        return "".join(self._out + self._notes)

    def margins(self, lines: list[str]) -> None:
        """Write headers and footers at the end."""
        self._notes += [f"<p>{shown(line)}</p>" for line in lines]

    def walk(self, element: Element) -> None:
        """Write what is in an element, in order."""
        for child in element:
            self._element(child)
            if self._inside and child.tail:
                self._out.append(shown(child.tail))

    def _element(self, element: Element) -> None:
        tag = element.tag
        if tag in _SKIPPED:
            return
        if tag in ("p", "h"):
            self._paragraph(element)
        elif tag in _BLOCKS:
            self._block(element, _BLOCKS[tag])
        elif tag in ("s", "tab", "line-break"):
            self._out.append(_space(element))
        elif tag in ("note", "annotation"):
            self._note(element)
        elif tag == "notes":  # of a slide
            self._out.append("<p>Notes:</p>")
            self.walk(element)
        elif self._inside and tag in ("frame", "text-box", "custom-shape", "rect"):
            self._later.append(element)
        elif tag == "object":
            self._object(element)
        else:
            if self._inside and element.text:
                self._out.append(shown(element.text))
            self.walk(element)

    def _paragraph(self, element: Element) -> None:
        level = attribute(element, "outline-level")
        is_title = attribute(element, "style-name") == "Title"
        name = (
            f"h{min(int(level), 6) or 1}"
            if element.tag == "h" and level.isdecimal() and len(level) < 3
            else "p"
        )
        name = "h1" if is_title else name
        self._inside += 1
        self._out.append(f"<{name}>{shown(element.text or '')}")
        self.walk(element)
        self._out.append(f"</{name}>")
        self._inside -= 1
        if not self._inside:
            later, self._later = self._later, []
            for each in later:
                self._element(each)

    def _block(self, element: Element, name: str) -> None:
        """Write an element that HTML has too; a row or a cell that is repeated, as often as it is."""
        columns, rows = (attribute(element, f"number-{each}-spanned") or "1" for each in ("columns", "rows"))
        spans = f' colspan="{_number(columns)}" rowspan="{_number(rows)}"' if name == "td" else ""
        start = len(self._out)
        inside, self._inside = self._inside, 0
        self._out.append(f"<{name}{spans}>")
        self.walk(element)
        self._out.append(f"</{name}>")
        self._inside = inside
        again = attribute(element, f"number-{'rows' if name == 'tr' else 'columns'}-repeated")
        if name in ("tr", "td") and (more := min(_number(again or "1"), _MOST_REPEATED) - 1):
            written = self._out[start:]
            has_text = any(not each.startswith("<") for each in written)
            self._out += written * more if has_text else []
            self.reading.check(sum(map(len, self._out[-len(written) * more :])) if has_text else 0)

    def _note(self, element: Element) -> None:
        """Write a note or a comment at the end, and its mark where it stands."""
        writer = _OdfWriter(self.archive, self.reading)
        body = next(found(element, "note-body"), element)
        writer._notes = self._notes
        who = next(("".join(e.itertext()) for e in found(element, "creator")), "")
        for each in found(body, "p"):
            writer._paragraph(each)
        said = "".join(writer._out).replace("<p>", "").replace("</p>", " ").strip()
        if element.tag == "note":
            mark = "".join(next(found(element, "note-citation"), Element("x")).itertext()).strip() or "*"
            self._out.append(f"[{shown(mark)}]")
            self._notes.append(f"<p>[{shown(mark)}] {said}</p>")
        elif said:
            self._notes.append(f"<p>Comment{f' ({shown(who)})' if who else ''}: {said}</p>")

    def _object(self, element: Element) -> None:
        """Write a formula as its source, and the table of a chart."""
        name = attribute(element, "href").removeprefix("./") + "/content.xml"
        if self.archive is None or name not in self.archive.NameToInfo:
            roots = list(element)
        else:
            try:
                roots = [tree(self.archive.read(name))]
            except BROKEN as error:
                self.reading.note(f"An object in it is damaged, and left out ({error}).")
                return
        for root in roots:
            if root.tag == "math":
                source = next(("".join(e.itertext()) for e in found(root, "annotation")), "") or " ".join(
                    filter(None, (each.strip() for each in root.itertext()))
                )
                self._out.append(f" {shown(source)} ")
            else:
                for each in found(root, "title", "table"):
                    self._later.append(each) if self._inside else self._block_or_title(each)

    def _block_or_title(self, element: Element) -> None:
        if element.tag == "title":
            self.walk(element)
        else:
            self._block(element, "table")

    def forms(self, body: Element) -> None:
        """Write the values of the forms."""
        for form in found(body, "forms"):
            for control in form.iter():
                label = attribute(control, "label") or attribute(control, "name")
                value = attribute(control, "current-value") or attribute(control, "value")
                if control.tag in ("checkbox", "radio"):
                    checked = (
                        attribute(control, "current-state") or attribute(control, "state")
                    ) == "checked"
                    self._out.append(f"<p>{'☒' if checked else '☐'} {shown(label)}</p>")
                elif value and control.tag in (
                    "text",
                    "textarea",
                    "combobox",
                    "formatted-text",
                    "date",
                    "number",
                ):
                    self._out.append(f"<p>{shown(label)}: {shown(value)}</p>")


_BLOCKS = {
    "list": "ul",
    "list-item": "li",
    "list-header": "li",
    "table": "table",
    "table-row": "tr",
    "table-cell": "td",
}


def _space(element: Element) -> str:
    if element.tag == "s":
        return " " * min(_number(attribute(element, "c") or "1"), _MOST_SPACES)
    return "\t" if element.tag == "tab" else "<br>"


def _number(text: str) -> int:
    return max(1, int(text)) if text.isdecimal() and len(text) < 8 else 1
