"""Days that are told from the day of telling: "last Friday", said on 9 June 2023, is the Friday before it.

Leaves out clock times, and what a text itself dates.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta

__all__ = ["meant", "spelled"]

_NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_DAYS = "monday|tuesday|wednesday|thursday|friday|saturday|sunday"
_TOLD = re.compile(
    r"\b(?P<near>yesterday|last night|today|tonight|this (?:morning|afternoon|evening)|tomorrow)\b"
    rf"|\b(?P<way>last|this past|this|next|coming) (?P<span>week(?:end)?|month|year|{_DAYS})\b"
    rf"|\b(?P<count>\d+|an?|{'|'.join(_NUMBERS)}) (?P<unit>day|week|month|year)s? ago\b"
    r"|(?P<han>昨天|昨晚|今天|今晚|明天)",
    re.IGNORECASE,
)
_OFF = {
    "yesterday": -1,
    "last night": -1,
    "the other day": -2,
    "tomorrow": 1,
    "昨天": -1,
    "昨晚": -1,
    "明天": 1,
}


def spelled(day: date | str) -> str:
    """``8 May 2023``, from a date or its ISO form; what is neither stays as it is."""
    if isinstance(day, str):
        try:
            day = date.fromisoformat(day)
        except ValueError:
            return str(day)
    return f"{day.day} {day:%B %Y}"


def meant(text: str, at: str) -> str:
    """What the first day that is told in ``text`` is, as seen from ``at`` (ISO); empty if there is none."""
    found = _TOLD.search(text)
    try:
        return _meant(found, date.fromisoformat(at[:10])) if found else ""
    except (ValueError, OverflowError):  # no such day
        return ""


def _meant(found: re.Match[str], day: date) -> str:
    if han := found["han"]:
        return (day + timedelta(days=_OFF.get(han, 0))).isoformat()
    if near := found["near"]:
        return spelled(day + timedelta(days=_OFF.get(near.lower(), 0)))
    if count := found["count"]:
        return _AGO[str(found["unit"]).lower()](day, _number(count.lower()))
    way, span = str(found["way"]).lower(), str(found["span"]).lower()
    step = {"next": 1, "coming": 1, "this": 0}.get(way, -1)
    if span in ("month", "year"):
        return _AGO[span](day, -step)
    if span.startswith("week"):
        return f"the {span} {('before', 'of', 'after')[step + 1]} {spelled(day)}"
    return f"the {span.capitalize()} {'before' if step < 0 else 'after'} {spelled(day)}"


def _number(text: str) -> int:
    if text.isdigit():
        return int(text)
    return _NUMBERS.index(text) + 1 if text in _NUMBERS else 1


def _weeks(day: date, count: int) -> str:
    return f"{f'{count} weeks' if count > 1 else 'the week'} before {spelled(day)}"


def _months(day: date, count: int) -> str:
    month = day.year * 12 + day.month - 1 - count
    return f"{date(month // 12, month % 12 + 1, 1):%B %Y}"


_AGO: dict[str, Callable[[date, int], str]] = {
    "day": lambda day, count: spelled(day - timedelta(days=count)),
    "week": _weeks,
    "month": _months,
    "year": lambda day, count: str(day.year - count),
}
