"""XML of any vocabulary: structure kept as lines of ``name: text``, text that has marks in it as paragraphs.

Entities that the document declares are shown if they are short and plain; none is fetched from elsewhere.
Left out: what the elements mean, and style sheets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import unescape
from xml.parsers.expat import ExpatError, ParserCreate

from pagefault.errors import UsageError
from pagefault.ingest.formats.trees import Element
from pagefault.ingest.html import read_html
from pagefault.ingest.markup import html
from pagefault.ingest.pages import Extracted, Heading, clean, heading_path, paginate
from pagefault.ingest.reading import Reading

__all__ = ["xml"]

_ENTITY = 1_000  # characters of an entity
_INDENTED = 12  # steps of indentation that are shown
_LEVELS = 8  # of headings
_INLINE = 200  # elements in a paragraph
_HTML = re.compile(
    r"</?(?:p|div|br|a|b|i|em|strong|ul|ol|li|img|span|table|h[1-6])\b[^<>]{0,500}>", re.IGNORECASE
)
_DECLARATION = re.compile(r"\s*<\?xml[^>]{0,300}\?>")
_ENCODING = re.compile(rb"<\?xml[^>]{0,200}?encoding\s{0,9}=\s{0,9}[\"']([\w.:-]{2,40})")
_TITLES = ("title", "name", "heading", "head")
_PARAGRAPHS = frozenset(("p", "para", "simpara", "title", "text", "li", "line", "l"))  # need no label


def xml(data: bytes, reading: Reading) -> Extracted:
    """Read XML; a page of XHTML is read as HTML."""
    root = _parsed(data, reading)
    if root.tag == "html":
        return html(data, reading)
    if root.tag == "svg":
        raise UsageError("It is a picture (SVG); load a text that says what it shows.")
    outline = _Outline(reading)
    outline.walk(root)
    title = next((line for each in root.iter() if each.tag in _TITLES and (line := _line(each.text))), "")
    return Extracted(title, tuple(paginate(outline.text, outline.headings, markdown=False)))


def _parsed(data: bytes, reading: Reading) -> Element:
    """Return the root of a document, without namespaces; of a damaged one as much as can be read."""
    declared = _ENCODING.match(data)
    source = reading.decode(data, declared[1].decode("ascii") if declared else "").lstrip("\ufeff")
    reading.check(len(source) // 4)  # marks and names take room too
    builder, parser = _Builder(reading), ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    parser.EntityDeclHandler = _check_entity
    parser.SkippedEntityHandler = lambda name, _: builder.text(unescape(f"&{name};"))
    try:
        parser.Parse(_DECLARATION.sub("", source, count=1).strip().encode("utf-8", "replace"), True)
    except ExpatError as error:
        parser.buffer_text = False  # it hands on the text that it had
        if builder.root is None or not any(map(str.strip, builder.root.itertext())):
            raise UsageError(f"It is not XML that can be read ({error}); correct it.") from None
        reading.note(f"It is damaged ({error}); what stands before that was loaded.")
    if builder.root is None:
        raise UsageError("It is not XML that can be read (no element); correct it.")
    return builder.root


def _check_entity(name: str, is_parameter: bool, value: str | None, *_: object) -> None:
    """Raise ``UsageError`` if an entity could grow; one that stands elsewhere is never fetched."""
    if value is not None and (is_parameter or len(value) > _ENTITY or "&" in value or "%" in value):
        raise UsageError(
            f"It declares the entity {name[:40]!r}, which is long or made of others; save it without."
        )


@dataclass(slots=True)
class _Builder:
    """Builds a tree of elements; the parser's own holds nothing until the end, and so nothing of a damaged
    document."""

    reading: Reading
    root: Element | None = None
    _size: int = 0
    _open: list[Element] = field(default_factory=list[Element])
    _last: Element | None = None  # the element that ended last, whose tail comes next

    def start(self, name: str, attributes: dict[str, str]) -> None:
        element = Element(name.rpartition(":")[2], attributes)
        if self._open:
            self._open[-1].append(element)
        elif self.root is None:
            self.root = element
        self._open.append(element)
        self._last = None

    def end(self, _: str) -> None:
        self._last = self._open.pop()

    def text(self, text: str) -> None:
        self._size += len(text)
        self.reading.check(self._size)
        if self._last is not None:
            self._last.tail = (self._last.tail or "") + text
        elif self._open:
            self._open[-1].text = (self._open[-1].text or "") + text


@dataclass(slots=True)
class _Outline:
    """A tree as indented lines, and the titles of its parts as headings."""

    reading: Reading
    headings: list[Heading] = field(default_factory=list[Heading])
    _lines: list[str] = field(default_factory=list[str])
    _size: int = 0
    _above: dict[int, str] = field(default_factory=dict[int, str])

    @property
    def text(self) -> str:
        return "".join(self._lines)

    def walk(self, root: Element) -> None:
        """Write the elements in order; no recursion, for they may be nested deeply."""
        left: list[tuple[Element | str, int]] = [(root, 0)]
        while left:
            each, depth = left.pop()
            if isinstance(each, str):
                self._write(each, depth)
            else:
                left += reversed(list(self._element(each, depth)))

    def _element(self, element: Element, depth: int) -> Iterator[tuple[Element | str, int]]:
        """Write an element, or its label alone and yield what is in it."""
        label = _label(element)
        if not len(element) or _is_paragraph(element):
            said = _line("".join(element.itertext()))
            plain = element.tag in _PARAGRAPHS and not element.attrib
            self._write(_readable(said) if plain else f"{label}: {_readable(said)}" if said else label, depth)
            return
        if name := next((_line(c.text) for c in element if c.tag in _TITLES and _line(c.text)), ""):
            self.headings.append(Heading(self._size, heading_path(self._above, min(depth, _LEVELS), name)))
        self._write(f"{label}:", depth)
        if first := _line(element.text):
            yield first, depth + 1
        for child in element:
            yield child, depth + 1
            if tail := _line(child.tail):
                yield tail, depth + 1

    def _write(self, line: str, depth: int) -> None:
        if line := line.strip():
            indent = "  " * min(depth, _INDENTED)
            self._lines.append(f"{indent}{line}\n".replace("\n\n", "\n"))
            self._size += len(self._lines[-1])
            self.reading.check(self._size)


def _is_paragraph(element: Element) -> bool:
    """Return whether text and elements stand side by side, and few of these."""
    mixed = _line(element.text) or any(_line(child.tail) for child in element)
    return bool(mixed) and sum(1 for _ in zip(element.iter(), range(_INLINE), strict=False)) < _INLINE


def _label(element: Element) -> str:
    stated = ((key, _line(value)) for key, value in element.attrib.items() if not key.startswith("xmlns"))
    said = ", ".join(f"{key.rpartition(':')[2]}: {value}" for key, value in stated if value)
    return f"{element.tag} ({said})" if said else element.tag


def _line(text: str | None) -> str:
    return " ".join(clean(text or "").split())


def _readable(text: str) -> str:
    """Return a text without marks of HTML, which feeds put into elements as text."""
    if not _HTML.search(text):
        return text
    return " ".join(read_html(text, whole=True).text.split())
