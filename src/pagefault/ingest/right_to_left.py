"""Arabic and Hebrew words of a PDF's page in the order in which they are read.

A PDF places glyphs. PDFium turns lines of right-to-left script round, but leaves some words as they stand
from left to right, and the two letters of a lam-alef within others. So the letters of a word are put in the
order of their places. Left out: the order of words.
"""

from __future__ import annotations

import ctypes
import re
import unicodedata
from collections.abc import Iterator
from importlib import import_module
from typing import Any

__all__ = ["reading_order"]

_WORD = re.compile(
    r"[\u0590-\u05ff\u0610-\u061a\u0620-\u065f\u066e-\u06d3\u06d5-\u06ef\u06fa-\u06ff\u0750-\u077f]{2,60}"
)
_ALEFS = "اأإآ"
_SHAPES = re.compile(r"[\ufb1d-\ufdff\ufe70-\ufefc]")  # letters as they look within a word


def reading_order(text_page: Any, text: str) -> str:
    """Return a page's text with the letters of each right-to-left word in order, and as plain letters."""
    parts, end = list[str](), 0
    for word in _WORD.finditer(text):
        if placed := _placed(text_page, text, word.start(), word.end()):
            parts += (text[end : word.start()], placed)
            end = word.end()
    joined = "".join([*parts, text[end:]])
    return _SHAPES.sub(lambda shape: unicodedata.normalize("NFKC", shape[0]), joined)


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
