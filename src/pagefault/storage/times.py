"""Times as every table holds them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

__all__ = ["micros", "moment"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def micros(at: datetime) -> int:
    """An aware time as the tables hold it: microseconds since 1970, UTC."""
    return (at - _EPOCH) // _MICROSECOND


def moment(stored: int) -> datetime:
    """The aware UTC time that ``micros`` stored."""
    return _EPOCH + timedelta(microseconds=stored)
