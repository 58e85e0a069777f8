"""Measures of one answer against the gold, and means with their intervals.

ROUGE-L as the ``rouge-score`` package computes it (Lin 2004; lower case, Latin letters and digits, no
stemmer). Answers are compared as SQuAD does (Rajpurkar et al. 2016): lower case, without punctuation and
articles. Leaves out what is compared with what: that is a task's business.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from statistics import fmean
from typing import TypedDict

__all__ = [
    "Interval",
    "answer_scores",
    "interval",
    "intervals",
    "is_refusal",
    "matches",
    "normalised",
    "rouge_l_recall",
    "token_f1",
    "token_recall",
    "words",
]

_ROUGE_WORD = re.compile(r"[a-z0-9]+")
_ARTICLE = re.compile(r"\b(?:a|an|the)\b")
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_\u3040-\u30ff\u3400-\u9fff]+")
_RESAMPLES = 2000


class Interval(TypedDict):
    """A mean and its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float


@lru_cache(maxsize=16_384)  # the documents of an archive are looked through for every answer
def normalised(text: str) -> str:
    """Lower case, no punctuation, no articles, single spaces."""
    plain = "".join(" " if unicodedata.category(c)[0] in "PS" else c for c in text.lower())
    return " ".join(_ARTICLE.sub(" ", plain).split())


def words(text: str) -> list[str]:
    """The words of an answer, normalised; a Chinese or Japanese character is a word."""
    return _WORD.findall(normalised(text))


def rouge_l_recall(answer: str, gold: str) -> float:
    """Longest common subsequence of words over the words of the gold answer; 0 if that has none."""
    said, wanted = (_ROUGE_WORD.findall(text.lower()) for text in (answer, gold))
    row = [0] * (len(wanted) + 1)
    for word in said:
        diagonal = 0
        for place, other in enumerate(wanted, 1):
            above = row[place]
            row[place] = diagonal + 1 if word == other else max(above, row[place - 1])
            diagonal = above
    return row[-1] / len(wanted) if wanted else 0.0


def token_recall(answer: str, gold: str) -> float:
    """The share of the gold answer's words that the answer has; 0 if it has none."""
    wanted = Counter(words(gold))
    return (wanted & Counter(words(answer))).total() / wanted.total() if wanted else 0.0


def token_f1(answer: str, gold: str) -> float:
    """Harmonic mean of recall and precision of words."""
    said, wanted = Counter(words(answer)), Counter(words(gold))
    common = (said & wanted).total()
    return 2 * common / (said.total() + wanted.total()) if common else 0.0


def matches(answer: str, gold: str) -> bool:
    """Return whether the normalised answer has the normalised gold in it, as whole words."""
    return bool(wanted := words(gold)) and f" {' '.join(wanted)} " in f" {' '.join(words(answer))} "


_QUOTED = re.compile(r'"[^"]*"|\u201c[^\u201d]*\u201d')
_REFUSAL = re.compile(
    r"\bno answer\b|insufficient information"
    r"|\b(?:don't|do not|doesn't|cannot|can't) (?:know|recall|remember|say)\b"
    r"|\bno (?:record|information|memory|mention)\b|\bnot (?:mentioned|said|stated|specified)\b|\bnot sure\b"
    r"|不知道|没有(?:找到|这|记录|提)",
    re.IGNORECASE,
)


def is_refusal(answer: str) -> bool:
    """Return whether an answer says that there is none, in its own words and not in what it quotes; an empty
    one does."""
    plain = answer.replace("\u2019", "'")
    own = _QUOTED.sub("", plain)
    return not words(plain) or _REFUSAL.search(own if words(own) else plain) is not None


def answer_scores(answer: str, gold: Sequence[str]) -> dict[str, float]:
    """The share of the gold answer that is in an answer, the best of several; with no gold, whether it was
    wrongly answered at all."""
    if not gold:
        return {"wrongly_answered": float(not is_refusal(answer))}
    return {
        "rouge_l_recall": max(rouge_l_recall(answer, one) for one in gold),
        "answer_token_recall": max(token_recall(answer, one) for one in gold),
        "token_f1": max(token_f1(answer, one) for one in gold),
        "refused": float(is_refusal(answer)),
    }


def interval(values: Sequence[float], seed: int = 0) -> Interval:
    """The mean of values and its 95 % interval by bootstrap: percentiles of the means of resamples."""
    import numpy as np

    data = np.asarray(values, np.float64)
    picks = np.random.default_rng(seed).integers(0, len(data), (_RESAMPLES, len(data)), np.int32)
    low, high = np.percentile(data[picks].mean(axis=1), (2.5, 97.5))
    return Interval(mean=round(fmean(values), 6), low=round(float(low), 6), high=round(float(high), 6))


def intervals(scores: Sequence[Mapping[str, float]], seed: int = 0) -> dict[str, Interval]:
    """Of each measure over the items that have it."""
    names = dict.fromkeys(name for one in scores for name in one)
    return {name: interval([one[name] for one in scores if name in one], seed) for name in names}
