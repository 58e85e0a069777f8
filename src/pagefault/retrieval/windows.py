"""Long texts in overlapping windows, each of which gets a vector: an embedder reads only so much at once."""

from __future__ import annotations

import re

__all__ = ["windows"]

SIZE = 900  # characters: what the shipped embedder reads of English
OVERLAP = 200
_BREAK = re.compile(r"(?<=[\s。！？])")


def windows(text: str) -> list[str]:
    """The text itself if it is short, else pieces of at most ``SIZE`` characters that overlap, cut between
    words where there are any."""
    if len(text) <= SIZE:
        return [text]
    pieces: list[str] = []
    start = 0
    while True:
        stop = start + SIZE
        if stop >= len(text):
            pieces.append(text[start:])
            return pieces
        breaks = [found.start() for found in _BREAK.finditer(text, start + SIZE - OVERLAP, stop)]
        pieces.append(text[start : breaks[-1] if breaks else stop])
        start = (breaks[-1] if breaks else stop) - OVERLAP
