"""The usage of requests as a store gives it back: row by row, and summed by time, model and price tier.

The sums are kept in the transaction that appends rows, so that the usage of a year is read without the log.
They follow from the log: a check adds them up again. Leaves out money (``models.prices``).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import astuple, dataclass, replace
from datetime import UTC, datetime, timedelta

from pagefault.message_meta import RequestUsage, Usage
from pagefault.types import Role

__all__ = ["QUARTER", "RowUsage", "UsageTotal", "add_up", "merged", "whole_quarters", "without"]

QUARTER = timedelta(minutes=15)
"""The period of a stored total. Every time zone's midnight is at the start of one."""

_TIERS = (0, 32_000, 100_000, 128_000, 199_999, 200_000, 256_000, 272_000, 512_000, 524_288)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class RowUsage:
    """The usage of requests as a row of the log has it (``Message.usage``), with the row's place: no text."""

    seq: int
    at: datetime
    event: int | None
    role: Role
    usage: tuple[RequestUsage, ...]


@dataclass(frozen=True, slots=True)
class UsageTotal:
    """Sums over the requests of a period that one model answered.

    ``start``: when the period begins. ``model``, ``answered``: as in ``RequestUsage``. ``tier``: each of the
    requests had more input tokens than this, and no more than the next limit at which a provider changes its
    prices; within a tier the price of a sum is the sum of the prices. ``estimated``: requests of which the
    provider reported nothing. ``measured``: requests of which our own count can be compared with the report;
    ``off``: the sum, over these, of the error of our count in millionths (above 0: it counts too many).
    """

    start: datetime
    model: str
    answered: str
    tier: int
    requests: int
    estimated: int
    usage: Usage
    measured: int
    off: int


def add_up(rows: Iterable[RowUsage], step: timedelta = QUARTER) -> list[UsageTotal]:
    """The totals of rows by period of length ``step`` since 1970, in order of time, then model."""
    return merged((_of_request(row.at, request) for row in rows for request in row.usage), step)


def merged(totals: Iterable[UsageTotal], step: timedelta) -> list[UsageTotal]:
    """Totals of longer periods: those of one period, model and tier as one."""
    found: dict[tuple[datetime, str, str, int], UsageTotal] = {}
    for total in totals:
        start = total.start - (total.start - _EPOCH) % step
        key = (start, total.model, total.answered, total.tier)
        found[key] = _sum(found[key], total) if key in found else replace(total, start=start)
    return [found[key] for key in sorted(found)]


def without(totals: Iterable[UsageTotal], others: Iterable[UsageTotal]) -> list[UsageTotal]:
    """Totals less those of others, which are a part of them, of the same periods; none of no request."""
    taken = {(each.start, each.model, each.answered, each.tier): each for each in others}
    left = (
        _sum(each, taken[key], -1) if key in taken else each
        for each in totals
        for key in ((each.start, each.model, each.answered, each.tier),)
    )
    return [each for each in left if each.requests]


def _of_request(at: datetime, request: RequestUsage) -> UsageTotal:
    tier = _TIERS[max(0, bisect_left(_TIERS, request.usage.input) - 1)]
    ratio = request.ratio
    off = round(1e6 * (1 / ratio - 1)) if ratio else 0
    return UsageTotal(
        at,
        request.model,
        request.answered,
        tier,
        1,
        int(request.estimated),
        request.usage,
        int(bool(ratio)),
        off,
    )


def _sum(one: UsageTotal, other: UsageTotal, sign: int = 1) -> UsageTotal:
    pairs = zip(astuple(one.usage), astuple(other.usage), strict=True)
    return replace(
        one,
        requests=one.requests + sign * other.requests,
        estimated=one.estimated + sign * other.estimated,
        usage=Usage(*(mine + sign * more for mine, more in pairs)),
        measured=one.measured + sign * other.measured,
        off=one.off + sign * other.off,
    )


def whole_quarters(since: datetime | None, until: datetime | None) -> tuple[datetime | None, datetime | None]:
    """The part of a time that whole quarters of an hour make up; the start is behind the end if none does."""
    start = None if since is None else since + (_EPOCH - since) % QUARTER
    end = None if until is None else until - (until - _EPOCH) % QUARTER
    return start, end
