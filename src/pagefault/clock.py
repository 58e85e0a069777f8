"""Time: the injected clock, and times as people and models write them.

Nothing else in the core asks the machine what time it is.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Protocol

from cronsim import CronSim, CronSimError

from pagefault.errors import FunctionError, UsageError

_FROM_NOW = re.compile(r"\+\s*(\d+)\s*([smhdw])[a-z]*$", re.IGNORECASE)
_UNIT = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


When = datetime | date | str | None
"""A time, a day, or a time as people write it: ISO 8601 (in the agent's zone if it names none) or ``+2h``."""


class Clock(Protocol):
    """``now`` is an aware UTC datetime."""

    def now(self) -> datetime: ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


def moment(text: str, now: datetime, zone: tzinfo, *, end: bool = False) -> datetime:
    """A time as written (``+2h``, ISO 8601, local if it has no zone) in UTC. ``end``: a bare date means
    the end of that day. ``FunctionError`` if it cannot be read."""
    if found := _FROM_NOW.match(text.strip()):
        return now + timedelta(seconds=int(found[1]) * _UNIT[found[2].lower()])
    try:
        at = datetime.fromisoformat(text.strip())
        if end and len(text.strip()) <= len("2026-11-22"):
            at = datetime.combine(at.date() + timedelta(days=1), time())
        return (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise FunctionError(f"{text!r} is not a time; write 2026-03-01, 2026-03-01T14:30 or +2h.") from None


def next_due(cron: str, after: datetime, zone: tzinfo) -> datetime:
    """The next time of a cron line, read in ``zone``, in UTC; ``FunctionError`` for a line that is wrong."""
    try:
        return next(CronSim(cron, after.astimezone(zone))).astimezone(UTC)
    except (CronSimError, StopIteration):
        raise FunctionError(
            f"{cron!r} is not a cron line that ever comes due; write e.g. 0 9 * * 1."
        ) from None


def time_of(given: When, now: datetime, zone: tzinfo, *, end: bool = False) -> datetime | None:
    """A time that a person gives, aware; None for None or an empty text. ``end``: a date without a time means
    the end of that day. ``UsageError`` if it cannot be read."""
    if not given:
        return None
    if isinstance(given, datetime):
        return given if given.tzinfo else given.replace(tzinfo=zone)
    text = given.isoformat() if isinstance(given, date) else given
    try:
        return moment(text, now, zone, end=end)
    except FunctionError as error:
        raise UsageError(str(error)) from None
