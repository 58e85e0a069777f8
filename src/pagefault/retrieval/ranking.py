"""The ranker's formula: from the rows a store found and a query, an order of rows and the reasons for it.

Every part is a small pure function over columns, and every constant stands in ``Weights``. Nothing is trained
and nothing is stored; docs/retrieval.md derives the form and measures each part.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from pagefault.embedders import Scale
from pagefault.retrieval.hits import PARTS, TIERS, Floats, Ranking
from pagefault.retrieval.query import Query
from pagefault.storage import Found
from pagefault.types import Tier

__all__ = ["Weights", "browse", "rank"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DAY = 86_400e6  # microseconds
_FIRST = 5  # rows of a ranking that say how much it has; the best one by words may lack the vector


@dataclass(frozen=True, slots=True)
class Weights:
    """All constants but those of cosines, which are the embedder's (``embedders.Scale``). Unless another
    source is named, tuned on half of the groups of nine sets and reported on the other half
    (docs/retrieval.md). Scores are in units of the best row's lexical part, which is 1."""

    lexical: float = 1.0  # the best lexical row: the unit of all others
    phrase: float = 2.0  # a row that has the query word for word: more than ``dense``, which knows no words
    dense: float = 1.5  # the most similar row
    lexical_near: float = 0.5  # share of a neighbouring turn's BM25: an answer stands beside its question
    cosine_near: float = 0.1  # share of the cosine of each row one or two turns away
    reach: int = 2  # how far ``cosine_near`` goes, in turns
    speaker: float = 0.5  # the one person named in the query said it
    subject: float = 0.3  # of two people named, the first one without a possessive said it
    assistant: float = 0.3  # taken from the assistant's rows; added if asked what "you said"
    people: float = 1.5  # taken from the assistant's rows if asked in what order people brought things up
    wish: float = 1.0  # people state a preference or a standing instruction, and advice is asked
    question: float = 0.3  # taken from a short row that asks
    short: int = 40  # lexical units up to which a row that ends in a question mark is nothing but a question
    long: float = 0.2  # taken per e-fold of length above ``long_from``
    long_from: int = 150  # lexical units
    date: float = 1.3  # the row is of a time that the query names
    before: float = 1.0  # days before such a time at which nothing is left of ``date``
    after: float = 5.0  # and days after: people tell what happened
    session: float = 0.3  # share of the session's score that each of its rows gets
    sharpness: float = 4.0  # how much a session's best rows make up its score; 0 would be their mean
    past: float = 0.5  # taken from a fact that does not hold now (set, not tuned)
    floor_near: float = 0.6  # share of the floor for a row beside one that has a word of the query
    storage: float = 1.2  # a storage gains over one whose best cosine is ``floor`` if its own is ``strong``


def rank(
    tier: Tier,
    found: Found,
    query: Query,
    weights: Weights,
    scale: Scale,
    adjacent: Mapping[int, float],
    wished: Collection[int] = (),
    past: Collection[int] = (),
) -> Ranking:
    """The rows found, best first and of equals the later one first. ``scale``: of the cosines; ``adjacent``:
    see ``phrases``; ``wished``: rows that state a wish, see ``standing``; ``past``: facts that do not hold
    now, see ``holding``."""
    steps = _steps(found, weights.reach)
    near = found.lexical
    if tier == "recall":  # a passage's neighbours are other text, or overlap with it
        near = near + weights.lexical_near * _beside(near, steps[:1])
    lexical = np.float32(weights.lexical) * near / np.maximum(near.max(initial=0.0), np.float32(1e-6))
    phrase = weights.phrase * _phrase(found, adjacent)
    dense = weights.dense * _dense(found, steps, weights, scale)
    prior = _prior(found, query, weights)
    if past:
        prior = prior - np.float32(weights.past) * np.isin(found.number, list(past))
    date, in_range = _dated(found, query, weights)
    own = lexical + phrase + dense + prior + date
    session = weights.session * _of_session(own, found.session, weights.sharpness)
    unlike = found.cosine < weights.floor_near * scale.floor  # without a vector nothing speaks against a row
    beside = (near > 0) & ~unlike
    wish = np.float32(weights.wish) * np.isin(found.number, list(wished))
    score = own + session + wish
    rows = np.flatnonzero(found.may_show & (found.matched | beside | in_range))[::-1]
    rows = rows[np.argsort(-score[rows], kind="stable")]
    parts = (lexical, phrase, dense, prior, wish, date, session, found.lexical, found.cosine)
    ranked = _ranking(tier, found, rows, score[rows], np.stack(parts, axis=1)[rows])
    nearest = np.fmax.reduce(found.cosine[rows[:_FIRST]], initial=np.nan)
    ahead = weights.storage * (nearest - scale.floor) / max(scale.strong - scale.floor, 1e-6)
    words = float(min(1.0, near.max(initial=0.0) / max(found.whole, 1e-6)))
    return replace(ranked, evidence=float(ahead), words=words)


def browse(tier: Tier, found: Found) -> Ranking:
    """All rows that may be shown, newest first: of recall by their dates, for what was said elsewhere is in
    the log where it was appended."""
    total, rows = len(found.number), np.flatnonzero(found.may_show)[::-1]
    if tier == "recall":
        rows = rows[np.argsort(-found.at[rows], kind="stable")]
    return Ranking(
        np.broadcast_to(np.uint8(TIERS.index(tier)), total),
        found.number,
        found.session,
        np.broadcast_to(np.float32(0), total),
        np.broadcast_to(np.float32(np.nan), (total, len(PARTS))),
        rows,
    )


