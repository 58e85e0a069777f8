"""The rules of retention: how long rows of each kind are kept.

Left out: keeping to them (``kernel.forgetting.retention``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator

__all__ = ["Keep", "KeptKind", "kept_for"]

KeptKind = Literal["messages", "passages", "documents", "sections"]
"""The kinds: rows of the log with their events, facts, loaded documents, earlier versions of sections."""

_AGE = re.compile(r"([1-9]\d{0,5}) ?(h|d|w|y)", re.ASCII)
_HOURS = {"h": 1, "d": 24, "w": 7 * 24, "y": 365 * 24}
_LONGEST = 100 * _HOURS["y"]


def kept_for(age: str) -> timedelta:
    """The time that ``400d`` is, or hours, weeks, or years of 365 days, up to 100 years; ``ValueError`` if it
    is none."""
    found = _AGE.fullmatch(age.strip())
    hours = int(found[1]) * _HOURS[found[2]] if found else 0
    if not 0 < hours <= _LONGEST:
        raise ValueError(
            f"{age[:32]!r} is no time to keep something for; write 36h, 400d, 8w or 2y, up to 100y."
        )
    return timedelta(hours=hours)


def _checked(keep: Mapping[KeptKind, str]) -> Mapping[KeptKind, str]:
    for age in keep.values():
        kept_for(age)
    return keep


Keep = Annotated[Mapping[KeptKind, str], AfterValidator(_checked)]
"""The time that rows of each kind are kept, as ``kept_for`` reads it; for ever, if a kind is not there."""
