"""The rows that match: filter, words, exact text and vectors brought together as ``storage.Found``.

Of a small storage every row becomes a candidate, so that the ranker sees it all. Of a large one the best
matches by words and the nearest by vector do, with their neighbours. Leaves out the ranking itself
(``pagefault.retrieval``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial, reduce

import numpy as np
from numpy.typing import NDArray

from pagefault.storage import Filter, Found, Match
from pagefault.storage.index import IndexSource, Numbers, Postings
from pagefault.storage.index.cache import IndexCache
from pagefault.storage.index.columns import ROLES, IndexView
from pagefault.storage.index.comparing import Comparison, PairComparison, comparison
from pagefault.storage.index.lexical import bm25, once_each, places
from pagefault.types import SEARCHED_BY_DEFAULT, AgentId, Tier

__all__ = ["search"]

# Of a storage that is not small:
_BEST = 200  # candidates by words, and as many by vector
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_Mask = NDArray[np.bool_]
_Floats = NDArray[np.float32]


def search(
    source: IndexSource,
    cache: IndexCache,
    agent: AgentId,
    tier: Tier,
    match: Match,
    filter: Filter,
    fingerprint: str,
) -> Found:
    """See ``storage.Transaction.search``."""
    view = cache.view(source, agent, tier, fingerprint, with_vectors=match.vector is not None)
    may_show = _passing(view, source, agent, tier, filter)
    if match.is_empty:
        return _every(view, may_show)
    phrases = [list(phrase) for phrase in match.exact if phrase]
    needed = {unit for phrase in phrases for unit in phrase}
    asked = sorted(needed.union(match.terms))
    postings = source.postings(agent, tier, asked)
    whole = once_each(asked, postings, view.counters)
    if phrases:
        having = _having(postings, needed)  # none: a phrase may be no word of the index, but syntax
        may_show &= _rows_of(view, source.containing(agent, tier, phrases, having) if len(having) else having)
    lexical = bm25(postings, view.counters, view.number, view.units)
    matched = may_show.copy() if phrases else lexical > 0
    vectors = comparison(view, source, cache, agent, tier, match, fingerprint)
    if len(view.number) <= cache.small and view.signs is None and view.sealed is None:
        rows = np.flatnonzero(may_show | view.default)
        return _found(view, rows, may_show, matched, lexical, vectors.cosines(rows), whole, match.floor)
    rest = may_show & matched
    by_words = np.flatnonzero(rest)
    core = np.union1d(by_words[_best(lexical[by_words], _BEST)], _nearest(vectors, may_show))
    rows = _with_neighbours(view, core)
    rest[rows] = False
    others = np.flatnonzero(rest)
    more = view.number[others[_descending(lexical[others])]]
    return _found(view, rows, may_show, matched, lexical, vectors.cosines(rows), whole, match.floor, more)


def _passing(view: IndexView, source: IndexSource, agent: AgentId, tier: Tier, filter: Filter) -> _Mask:
    if tier == "recall":
        wanted = np.zeros(len(ROLES), np.bool_)
        wanted[[ROLES[role] for role in filter.roles]] = True
        passes = view.default.copy() if filter.roles == SEARCHED_BY_DEFAULT else wanted[view.role]
        if filter.speaker is not None:
            known = view.speakers.index(filter.speaker) if filter.speaker in view.speakers else -1
            passes &= view.speaker == known
    else:
        passes = view.alive.copy()
        if filter.tags:
            passes &= _rows_of(view, source.tagged(agent, sorted(set(filter.tags))))
    if filter.before is not None:
        passes[np.searchsorted(view.number, filter.before) :] = False
    if filter.since is not None:
        passes &= view.at >= (filter.since - _EPOCH) // _MICROSECOND
    if filter.until is not None:
        passes &= view.at < (filter.until - _EPOCH) // _MICROSECOND
    if filter.session is not None:
        passes &= view.session == filter.session
    return passes


def _having(postings: Mapping[str, Postings], units: Iterable[str]) -> Numbers:
    """The numbers of the rows that have all these units."""
    if not postings.keys() >= set(units):
        return np.empty(0, np.int64)
    rarest, *others = sorted((postings[unit].numbers for unit in units), key=len)
    return reduce(partial(np.intersect1d, assume_unique=True), others, rarest)


def _rows_of(view: IndexView, numbers: Numbers) -> _Mask:
    """The rows with these ascending numbers, as a mask."""
    mask = np.zeros(len(view.number), np.bool_)
    mask[places(view.number, numbers)[0]] = True
    return mask


def _nearest(vectors: Comparison | PairComparison, may_show: _Mask) -> Numbers:
    """The rows nearest to the match's vector, of those that may be shown."""
    rows = vectors.nearest(may_show, _BEST)
    return rows[_best(np.nan_to_num(vectors.cosines(rows), nan=-1.0), _BEST)]


def _with_neighbours(view: IndexView, core: Numbers) -> Numbers:
    """The rows and those beside them, ascending."""
    position = view.position[core]
    beside = np.concatenate((position[position > 0] - 1, position[position >= 0] + 1))
    context = view.searched[beside[beside < len(view.searched)]]
    return np.union1d(core, context[view.alive[context]])


def _best(scores: _Floats, count: int) -> Numbers:
    """Indices of the ``count`` highest scores, in no order."""
    if len(scores) <= count:
        return np.arange(len(scores))
    return np.argpartition(scores, len(scores) - count)[-count:]


def _descending(scores: _Floats) -> Numbers:
    """Indices in the order of these scores, none negative, highest first; of equal ones the earlier first.

    Such floats sort as their bits do, and by 16 of these at a time NumPy sorts in linear time.
    """
    bits = ~scores.view(np.uint32)
    order = np.argsort(bits.astype(np.uint16), kind="stable")
    return order[np.argsort((bits >> 16).astype(np.uint16)[order], kind="stable")]


def _every(view: IndexView, may_show: _Mask) -> Found:
    """All rows. Unless some are deleted these are views of the columns: nothing is copied."""
    total = len(view.number)
    zeros, unknown = np.broadcast_to(np.float32(0), total), np.broadcast_to(np.float32(np.nan), total)
    if not view.alive.all():
        return _found(view, np.flatnonzero(view.alive), may_show, may_show, zeros, unknown[view.alive], 0.0)
    return Found(
        view.number, view.position, view.session, view.at, view.speaker, view.own, view.units, view.question,
        zeros, unknown, may_show, may_show, view.speakers, np.empty(0, np.int64), 0.0,
    )  # fmt: skip


def _found(
    view: IndexView,
    rows: Numbers,
    may_show: _Mask,
    matched: _Mask,
    lexical: _Floats,
    cosine: _Floats,
    whole: float,
    floor: float = 1.0,
    more: Numbers | None = None,
) -> Found:
    with np.errstate(invalid="ignore"):
        near = cosine >= floor
    return Found(
        view.number[rows], view.position[rows], view.session[rows], view.at[rows], view.speaker[rows],
        view.own[rows], view.units[rows], view.question[rows], lexical[rows], cosine,
        matched[rows] | near, may_show[rows], view.speakers,
        np.empty(0, np.int64) if more is None else more, whole,
    )  # fmt: skip