def _ranking(tier: Tier, found: Found, rows: NDArray[np.intp], score: Floats, parts: Floats) -> Ranking:
    """The rows in this order, then the matches that were not among the candidates."""
    number = np.concatenate((found.number[rows], found.more))
    rest = len(found.more)
    return Ranking(
        np.broadcast_to(np.uint8(TIERS.index(tier)), len(number)),
        number,
        np.concatenate((found.session[rows], np.zeros(rest, np.int64))),
        np.concatenate((score, np.full(rest, score.min(initial=0.0), np.float32))),
        np.concatenate((parts, np.broadcast_to(np.float32(np.nan), (rest, len(PARTS))))),
        np.arange(len(number)),
    )


def _steps(found: Found, reach: int) -> list[NDArray[np.bool_]]:
    """Masks for 1 to ``reach``: row i and row i + step are that many turns apart in one session."""
    position, session = found.position, found.session
    return [
        (position[step:] - position[:-step] == step)
        & (session[step:] == session[:-step])
        & (session[step:] > 0)
        for step in range(1, reach + 1)
    ]


def _beside(values: Floats, steps: Sequence[NDArray[np.bool_]]) -> Floats:
    """The sum of each row's neighbours."""
    total = np.zeros_like(values)
    for step, together in enumerate(steps, start=1):
        total[step:] += values[:-step] * together
        total[:-step] += values[step:] * together
    return total


def _phrase(found: Found, adjacent: Mapping[int, float]) -> Floats:
    """The square of each share: half of a phrase says much less than all of it."""
    phrase = np.zeros(len(found.number), np.float32)
    phrase[np.searchsorted(found.number, list(adjacent))] = np.square(list(adjacent.values()))
    return phrase


def _dense(found: Found, steps: Sequence[NDArray[np.bool_]], weights: Weights, scale: Scale) -> Floats:
    """Cosines with their neighbours', from 0 for the mean to 1 for the best."""
    if np.isnan(found.cosine).all():
        return np.zeros_like(found.cosine)
    filled = _expected(found, scale)
    blended = filled + weights.cosine_near * _beside(filled, steps)
    mean = blended.mean()
    return (blended - mean) / np.maximum(blended.max() - mean, np.float32(scale.spread))


def _expected(found: Found, scale: Scale) -> Floats:
    """The cosines, and for rows without one what their words let expect: from the mean of those known, for a
    row without a word of the query, to the best for one with all of them.

    So a few rows with vectors do not come first because they have them. A best that is no evidence is taken
    as ``strong``."""
    known = ~np.isnan(found.cosine)
    if known.all():
        return found.cosine
    mean, best = found.cosine[known].mean(), found.cosine[known].max()
    words = np.minimum(found.lexical / np.float32(max(found.whole, 1e-6)), 1)
    return np.where(known, found.cosine, mean + words * (np.maximum(best, np.float32(scale.strong)) - mean))


def _prior(found: Found, query: Query, weights: Weights) -> Floats:
    """The part of the score that depends on the speaker and on the kind of text."""
    prior = np.where(found.question & (found.units < weights.short), np.float32(-weights.question), 0)
    long = np.flatnonzero(found.units > weights.long_from)
    prior[long] -= weights.long * np.log(found.units[long] / weights.long_from)
    if query.subject in found.speakers:
        gain = weights.speaker if query.is_one_named else weights.subject
        prior += gain * (found.speaker == found.speakers.index(query.subject))
    prior += _assistant(query, weights) * found.own
    return prior.astype(np.float32)


def _assistant(query: Query, weights: Weights) -> float:
    """The share for the assistant's rows: more for what "you said" and for a summary, to which its long turns
    are near; least for an order of events, which people bring up."""
    if query.asks_assistant or query.asking.kind == "summary":
        return weights.assistant
    return -weights.people if query.asking.kind == "order" else -weights.assistant


def _dated(found: Found, query: Query, weights: Weights) -> tuple[Floats, NDArray[np.bool_]]:
    """The closeness of each row to a time that the query names, and the rows in a day or month it names."""
    near = np.zeros(len(found.number), np.float32)
    inside = np.zeros(len(found.number), np.bool_)
    for span in query.dates:
        start, end = ((at - _EPOCH) // _MICROSECOND for at in (span.start, span.end))
        early = (start - found.at) / (weights.before * _DAY)
        late = (found.at - end) / (weights.after * _DAY)
        distance = np.maximum(np.maximum(early, late), 0)
        near = np.maximum(near, 1 - distance, dtype=np.float32)
        if span.is_narrow:
            inside |= distance < 1
    return weights.date * near, inside


def _of_session(own: Floats, session: NDArray[np.int64], sharpness: float) -> Floats:
    """The soft maximum (log-mean-exp) of the scores of each row's session; 0 for a row without one."""
    if not (session > 0).any():
        return np.zeros_like(own)
    starts = np.flatnonzero(np.diff(session, prepend=session[0] - 1))
    counts = np.diff(starts, append=len(own))
    mean = np.add.reduceat(np.exp(sharpness * own), starts) / counts
    soft = (np.log(mean) / sharpness).astype(np.float32)
    return np.where(session > 0, np.repeat(soft, counts), np.float32(0))
