"""When facts hold, in a search: what does not hold then is left out, or stands below what does.

A fact holds from the time that was said, else from when it was noted, until the time that was said or another
fact took its place. Of a search of now (no time was asked for) what does not hold stays, lower, and behind
what took its place if that is found too. Of a search of another time what did not hold then is left out;
chunks of documents are not facts, and stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from pagefault.retrieval.hits import TIERS, Ranking
from pagefault.storage import Found
from pagefault.storage.tidying import FactSpan
from pagefault.types import AgentId

__all__ = ["Held", "behind_successors", "held"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_STEP = 1e-6  # of places in a ranking: less than one, however many follow one another
_ARCHIVAL = TIERS.index("archival")


@dataclass(frozen=True, slots=True)
class Held:
    """The rows found without those left out. ``past``: the numbers of those that do not hold now, each with
    that of the fact in its place, if there is one."""

    found: Found
    past: Mapping[int, int | None] = field(default_factory=dict[int, "int | None"])


def held(found: Found, spans: Sequence[FactSpan], now: datetime, as_of: datetime | None) -> Held:
    """Judge the rows of an archival storage by when they hold; ``as_of``: the time that was asked for."""
    if as_of is None:
        return Held(found, {span.number: span.superseded for span in spans if not _holds(span, now)})
    noted = (found.session > 0) | (found.at <= (as_of - _EPOCH) // _MICROSECOND)
    limited = {span.number: span for span in spans}
    for row in np.flatnonzero(np.isin(found.number, list(limited))).tolist():
        span = limited[int(found.number[row])]
        noted[row] = (noted[row] or span.valid_from is not None) and _is_of(span, as_of)
    gone = [span.number for span in spans if not _is_of(span, as_of)]
    more = found.more[~np.isin(found.more, gone)]
    doubles = {span.number: span.superseded for span in spans if _is_double(span)}
    return Held(replace(found, may_show=found.may_show & noted, more=more), doubles)


def _holds(span: FactSpan, at: datetime) -> bool:
    """Return whether a fact holds at a time and is no double."""
    return _is_of(span, at) and not _is_double(span)


def _is_of(span: FactSpan, at: datetime) -> bool:
    return (span.valid_from is None or span.valid_from <= at) and (span.ends is None or span.ends > at)


def _is_double(span: FactSpan) -> bool:
    return span.superseded is not None and span.ended is None


def behind_successors(ranking: Ranking, past: Mapping[tuple[AgentId, int], int | None]) -> Ranking:
    """The ranking with each fact that does not hold behind the one in its place, where both are found."""
    followed = {key: by for key, by in past.items() if by is not None}
    if not followed:
        return ranking
    numbers = np.array(sorted({n for (_, n), by in followed.items() for n in (n, by)}), np.int64)
    order = ranking.order
    near = np.isin(ranking.number[order], numbers) & (ranking.tier[order] == _ARCHIVAL)
    places = {
        (AgentId(int(ranking.owner[order[place]])), int(ranking.number[order[place]])): float(place)
        for place in np.flatnonzero(near).tolist()
    }
    moved = np.arange(len(order), dtype=np.float64)
    for owner, number in followed:
        if (owner, number) in places:
            moved[int(places[owner, number])] = _place(owner, number, places, followed)
    return replace(ranking, order=order[np.argsort(moved, kind="stable")])


def _place(
    owner: AgentId,
    number: int,
    places: Mapping[tuple[AgentId, int], float],
    followed: Mapping[tuple[AgentId, int], int | None],
) -> float:
    """The place of a fact, behind all that follow it that were found."""
    place, steps, seen = places[owner, number], 0, {number}
    by = followed.get((owner, number))
    while by is not None and by not in seen:
        steps += 1
        seen.add(by)
        if (owner, by) in places:
            place = max(place, places[owner, by] + 0.5)
        by = followed.get((owner, by))
    return place + steps * _STEP
