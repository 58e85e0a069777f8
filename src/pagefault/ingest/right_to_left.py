"""Arabic and Hebrew of a PDF's page in the order in which it is read.

A PDF places glyphs. PDFium turns lines of right-to-left script round, but leaves some words as they stand
from left to right, and the two letters of a lam-alef within others; words of the other direction in a line it
leaves in the order of the line. So the letters of a word, and words of one direction side by side, are put in
the order of their places, and brackets are turned with them.
"""

from __future__ import annotations

import ctypes
import re
import unicodedata
from collections.abc import Iterator, Sequence
from importlib import import_module
from itertools import pairwise
from typing import Any, NamedTuple

__all__ = ["reading_order"]

_WORD = re.compile(
    r"[\u0590-\u05ff\u0610-\u061a\u0620-\u065f\u066e-\u06d3\u06d5-\u06ef\u06fa-\u06ff\u0750-\u077f]{2,60}"
)
_LINE = re.compile(r"[^\r\n]+")
_CHUNK = re.compile(r"[^ \r\n\t]+")
_RIGHT = re.compile(r"[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_TURNS = {"R": -1, "AL": -1, "L": 1}
_SIGNS = ".,;:!?،؛؟…\"'“”„«»"
_MIRRORED = str.maketrans("()[]{}", ")(][}{")
_ALEFS = "اأإآ"
_SHAPES = re.compile(r"[\ufb1d-\ufdff\ufe70-\ufefc]")  # letters as they look within a word


def reading_order(text_page: Any, text: str) -> str:
    """Return a page's text with right-to-left words, and those beside them, in order and in plain letters."""
    joined = _LINE.sub(lambda line: _ordered(text_page, text, *line.span()), text)
    return _SHAPES.sub(lambda shape: unicodedata.normalize("NFKC", shape[0]), joined)


class _Chunk(NamedTuple):
    """Text between spaces. ``turn``: -1 if it is read from right to left, 1 from left to right, 0 for numbers
    and the like; ``place``: of its first letter from the left, None if that is not known."""

    said: str
    turn: int
    place: float | None


def _ordered(text_page: Any, text: str, start: int, stop: int) -> str:
    """Return a line with the words of each direction in their order."""
    if not _RIGHT.search(text, start, stop):
        return text[start:stop]
    spans = [found.span() for found in _CHUNK.finditer(text, start, stop)]
    gaps = [text[a:b] for a, b in pairwise([start, *(edge for span in spans for edge in span), stop])][::2]
    chunks = [_chunk(text_page, text, *span) for span in spans]
    _order(chunks, gaps)
    rest = (part for each, gap in zip(chunks, gaps[1:], strict=True) for part in (each.said, gap))
    return "".join([gaps[0], *rest])


def _order(chunks: list[_Chunk], gaps: list[str]) -> None:
    """Put the words of each direction in their order, in place, and the gaps between them with them."""
    at = 0
    while at < len(chunks):
        end = _run_end(chunks, at)
        if chunks[at].turn and _is_turned(chunks[at:end]):
            chunks[at:end] = _turned(chunks[at:end])
            gaps[at + 1 : end] = reversed(gaps[at + 1 : end])
        if chunks[at].turn < 0:
            chunks[at:end] = _bracketed(chunks[at:end])
        at = end


def _chunk(text_page: Any, text: str, start: int, stop: int) -> _Chunk:
    turns = ((index, _TURNS.get(unicodedata.bidirectional(text[index]), 0)) for index in range(start, stop))
    index, turn = next((each for each in turns if each[1]), (start, 0))
    said = text[start:stop]
    if turn < 0:
        said = _WORD.sub(
            lambda word: _placed(text_page, text, start + word.start(), start + word.end()) or word[0], said
        )
    return _Chunk(said, turn, _place_of(text_page, text, index) if turn else None)


def _run_end(chunks: Sequence[_Chunk], start: int) -> int:
    """Return the end of the words of one direction that begin there; numbers between them belong to them."""
    end = start + 1
    for at in range(start + 1, len(chunks)):
        if chunks[at].turn == chunks[start].turn:
            end = at + 1
        elif chunks[at].turn or not chunks[start].turn:
            break
    return end


def _is_turned(run: Sequence[_Chunk]) -> bool:
    """Return whether words stand against their direction, all of them."""
    places = [each.place for each in run if each.turn]
    known = [place for place in places if place is not None]
    steps = [(after - before) * run[0].turn for before, after in pairwise(known)]
    return len(known) == len(places) and bool(steps) and all(step < 0 for step in steps)


def _turned(run: Sequence[_Chunk]) -> Iterator[_Chunk]:
    """Yield words in the other order; the signs around all of them stay there."""
    said = [each.said for each in run]
    first, last = said[0].lstrip(_SIGNS), said[-1].rstrip(_SIGNS)
    before, after = said[0].removesuffix(first), said[-1].removeprefix(last)
    said = [last, *said[-2:0:-1], first]
    said[0], said[-1] = before + said[0], said[-1] + after
    yield from (each._replace(said=text) for each, text in zip(reversed(run), said, strict=True))


def _bracketed(run: Sequence[_Chunk]) -> list[_Chunk]:
    """Return words with their brackets turned, if more of them are pairs then."""
    said = "".join(each.said for each in run)
    if _pairs(said.translate(_MIRRORED)) <= _pairs(said):
        return list(run)
    return [each._replace(said=each.said.translate(_MIRRORED)) for each in run]


def _pairs(text: str) -> int:
    waiting, pairs = list[str](), 0
    for character in text:
        if character in "([{":
            waiting.append(character)
        elif character in ")]}" and waiting:
            pairs += waiting.pop() + character in ("()", "[]", "{}")
    return pairs


def _place_of(text_page: Any, text: str, index: int) -> float | None:
    raw: Any = import_module("pypdfium2.raw")
    if raw.FPDFText_GetUnicode(text_page, index) != ord(text[index]):
        return None
    return next(_boxes(raw, text_page, [index]))[4]


def _placed(text_page: Any, text: str, start: int, stop: int) -> str:
    """Return a word's letters from right to left; empty if they stand so, or on several lines."""
    raw: Any = import_module("pypdfium2.raw")
    letters = list(range(start, stop))
    if any(raw.FPDFText_GetUnicode(text_page, index) != ord(text[index]) for index in letters):
        return ""
    boxes = dict(zip(letters, _boxes(raw, text_page, letters), strict=True))
    bases = [index for index in letters if not unicodedata.combining(text[index])]
    lows, highs = [box[2] for box in boxes.values()], [box[3] for box in boxes.values()]
    if not bases or max(lows) >= min(highs) + 2 * max(
        high - low for low, high in zip(lows, highs, strict=True)
    ):
        return ""

    first, last = boxes[bases[0]][4], boxes[bases[-1]][4]
    turned = first > last or (first == last and text[bases[0]] in _ALEFS)  # so are the letters of one glyph

    def place(index: int) -> tuple[float, float, bool, int]:
        middle = (boxes[index][0] + boxes[index][1]) / 2
        near = min(bases, key=lambda base: abs((boxes[base][0] + boxes[base][1]) / 2 - middle))
        box = boxes[index if index in bases else near]
        return -box[4], -box[0], index not in bases, -index if turned else index

    return "".join(text[index] for index in sorted(letters, key=place))


def _boxes(
    raw: Any, text_page: Any, letters: list[int]
) -> Iterator[tuple[float, float, float, float, float]]:
    """Yield left, right, bottom and top of each letter, and its origin from the left."""
    left, right, bottom, top, origin, line = (ctypes.c_double() for _ in range(6))
    for index in letters:
        raw.FPDFText_GetCharBox(text_page, index, left, right, bottom, top)
        raw.FPDFText_GetCharOrigin(text_page, index, origin, line)
        yield left.value, right.value, bottom.value, top.value, origin.value
