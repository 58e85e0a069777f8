"""Time: the injected clock, and times and cron lines as people and models write them.

Nothing else in the core asks the machine what time it is. A time that could be meant in two ways is refused
with examples, not guessed: ``this friday``, ``tonight``, ``01/02/2026``.
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Protocol

from cronsim import CronSim, CronSimError

from pagefault.errors import FunctionError, UsageError
from pagefault.quoting import normal

__all__ = ["Clock", "SystemClock", "When", "moment", "next_due", "time_of"]

When = datetime | date | timedelta | str | None
"""A time, a day, a time from now, or one as people write it (``moment``); local unless a zone is named."""

_SECONDS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600),
}
_DAYS = {**dict.fromkeys(("d", "day", "days"), 1), **dict.fromkeys(("w", "wk", "wks", "week", "weeks"), 7)}
_MONTHS = {
    **dict.fromkeys(("mo", "mos", "month", "months"), 1),
    **dict.fromkeys(("y", "yr", "yrs", "year", "years"), 12),
}
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_WEEKDAY = {word: n for n, name in enumerate(_WEEKDAYS) for word in (name, name[:3])}
_NEAR = {"yesterday": -1, "today": 0, "tomorrow": 1}

_ITEM = r"\d+\s*[a-z]+"
_ITEMS = rf"{_ITEM}(?:(?:\s*,\s*|\s+and\s+|\s*){_ITEM})*"
_FROM_NOW = re.compile(rf"(?P<sign>\+|-|in\s)\s*(?P<ahead>{_ITEMS})|(?P<back>{_ITEMS})\s+ago")
_COUNTED = re.compile(r"(\d+)\s*([a-z]+)")
_MINUTES_OR_MONTHS = re.compile(r"\d\s*M\b")
_ONE = re.compile(r"\ban?\s")
_SHORT_HOUR = re.compile(r"(\d{4}-\d\d-\d\d)[ t]+(\d:)")
_TIME = re.compile(
    r"(?<![\w:.+-])(?:(?P<noon>noon)|(?P<hour>\d{1,2})(?::(?P<minute>\d\d)(?::(?P<second>\d\d))?)?"
    r"\s*(?:(?P<half>[ap])(?:m|\.m\.))?)(?![\w:.+-])"
)
_EXAMPLES = (
    "write +2h, +3 days, +1 month, 9:00, tomorrow 9am, next monday 10:00, 2026-03-01 or 2026-03-01T14:30"
)
_LONGEST = 100  # characters
_FIRST, _LAST = datetime(2, 1, 1, tzinfo=UTC), datetime(9998, 12, 31, tzinfo=UTC)


class Clock(Protocol):
    """``now`` is an aware UTC datetime."""

    def now(self) -> datetime: ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


def moment(text: str, now: datetime, zone: tzinfo, *, end: bool = False, ahead: bool = False) -> datetime:
    """Return a time as written, in UTC; ``FunctionError`` if it cannot be read.

    Read are ISO 8601; times from now (``+2h``, ``in 5 minutes``, ``+1 month``, ``3 days ago``), where days
    and longer units keep the local time of day; days and times of day (``tomorrow 9am``, ``noon``). Local
    if no zone is named: a time that the clocks skip is read as if they had not been put forward, of a time
    that comes twice the first is meant. ``end``: a day without a time means its end. ``ahead``: a time to
    come, where a day in words needs a time; without a day it is the next such time, else the last one.
    """
    plain = " ".join(normal("NFKC", text).lower().split())
    if _MINUTES_OR_MONTHS.search(text):
        raise FunctionError(f"In {_quoted(text)} M may be minutes or months; write min or mo.")
    try:
        if len(plain) <= _LONGEST:
            found = (
                _from_now(plain, now, zone) or _iso(plain, zone, end) or _spoken(plain, now, zone, end, ahead)
            )
            if found:
                return _within(found)
    except (ValueError, OverflowError):
        raise FunctionError(f"{_quoted(text)} is outside the years 2 to 9998; {_EXAMPLES}.") from None
    raise FunctionError(f"{_quoted(text)} is not a time that can be read; {_EXAMPLES}.")


def next_due(cron: str, after: datetime, zone: tzinfo) -> datetime:
    """The next time of a cron line, read in ``zone``, in UTC; ``FunctionError`` for a line that is wrong."""
    try:
        if len(cron.split()) != 5:
            raise CronSimError("it has five fields: minute, hour, day, month, weekday")
        # An hour that comes twice is one to CronSim, which may then name a time that is over.
        times = (_within(due) for due in CronSim(cron, after.astimezone(zone)))
        return next(due for due in times if due > after)
    except CronSimError as error:
        why = str(error).lower()
    except StopIteration:
        why = "no such day comes"
    except (ValueError, OverflowError):
        why = "a number is too large"
    raise FunctionError(
        f"{_quoted(cron)} is not a cron line that ever comes due ({why}); write e.g. 0 9 * * 1."
    )


def time_of(
    given: When, now: datetime, zone: tzinfo, *, end: bool = False, ahead: bool = False
) -> datetime | None:
    """A time that a person gives, in UTC; None for None or an empty text. ``end``, ``ahead``: see ``moment``.
    ``UsageError`` if it cannot be read."""
    if given is None or given == "":
        return None
    try:
        if isinstance(given, datetime):
            return _within(given if given.tzinfo else given.replace(tzinfo=zone))
        if isinstance(given, timedelta):
            return _within(now + given)
        text = given.isoformat() if isinstance(given, date) else given
        return moment(text, now, zone, end=end, ahead=ahead)
    except (ValueError, OverflowError):
        raise UsageError(f"{given} is outside the years 2 to 9998.") from None
    except FunctionError as error:
        raise UsageError(str(error)) from None


def _within(at: datetime) -> datetime:
    """The time in UTC; ``ValueError`` if some time zone has no date for it."""
    found = at.astimezone(UTC)
    if not _FIRST <= found <= _LAST:
        raise ValueError(found)
    return found


def _quoted(text: str) -> str:
    return repr(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}...")


def _from_now(text: str, now: datetime, zone: tzinfo) -> datetime | None:
    found = _FROM_NOW.fullmatch(_ONE.sub("1 ", text))
    if found is None:
        return None
    sign = -1 if found["back"] or found["sign"] == "-" else 1
    months, days, seconds = 0, 0, 0
    for digits, unit in _COUNTED.findall(found["ahead"] or found["back"]):
        count = sign * int(digits)
        if unit not in _SECONDS and unit not in _DAYS and unit not in _MONTHS:
            return None
        months += count * _MONTHS.get(unit, 0)
        days += count * _DAYS.get(unit, 0)
        seconds += count * _SECONDS.get(unit, 0)
    if months or days:
        now = _on_calendar(now.astimezone(zone), months, days)
    return now + timedelta(seconds=seconds)


def _on_calendar(local: datetime, months: int, days: int) -> datetime:
    """So many months and days later at the same local time; a month without the day ends on its last one."""
    year, month = divmod(local.year * 12 + local.month - 1 + months, 12)
    day = min(local.day, monthrange(year, month + 1)[1])
    return (local.replace(year=year, month=month + 1, day=day) + timedelta(days=days)).astimezone(UTC)


def _iso(text: str, zone: tzinfo, end: bool) -> datetime | None:
    padded = _SHORT_HOUR.sub(r"\1t0\2", text, count=1).upper()
    try:
        day = date.fromisoformat(padded)
    except ValueError:
        pass
    else:
        return datetime.combine(day + timedelta(days=end), time(), zone)
    try:
        at = datetime.fromisoformat(padded)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=zone)


def _spoken(text: str, now: datetime, zone: tzinfo, end: bool, ahead: bool) -> datetime | None:
    """A day, a time of day, or both, in words and numbers; None if it is none."""
    local, times = now.astimezone(zone), list(_TIME.finditer(text))
    words = [word for word in _TIME.sub(" ", text).replace(",", " ").split() if word not in ("at", "on")]
    if len(times) > 1 or not (times or words):
        return None
    of_day = _clock(times[0]) if times else time()
    distance = _distance(words, local) if words else 0
    if of_day is None or distance is None:
        return None
    if ahead and not times:
        raise FunctionError(f"{text!r} names a day without a time; write e.g. {text} 9:00.")
    at = datetime.combine(local.date() + timedelta(days=distance), of_day, zone)
    return _turned(at, now, words, ahead) + timedelta(days=end and not times)


def _turned(at: datetime, now: datetime, words: list[str], ahead: bool) -> datetime:
    """The next such time (``ahead``) or the last, where the words leave open which one it is."""
    period = timedelta(days=7 * (len(words) == 1 and words[0] in _WEEKDAY) or not words)
    if ahead:
        return at + period if at <= now else at
    return at - period if at > now else at


def _clock(found: re.Match[str]) -> time | None:
    """The time of day of a match of ``_TIME``; None if there is none such, or it is a number alone."""
    if found["noon"]:
        return time(12)
    hour, half = int(found["hour"]), found["half"]
    if (not half and not found["minute"]) or (half and not 1 <= hour <= 12):
        return None
    hour = hour % 12 + 12 * (half == "p") if half else hour
    try:
        return time(hour, int(found["minute"] or 0), int(found["second"] or 0))
    except ValueError:
        return None


def _distance(words: list[str], today: datetime) -> int | None:
    """So many days ahead is the day that the words name; None if they name none."""
    *before, name = words
    if name in _WEEKDAY:
        ahead = (_WEEKDAY[name] - today.weekday()) % 7
        return {"": ahead, "next": ahead or 7, "last": ahead - 7}.get(" ".join(before))
    if before:
        return None
    try:
        return _NEAR[name] if name in _NEAR else (date.fromisoformat(name) - today.date()).days
    except ValueError:
        return None
