"""Dates as the published sets write them, and turns with their times.

Leaves out dates that questions ask for: that is ``pagefault.retrieval``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from pagefault.bench.tasks import START, Text

__all__ = ["moment", "timed"]

_FORMS = ("%I:%M %p on %d %B, %Y", "%B-%d-%Y", "%Y年%m月%d日 %H:%M")
_WEEKDAY = re.compile(r" [周週]\w| ?\(\w+\)")


def moment(date: object) -> datetime | None:
    """A date in UTC: ``1:56 pm on 8 May, 2023``, ``2023/05/20 (Sat) 02:21``, ISO and others; None if it is
    none of them."""
    if not isinstance(date, str):
        return None
    plain = _WEEKDAY.sub("", date)
    for form in _FORMS:
        try:
            return datetime.strptime(plain, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    try:
        return datetime.fromisoformat(plain.replace("/", "-")).replace(tzinfo=UTC)
    except ValueError:
        return None


def timed(
    sessions: Iterable[tuple[str | None, Sequence[Text]]], apart: timedelta, step: timedelta
) -> list[Text]:
    """The turns of sessions, each a date and its turns: numbered from 1, ``step`` between turns. A session
    without a date is ``apart`` from the one before it."""
    found: list[Text] = []
    at = START - apart
    for number, (date, turns) in enumerate(sessions, 1):
        at = moment(date) or at + apart
        found += [replace(turn, session=number, at=at + place * step) for place, turn in enumerate(turns)]
    return found
