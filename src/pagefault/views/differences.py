"""The difference of two texts, line by line and within a line word by word, as a value that can be shown.

Lines that are alike are compared by their words; a character of Chinese or Japanese is a word. Left out: the
versions themselves (``memory``), and how a difference is drawn.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

__all__ = ["DiffLine", "DiffPiece", "Difference", "difference"]

PieceKind = Literal["same", "added", "removed"]
LineKind = Literal["same", "changed", "added", "removed", "left_out"]

_CONTEXT = 2
"""Lines that are the same and shown on each side of a change."""

_ALIKE = 0.4
"""The least share of words that two blocks of lines have in common to be compared by words. Of less, both
are easier to read one after the other."""

_MOST = 10_000_000
"""The most that a comparison may cost, as ``_cost`` counts it: half a second where all words are alike."""

_WORD = re.compile(
    r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]\s*"
    r"|[^\W\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+\s*|\s+|.\s*"
)
"""A word with the space behind it, so that a space is never all that two texts have in common."""


@dataclass(frozen=True, slots=True)
class DiffPiece:
    """A part of a line that is in both texts, or in one of them."""

    kind: PieceKind
    text: str


@dataclass(frozen=True, slots=True)
class DiffLine:
    """A line of one of the texts or of both. ``changed``: it has pieces of more than one kind; ``left_out``
    stands for as many lines that are the same as ``count`` says."""

    kind: LineKind
    pieces: tuple[DiffPiece, ...] = ()
    count: int = 1


@dataclass(frozen=True, slots=True)
class Difference:
    """``added`` and ``removed``: words, or characters of Chinese and Japanese, that only one text has."""

    lines: tuple[DiffLine, ...]
    added: int
    removed: int

    @property
    def is_empty(self) -> bool:
        """Return whether the texts are the same."""
        return all(line.kind in ("same", "left_out") for line in self.lines)


def difference(old: str, new: str) -> Difference:
    """Return what is to be changed in one text to make the other."""
    before, after, lines = _lines(old), _lines(new), list[DiffLine]()
    for is_same, here, there in _spans(before, after):
        if is_same:
            lines += [DiffLine("same", _pieces("same", line)) for line in here]
        else:
            lines += _changed(here, there)
    return Difference(tuple(_shortened(lines)), _words(lines, "added"), _words(lines, "removed"))


def _lines(text: str) -> list[str]:
    return text.splitlines() if text else []


def _pieces(kind: PieceKind, text: str) -> tuple[DiffPiece, ...]:
    return (DiffPiece(kind, text),) if text else ()


def _spans(before: list[str], after: list[str]) -> Iterator[tuple[bool, list[str], list[str]]]:
    """The parts in which two lists are the same and are not; between their ends that are the same they are
    one such part if it would take long to compare them."""
    start = 0
    while start < min(len(before), len(after)) and before[start] == after[start]:
        start += 1
    stop = 0
    while stop < min(len(before), len(after)) - start and before[-1 - stop] == after[-1 - stop]:
        stop += 1
    here, there = before[start : len(before) - stop], after[start : len(after) - stop]
    if start:
        yield True, before[:start], after[:start]
    if _cost(here, there) > _MOST:
        yield False, here, there
    else:
        for tag, i, i_end, j, j_end in SequenceMatcher(None, here, there, autojunk=False).get_opcodes():
            yield tag == "equal", here[i:i_end], there[j:j_end]
    if stop:
        yield True, before[-stop:], after[-stop:]


def _cost(before: Sequence[str], after: Sequence[str]) -> int:
    """The steps that ``SequenceMatcher`` may take: it looks at all pairs of items that are the same, for each
    place that both have."""
    times = Counter(before)
    return sum(count * times[item] for item, count in Counter(after).items()) * min(len(before), len(after))


def _changed(before: list[str], after: list[str]) -> list[DiffLine]:
    """The lines of a block that stand in the place of others."""
    if before and after:
        words = _WORD.findall("\n".join(before)), _WORD.findall("\n".join(after))
        spans = list(_spans(*words))
        alike = sum(len(here) for is_same, here, _ in spans if is_same)
        if 2 * alike >= _ALIKE * (len(words[0]) + len(words[1])):
            return _by_words(spans)
    removed = [DiffLine("removed", _pieces("removed", line)) for line in before]
    return [*removed, *(DiffLine("added", _pieces("added", line)) for line in after)]


def _by_words(spans: Sequence[tuple[bool, list[str], list[str]]]) -> list[DiffLine]:
    found = list[DiffPiece]()
    for is_same, here, there in spans:
        if is_same:
            found += _pieces("same", "".join(here))
        else:
            found += _pieces("removed", "".join(here)) + _pieces("added", "".join(there))
    return [_line(pieces) for pieces in _split(found)]


def _split(pieces: Sequence[DiffPiece]) -> Iterator[list[DiffPiece]]:
    """The pieces of each line; a line ends where one of the texts has its end."""
    line = list[DiffPiece]()
    for piece in pieces:
        first, *others = piece.text.split("\n")
        line += _pieces(piece.kind, first)
        for each in others:
            yield line
            line = list(_pieces(piece.kind, each))
    yield line


def _line(pieces: list[DiffPiece]) -> DiffLine:
    if len({piece.kind for piece in pieces}) > 1:
        return DiffLine("changed", tuple(pieces))
    return DiffLine(pieces[0].kind if pieces else "same", tuple(pieces))


def _shortened(lines: Sequence[DiffLine]) -> Iterator[DiffLine]:
    """The lines without those that are far from any change; one alone is not left out."""
    near = [False] * len(lines)
    for index, line in enumerate(lines):
        if line.kind != "same":
            start = max(0, index - _CONTEXT)
            near[start : index + _CONTEXT + 1] = [True] * len(near[start : index + _CONTEXT + 1])
    index = 0
    while index < len(lines):
        end = index
        while end < len(lines) and not near[end]:
            end += 1
        if end - index > 1:
            yield DiffLine("left_out", count=end - index)
            index = end
        else:
            yield lines[index]
            index += 1


def _words(lines: Sequence[DiffLine], kind: PieceKind) -> int:
    texts = (piece.text for line in lines for piece in line.pieces if piece.kind == kind)
    return sum(not word.isspace() for text in texts for word in _WORD.findall(text))
