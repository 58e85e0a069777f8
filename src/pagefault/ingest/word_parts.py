"""A Word document's XML in plainer elements: formulas, drop caps, diagrams, charts and text boxes as text.

``mammoth`` leaves them out, so they are written into the document as paragraphs and words before it reads it.
Left out: pictures, which are not read.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Set
from io import BytesIO
from itertools import pairwise
from xml.etree import ElementTree
from xml.etree.ElementTree import Element
from zipfile import ZIP_STORED, ZipFile

from pagefault.ingest.formulas import formula_part

__all__ = ["plainer"]

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_SPACE = "{http://www.w3.org/XML/1998/namespace}space"
_DIAGRAM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}relIds"
_SIGNS = (
    b"/math", b"dropCap", b"relIds", b"AlternateContent", b"2006/chart", b"fldSimple", b"textpath", b"txbx",
    b"<w:comment ", b"gridBefore", b"ddList", b"commentReference", b"noteReference",
)  # fmt: skip
_TEXTS = ("word/document.xml", "word/footnotes.xml", "word/endnotes.xml", "word/comments.xml")
_NOTES = ("comment", "footnote", "endnote")
_UNWRAPPED = frozenset(f"{_W}{name}" for name in ("fldSimple", "dir", "bdo", "ruby", "rubyBase"))
_MOST_SKIPPED = 60  # columns at the beginning of a row
_CHOSEN = (f"{_W}result", f"{_W}default")
_DEEPEST = 60  # parts of a formula within each other
_SAME = {
    "f": "mfrac", "sSup": "msup", "sSub": "msub", "sSubSup": "msubsup", "m": "mtable", "mr": "mtr",
    "eqArr": "mtable", "limLow": "munder", "limUpp": "mover",
}  # fmt: skip
_ASIDE = frozenset(f"{_M}{name}" for name in ("ctrlPr", "rPr"))


def plainer(archive: ZipFile, without: Set[str]) -> bytes:
    """Return a document without its media and these parts, in which all with words is paragraphs and runs."""
    held = BytesIO()
    with ZipFile(held, "w", ZIP_STORED) as made:
        for name in dict.fromkeys(archive.namelist()):
            if name in without or not name.endswith((".xml", ".rels")):
                continue
            xml = archive.read(name)
            if name in _TEXTS and any(sign in xml for sign in _SIGNS):
                xml = _Plainer(archive, name, without).written(xml)
            made.writestr(name, xml)
    return held.getvalue()


class _Plainer:
    """Rewrites one part of a document."""

    def __init__(self, archive: ZipFile, name: str, without: Set[str]) -> None:
        self._archive = archive
        self._without = without
        self._folder, file = posixpath.split(name)
        self._relations = posixpath.join(self._folder, "_rels", f"{file}.rels")
        self._targets: dict[str, str] | None = None

    def written(self, xml: bytes) -> bytes:
        root = ElementTree.fromstring(xml)
        for comment in root.iter(f"{_W}comment"):
            _name_author(comment)
        for row in root.iter(f"{_W}tr"):
            _indent_row(row)
        for run in root.iter(f"{_W}r"):
            _show_choice(run)
        for kind in _NOTES:
            self._drop_references(root, kind)
        for parent in list(root.iter()):
            for index, child in enumerate(list(parent)):
                if (new := self._plain(child)) is not None:
                    parent[index] = new
            if any(child.tag in _UNWRAPPED for child in parent):
                _unwrap(parent)
            _join_drop_caps(parent)
        return ElementTree.tostring(root, "utf-8", xml_declaration=True)

    def _drop_references(self, root: Element, kind: str) -> None:
        """Take out references to notes that are not in the file."""
        tag, part = f"{_W}{kind}Reference", f"word/{kind}s.xml"
        runs = [run for run in root.iter(f"{_W}r") if run.find(tag) is not None]
        is_there = part in self._archive.namelist() and part not in self._without
        notes = ElementTree.fromstring(self._archive.read(part)) if runs and is_there else ()
        known = {each.get(f"{_W}id") for each in notes}
        for run in runs:
            for each in run.findall(tag):
                if each.get(f"{_W}id") not in known:
                    run.remove(each)

    def _plain(self, child: Element) -> Element | None:
        """Return what stands for an element, None if it stays."""
        if child.tag in (f"{_M}oMath", f"{_M}oMathPara"):
            return _run(_formula(child, 0))
        if child.tag == f"{_MC}AlternateContent":
            fallback = child.find(f"{_MC}Fallback")
            if fallback is None or next(fallback.iter(f"{_W}txbxContent"), None) is None:
                return self._drawing(child)
        return self._drawing(child) if child.tag == f"{_W}drawing" else _word_art(child)

    def _drawing(self, drawing: Element) -> Element | None:
        """Return the words of a drawing: those of its text boxes, diagrams and charts."""
        boxes = list(drawing.iter(f"{_W}txbxContent"))
        words = [_paragraph(line) for line in self._diagrams(drawing)]
        return _box([*(each for box in boxes for each in box), *words])

    def _diagrams(self, drawing: Element) -> Iterator[str]:
        """Yield the lines of the diagrams and charts of a drawing."""
        for element in drawing.iter():
            if element.tag == _DIAGRAM:
                yield from self._paragraphs(element.get(f"{_R}dm", ""))
            elif element.tag == f"{_C}chart":
                yield from self._chart(element.get(f"{_R}id", ""))

    def _paragraphs(self, relation: str) -> Iterator[str]:
        root = self._part(relation)
        for paragraph in root.iter(f"{_A}p") if root is not None else ():
            if text := "".join(run.text or "" for run in paragraph.iter(f"{_A}t")).strip():
                yield text

    def _chart(self, relation: str) -> Iterator[str]:
        """Yield the title of a chart, and a line for each of its series with its points."""
        root = self._part(relation)
        if root is None:
            return
        yield from self._paragraphs(relation)
        for series in root.iter(f"{_C}ser"):
            name, *_ = [*_values(series, "tx"), ""]
            names = [*_values(series, "cat"), *_values(series, "xVal")]
            points = [*_values(series, "val"), *_values(series, "yVal")]
            pairs = [f"{a} {b}" for a, b in zip(names, points, strict=False)] or points
            yield f"{name}: {'; '.join(pairs)}" if name else "; ".join(pairs)

    def _part(self, relation: str) -> Element | None:
        """Return the XML that a relation leads to; None if it is not in the document."""
        if self._targets is None:
            self._targets = {}
            if self._relations in self._archive.namelist():
                for each in ElementTree.fromstring(self._archive.read(self._relations)):
                    target = posixpath.join("/", self._folder, each.get("Target", ""))
                    self._targets[each.get("Id", "")] = posixpath.normpath(target).lstrip("/")
        name = self._targets.get(relation, "")
        return ElementTree.fromstring(self._archive.read(name)) if name in self._archive.namelist() else None


def _values(series: Element, tag: str) -> list[str]:
    found = series.find(f"{_C}{tag}")
    return [] if found is None else [value.text or "" for value in found.iter(f"{_C}v")]


def _run(text: str) -> Element:
    run = Element(f"{_W}r")
    ElementTree.SubElement(
        run, f"{_W}t", {"{http://www.w3.org/XML/1998/namespace}space": "preserve"}
    ).text = text
    return run


def _paragraph(text: str) -> Element:
    paragraph = Element(f"{_W}p")
    paragraph.append(_run(text))
    return paragraph


def _box(blocks: list[Element]) -> Element | None:
    """Return a text box of blocks, in the old form that is read; None if there are none."""
    if not blocks:
        return None
    picture = Element(f"{_W}pict")
    ElementTree.SubElement(picture, f"{_W}txbxContent").extend(blocks)
    return picture


def _name_author(comment: Element) -> None:
    author, paragraph = comment.get(f"{_W}author", "").strip(), comment.find(f"{_W}p")
    if author and paragraph is not None:
        start = 1 if len(paragraph) and paragraph[0].tag == f"{_W}pPr" else 0
        paragraph.insert(start, _run(f"{author}: "))


def _indent_row(row: Element) -> None:
    """Put empty cells where a row leaves out columns at its beginning."""
    skipped = row.find(f"{_W}trPr/{_W}gridBefore")
    count = skipped.get(f"{_W}val", "") if skipped is not None else ""
    for _ in range(min(int(count), _MOST_SKIPPED) if count.isdecimal() and len(count) < 9 else 0):
        cell = Element(f"{_W}tc")
        cell.append(_paragraph(""))
        row.insert(1, cell)


def _show_choice(run: Element) -> None:
    """Write the chosen entry of a list of an old form behind it."""
    choices = run.find(f"{_W}fldChar/{_W}ffData/{_W}ddList")
    if choices is None:
        return
    entries = [each.get(f"{_W}val", "") for each in choices.iter(f"{_W}listEntry")]
    chosen = next(
        (found.get(f"{_W}val", "") for found in map(choices.find, _CHOSEN) if found is not None), "0"
    )
    if chosen.isdecimal() and len(chosen) < 9 and int(chosen) < len(entries):
        ElementTree.SubElement(run, f"{_W}t").text = entries[int(chosen)]


def _word_art(element: Element) -> Element | None:
    """Return the words of an old drawing that are its shape; None if there are none, or words besides."""
    if element.tag != f"{_W}pict" or next(element.iter(f"{_W}txbxContent"), None) is not None:
        return None
    paths = (each for each in element.iter() if each.tag.endswith("}textpath"))
    return _box([_paragraph(text) for each in paths if (text := each.get("string", "").strip())])


def _unwrap(parent: Element) -> None:
    """Put the children of elements that only wrap in their place, however deep they are."""
    waiting, children = list(reversed(list(parent))), list[Element]()
    while waiting:
        child = waiting.pop()
        if child.tag in _UNWRAPPED:
            waiting.extend(reversed([each for each in child if not each.tag.endswith("Pr")]))
        else:
            children.append(child)
    parent[:] = children


def _join_drop_caps(parent: Element) -> None:
    """Move the letter of a drop cap, which is a paragraph of its own, to the paragraph that it begins."""
    children = list(parent)
    for cap, paragraph in pairwise(children):
        frame = cap.find(f"{_W}pPr/{_W}framePr")
        if frame is None or frame.get(f"{_W}dropCap", "none") == "none" or paragraph.tag != f"{_W}p":
            continue
        runs = [child for child in cap if child.tag != f"{_W}pPr"]
        start = 1 if len(paragraph) and paragraph[0].tag == f"{_W}pPr" else 0
        paragraph[start:start] = runs
        parent.remove(cap)


def _formula(element: Element, depth: int) -> str:
    """Return a formula as one line."""
    if depth > _DEEPEST:
        return "".join(element.itertext())
    name = element.tag.removeprefix(_M)
    if name in ("t", "r"):
        return "".join(text.text or "" for text in element.iter(f"{_M}t"))
    parts = [
        _formula(child, depth + 1)
        for child in element
        if child.tag not in _ASIDE and not child.tag.endswith("Pr")
    ]
    write = _WRITERS.get(name)
    return write(element, parts) if write else formula_part(_SAME.get(name, "mrow"), parts)


def _delimited(element: Element, parts: list[str]) -> str:
    return f"{_sign(element, 'begChr', '(')}{', '.join(parts)}{_sign(element, 'endChr', ')')}"


def _root(element: Element, parts: list[str]) -> str:
    del element
    return formula_part("mroot", [parts[-1], parts[0] if len(parts) > 1 else ""]) if parts else ""


def _operator(element: Element, parts: list[str]) -> str:
    """Return a sum, an integral and the like, whose parts are its bounds and what it is of."""
    bounded = formula_part("munderover", [_sign(element, "chr", "∫"), *parts[:2]])
    return f"{bounded} {''.join(parts[2:])}"


def _function(element: Element, parts: list[str]) -> str:
    del element
    return " ".join(parts)


_WRITERS = {"d": _delimited, "rad": _root, "nary": _operator, "func": _function}


def _sign(element: Element, name: str, default: str) -> str:
    found = next((each for each in element.iter(f"{_M}{name}")), None)
    return default if found is None else found.get(f"{_M}val", default)
