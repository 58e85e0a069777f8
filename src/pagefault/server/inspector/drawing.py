"""Numbers to the places of rectangles, in percent of a drawing: the window as a page of strips, the segments
of a turn, stacked columns. Pure functions; the templates make SVG of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import floor, log10

__all__ = ["Box", "Column", "columns", "flow", "marker", "round_top", "shares"]

_THIN = 1e-9  # of a strip: less is a rounding error


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle: its left upper corner and its size, in percent of the drawing."""

    x: float
    y: float
    width: float
    height: float


def flow(sizes: Iterable[float], whole: float, strips: int) -> list[tuple[Box, ...]]:
    """The boxes of parts that fill a page as text does: from the left to the right, strip by strip. The area
    of a part is its share of ``whole``; one that goes on in the next strip has several boxes, one of no size
    none. What would not fit any more has none either."""
    height, room = 100.0 / strips, whole / strips
    found, at = list[tuple[Box, ...]](), 0.0
    for size in sizes:
        boxes, left = list[Box](), min(size, whole - at)
        while left > room * _THIN:
            strip = min(strips - 1, floor(at / room + _THIN))
            before = max(0.0, at - strip * room)
            part = min(left, room - before)
            boxes.append(_box(100.0 * before / room, strip * height, 100.0 * part / room, height))
            at, left = at + part, left - part
        found.append(tuple(boxes))
    return found


def marker(at: float, whole: float, strips: int) -> tuple[tuple[float, float, float, float], ...]:
    """The line behind the first ``at`` of a page as ``flow`` fills it, as up to three straight ones (x1, y1,
    x2, y2): along the lower edge of its strip as far as that is filled, up, and along the upper edge."""
    room, height = whole / strips, 100.0 / strips
    strip = min(strips - 1, floor(at / room + _THIN))
    x, y = round(100.0 * min(1.0, at / room - strip), 3), strip * height
    below, above = round(y + height, 3), round(y, 3)
    lines = ((0.0, below, x, below), (x, above, x, below), (x, above, 100.0, above))
    return tuple(line for line in lines if line[:2] != line[2:])


def shares(sizes: Sequence[float], least: float) -> list[tuple[float, float]]:
    """The start and the width of parts side by side, which take all of 100: in proportion, but none is
    narrower than ``least``, as far as there is room for that. Parts of no size at all are alike."""
    if not sizes:
        return []
    least = min(least, 100.0 / len(sizes))
    whole = sum(sizes)
    widths = [100.0 * size / whole for size in sizes] if whole > 0 else [100.0 / len(sizes)] * len(sizes)
    while any(width < least - _THIN for width in widths):
        widths = _widened(widths, least)
    starts = [0.0, *accumulate(widths)]
    return [(round(start, 3), round(width, 3)) for start, width in zip(starts, widths, strict=False)]


def _widened(widths: Sequence[float], least: float) -> list[float]:
    """The widths with the narrow ones at the ``least``, and what is left divided among the others."""
    wide = [width for width in widths if width > least + _THIN]
    scale = (100.0 - least * (len(widths) - len(wide))) / sum(wide)
    return [width * scale if width > least + _THIN else least for width in widths]


@dataclass(frozen=True, slots=True)
class Column:
    """The boxes of one column, from the bottom up, and the whole of its height as a box to point at."""

    parts: tuple[Box, ...]
    place: Box


def columns(values: Sequence[Sequence[float]], top: float, gap: float = 0.2) -> list[Column]:
    """Stacked columns side by side; ``top``: the value at the upper edge; ``gap``: the share of a column's
    place that is free."""
    found, step = list[Column](), 100.0 / max(1, len(values))
    for index, stack in enumerate(values):
        x, width, base = step * (index + gap / 2), step * (1 - gap), 100.0
        parts = list[Box]()
        for value in stack:
            height = 100.0 * value / top if top else 0.0
            base -= height
            parts.append(_box(x, base, width, height))
        found.append(Column(tuple(parts), _box(step * index, 0.0, step, 100.0)))
    return found


def round_top(most: float) -> float:
    """The least of 1, 2, 5, 10, 20 ... times a power of ten that is not below ``most``; 1 for nothing."""
    if most <= 0:
        return 1.0
    power = 10.0 ** floor(log10(most))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= most * (1 - _THIN))


def _box(x: float, y: float, width: float, height: float) -> Box:
    return Box(round(x, 3), round(y, 3), round(width, 3), round(height, 3))
