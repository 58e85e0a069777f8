"""Overlapping windows of long texts, each with a vector of its own: an embedder reads only so much."""

from __future__ import annotations

import re

__all__ = ["windows"]

_SIZE = 800  # characters: what the shipped embedder reads of English, about
_OVERLAP = 200
_WIDE = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff]")
_WIDTH = 4  # a CJK character carries as much meaning, and as many tokens, as four letters
_SPACE = re.compile(r"\s")


def windows(text: str, title: str = "") -> list[str]:
    """Return the texts to embed for a text: itself if it is short, else overlapping windows, cut between
    words if there are any; the title goes before each."""
    before = f"{title}. " if title else ""
    wide = len(_WIDE.findall(text))
    scale = len(text) / (len(text) + (_WIDTH - 1) * wide) if text else 1.0
    size, overlap = max(16, int(_SIZE * scale)), int(_OVERLAP * scale)
    pieces: list[str] = []
    start = 0
    while start + size < len(text):
        stop = _after_space(text, start + size - overlap // 2, start + size, last=True)
        pieces.append(text[start:stop])
        start = _after_space(text, stop - overlap, stop - overlap // 2, last=False)
    return [before + piece for piece in [*pieces, text[start:]]]


def _after_space(text: str, first: int, stop: int, *, last: bool) -> int:
    """The position after the last space of that part, or the first; without a space, its end or start."""
    spaces = [found.end() for found in _SPACE.finditer(text, first, stop)]
    if last:
        return spaces[-1] if spaces else stop
    return spaces[0] if spaces else first
