"""JSON as models write it, read within bounds: one way to read it, which fails with ``ValueError`` alone.

What no later step could handle is no value here: deep nesting overflows the stack of whoever writes the value
again, and databases and servers take neither endless numbers nor ``NaN``, which are left as texts.
"""

from __future__ import annotations

import json
from math import isfinite
from typing import Any, cast

from pagefault.quoting import in_texts, whole

__all__ = ["read_json", "repair_json"]

_DEEPEST = 64  # levels of nesting
_LONGEST_NUMBER = 300  # digits
_MOST_REPAIRED = 1_000_000  # characters times brackets, with which the time of the repair grows


def read_json(text: str) -> object:
    """Return the value of a JSON text; halves of surrogate pairs in it are replaced."""
    try:
        value: object = json.loads(text, parse_int=_whole, parse_float=_real, parse_constant=str)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    value = _shallow(value)
    return in_texts(whole, value) if "\\u" in text or not text.isascii() else value


def repair_json(text: str) -> object:
    """Return the value of a text that is almost JSON, None if it cannot be made out."""
    if len(text) * (4 + text.count("{") + text.count("[")) > _MOST_REPAIRED:
        return None
    import json_repair  # seldom needed, and slow to import

    try:
        return read_json(json.dumps(json_repair.repair_json(text, return_objects=True)))
    except (ValueError, RecursionError):
        return None


def _whole(digits: str) -> int | str:
    return int(digits) if len(digits) <= _LONGEST_NUMBER else digits


def _real(digits: str) -> float | str:
    number = float(digits)
    return number if isfinite(number) else digits


def _shallow(value: object) -> object:
    """The value itself; ``ValueError`` if it is nested too deeply."""
    level: list[object] = [value]
    for _ in range(_DEEPEST):
        level = [inner for outer in level for inner in _within(outer)]
        if not level:
            return value
    raise ValueError("it is nested too deeply")


def _within(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(cast("dict[str, Any]", value).values())
    return cast("list[object]", value) if isinstance(value, list) else []
