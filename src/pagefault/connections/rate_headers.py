"""The headers by which servers say how long to wait.

``retry-after``, in seconds or as a date, and ``retry-after-ms``; the rate limits of OpenAI, Groq, Anthropic,
OpenRouter and of the IETF's draft, whose times are spans (``6m0s``), seconds, dates or moments. Left out: the
rates themselves, which are learnt by trying.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite

__all__ = ["pause_until_reset", "retry_after"]

_SPAN = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:([\d.]+)s)?(?:([\d.]+)ms)?")
_UNITS = (86_400.0, 3600.0, 60.0, 1.0, 1e-3)
_KINDS = ("requests", "tokens", "input-tokens", "output-tokens")
_NAMES = (  # what remains, and when all is there again
    *((f"x-ratelimit-remaining-{kind}", f"x-ratelimit-reset-{kind}") for kind in _KINDS),
    *((f"anthropic-ratelimit-{kind}-remaining", f"anthropic-ratelimit-{kind}-reset") for kind in _KINDS),
    ("x-ratelimit-remaining", "x-ratelimit-reset"),
    ("ratelimit-remaining", "ratelimit-reset"),
)
_A_MOMENT = (
    1e9  # a number from here on is a moment in seconds, and a thousand times as much one in milliseconds
)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds for which a server that refused asks to wait; None if it does not say."""
    lower = {name.lower(): value.strip() for name, value in headers.items()}
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        seconds = _seconds(lower.get(name, ""))
        if seconds is not None:
            return seconds * unit
    resets = dict(_resets(lower))
    return max([wait for wait, left in resets.items() if left <= 0] or list(resets), default=None)


def pause_until_reset(headers: Mapping[str, str]) -> float | None:
    """Return the seconds until a server answers again, if this answer was the last that its limit allows."""
    lower = {name.lower(): value.strip() for name, value in headers.items()}
    return max((wait for wait, left in _resets(lower) if left <= 0), default=None)


def _resets(headers: Mapping[str, str]) -> Iterator[tuple[float, float]]:
    """Yield of each limit the seconds until it is reset, and what remains of it (1 if that is not said)."""
    for remaining, reset in _NAMES:
        wait = _seconds(headers.get(reset, ""))
        if wait is not None:
            try:
                yield wait, float(headers.get(remaining, "1"))
            except ValueError:
                continue


def _seconds(text: str) -> float | None:
    """Return the seconds from now that a value means."""
    now = datetime.now(UTC)
    try:
        number = float(text)
    except ValueError:
        return _from_words(text, now)
    if not isfinite(number):
        return None
    if number >= _A_MOMENT:
        number = (number / 1e3 if number >= 1e3 * _A_MOMENT else number) - now.timestamp()
    return max(0.0, number)


def _from_words(text: str, now: datetime) -> float | None:
    if text and (span := _SPAN.fullmatch(text)):
        try:
            return sum(float(part) * unit for part, unit in zip(span.groups(), _UNITS, strict=True) if part)
        except ValueError:  # two points
            return None
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = read(text)
        except ValueError:
            continue
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(0.0, (moment - now).total_seconds())
    return None
