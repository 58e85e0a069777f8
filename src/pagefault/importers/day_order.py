"""The order of day, month and year in dates such as ``3/4/24``, found from all dates of a file.

A number above 12 says it, or a year of four digits that comes first; else the order in which the dates go
forward without leaps. Left out: finding the dates in lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

__all__ = ["DayOrder", "order_of"]

Written = tuple[int, int, int]
"""A date as it is written: three numbers."""

_CENTURY = 2000
_BUDDHIST = 543  # years ahead, as phones in Thai write them
_TO_COME = 2400


@dataclass(frozen=True, slots=True)
class DayOrder:
    """The places of year, month and day in a written date. ``is_sure``: a date can be read in no other."""

    year: int
    month: int
    day: int
    is_sure: bool = True

    @property
    def name(self) -> str:
        """``day/month/year``"""
        return "/".join(name for _, name in sorted(
            ((self.year, "year"), (self.month, "month"), (self.day, "day"))
        ))  # fmt: skip

    def read(self, written: Written) -> date | None:
        """The date; None if there is none of these numbers."""
        year = written[self.year]
        year = year - _BUDDHIST if year > _TO_COME else year
        try:
            return date(year + _CENTURY if year < 100 else year, written[self.month], written[self.day])
        except ValueError:
            return None


_DMY, _MDY, _YMD = DayOrder(2, 1, 0), DayOrder(2, 0, 1), DayOrder(0, 1, 2)


def order_of(dates: Iterable[Written], today: date, *, prefers_month: bool) -> DayOrder:
    """The order in which dates are written that come in the order of time. ``prefers_month``: where nothing
    tells, the month comes first."""
    distinct = list(dict.fromkeys(dates))
    if any(first > 31 for first, _, _ in distinct):
        return _YMD
    scores = {order: _score(order, distinct, today) for order in (_DMY, _MDY)}
    (wrong_day, *rest_day), (wrong_month, *rest_month) = scores[_DMY], scores[_MDY]
    if wrong_day != wrong_month:
        return _DMY if wrong_day < wrong_month else _MDY
    if rest_day != rest_month:
        found = _DMY if rest_day < rest_month else _MDY
    else:
        found = _MDY if prefers_month else _DMY
    return DayOrder(found.year, found.month, found.day, is_sure=False)


def _score(order: DayOrder, dates: Sequence[Written], today: date) -> tuple[int, int, int]:
    """Faults of an order: dates that are none or to come; steps back; days between the first and the last."""
    read = [order.read(each) for each in dates]
    known = [each for each in read if each is not None and each <= today + timedelta(days=2)]
    back = sum(1 for before, after in pairwise(known) if after < before)
    return len(read) - len(known), back, (max(known) - min(known)).days if known else 0
