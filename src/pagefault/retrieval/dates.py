"""Times that a query names, as ranges: `on 8 May`, `in July 2023`, `last week`, `2024年4月1日`, `昨日`.

English, Chinese and Japanese, by rules: a soft boost must be quick and must not see a date in every number.
A date without a year is the last such one before now. Left out: times of day, `before` and `since` (the
search functions have filters for those), holidays.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

__all__ = ["Span", "spans"]

_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_MONTH = {name[:3]: number for number, name in enumerate(_MONTHS, start=1)}
_NAME = (
    "(?P<month>" + "|".join(f"{name[:3]}(?:{name[3:]})?" if name != "may" else name for name in _MONTHS) + ")"
)
_FULL = "(?P<month>" + "|".join(_MONTHS) + ")"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>(?:19|20)\d\d)"
_WEEKDAYS: tuple[str, ...] = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

# Tried in this order; text that one pattern has matched is not seen by the next.
_CALENDAR = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\b{_YEAR}-(?P<month>\d\d)-(?P<day>\d\d)\b",
        rf"{_YEAR}年(?P<month>\d{{1,2}})月(?:(?P<day>\d{{1,2}})[日号號])?",
        r"(?<!\d)(?P<month>\d{1,2})月(?P<day>\d{1,2})[日号號]",
        rf"\b{_DAY}(?: of)? {_NAME}\b\.?(?:,? {_YEAR})?",
        rf"\b{_NAME}\b\.? {_DAY}\b(?:,? {_YEAR})?",
        rf"\b{_NAME}\b\.?,? {_YEAR}\b",
        rf"\b(?:in|during|since|this|last|early|mid|late) {_FULL}\b",
        rf"\b(?:in|during|of) {_YEAR}\b",
        rf"{_YEAR}年",
    )
]


@dataclass(frozen=True, slots=True)
class Span:
    """A range of time: ``start`` inclusive, ``end`` exclusive, both aware."""

    start: datetime
    end: datetime

    @property
    def is_narrow(self) -> bool:
        """At most a month or so: narrow enough to be a reason of its own to find what was said then."""
        return self.end - self.start <= timedelta(days=40)


def spans(text: str, now: datetime) -> tuple[Span, ...]:
    """The ranges that ``text`` names, read at ``now`` and in its time zone; none twice."""
    found: list[Span] = []
    for pattern in _CALENDAR:
        found += [span for match in pattern.finditer(text) if (span := _calendar(match, now))]
        text = pattern.sub(" ", text)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for pattern, resolve in _RELATIVE:
        found += [resolve(match, midnight) for match in pattern.finditer(text)]
    return tuple(dict.fromkeys(found))


def _calendar(match: re.Match[str], now: datetime) -> Span | None:
    """The day, month or year of a match of ``_CALENDAR``; None if the calendar has none such."""
    groups = match.groupdict()
    day, year = groups.get("day"), groups.get("year")
    try:
        month = _month(groups["month"]) if groups.get("month") else None
        if month is None:
            return Span(_at(now, int(groups["year"]), 1, 1), _at(now, int(groups["year"]) + 1, 1, 1))
        start = _at(now, int(year or now.year), month, int(day or 1))
        if not year and start > now:
            start = start.replace(year=start.year - 1)
        return Span(start, start + timedelta(days=1)) if day else Span(start, _next_month(start))
    except ValueError:
        return None


def _month(name: str) -> int:
    return int(name) if name.isdigit() else _MONTH[name[:3].lower()]


def _at(now: datetime, year: int, month: int, day: int) -> datetime:
    return datetime(year, month, day, tzinfo=now.tzinfo)


def _next_month(start: datetime) -> datetime:
    return (start.replace(day=1) + timedelta(days=32)).replace(day=1)


def _days(first: int, length: int = 1) -> Callable[[re.Match[str], datetime], Span]:
    """A span that begins ``first`` days from today's midnight."""
    return lambda _, today: Span(today + timedelta(days=first), today + timedelta(days=first + length))


def _weeks(first: int) -> Callable[[re.Match[str], datetime], Span]:
    def resolve(_: re.Match[str], today: datetime) -> Span:
        monday = today - timedelta(days=today.weekday()) + timedelta(weeks=first)
        return Span(monday, monday + timedelta(weeks=1))

    return resolve


def _months(first: int) -> Callable[[re.Match[str], datetime], Span]:
    def resolve(_: re.Match[str], today: datetime) -> Span:
        whole = today.year * 12 + today.month - 1 + first
        start = today.replace(year=whole // 12, month=whole % 12 + 1, day=1)
        return Span(start, _next_month(start))

    return resolve


def _years(first: int) -> Callable[[re.Match[str], datetime], Span]:
    def resolve(_: re.Match[str], today: datetime) -> Span:
        start = today.replace(year=today.year + first, month=1, day=1)
        return Span(start, start.replace(year=start.year + 1))

    return resolve


def _weekday(match: re.Match[str], today: datetime) -> Span:
    back = (today.weekday() - _WEEKDAYS.index(match["weekday"].lower())) % 7 or 7
    return Span(today - timedelta(days=back), today - timedelta(days=back - 1))


def _ago(match: re.Match[str], today: datetime) -> Span:
    size = {"d": 1, "天": 1, "日": 1, "w": 7, "周": 7, "週": 7}[match["unit"][0].lower()]
    start = today - timedelta(days=size * int(match["count"]))
    return Span(start, start + timedelta(days=size))


def _rules() -> Iterator[tuple[re.Pattern[str], Callable[[re.Match[str], datetime], Span]]]:
    for pattern, resolve in (
        (r"\btoday\b|今天|今日", _days(0)),
        (r"\byesterday\b|昨天|昨日", _days(-1)),
        (r"前天|一昨日|おととい", _days(-2)),
        (r"\bthis week\b|这周|本周|这个?星期|今週", _weeks(0)),
        (r"\blast week\b|上周|上个?星期|先週", _weeks(-1)),
        (r"\bthis month\b|这个月|本月|今月", _months(0)),
        (r"\blast month\b|上个?月|先月", _months(-1)),
        (r"\bthis year\b|今年", _years(0)),
        (r"\blast year\b|去年|昨年", _years(-1)),
        (rf"\blast (?P<weekday>{'|'.join(_WEEKDAYS)})\b", _weekday),
        (r"\b(?P<count>\d{1,3}) (?P<unit>days?|weeks?) ago\b", _ago),
        (r"(?P<count>\d{1,3})个?(?P<unit>[天日周週])(?:間)?之?前", _ago),
    ):
        yield re.compile(pattern, re.IGNORECASE), resolve


_RELATIVE = tuple(_rules())
