"""Baselines as others build them: dense, BM25, and the two fused by reciprocal rank.

Dense: cosine of the whole text, speaker or title included, as far as the embedder reads it. BM25: SQLite's
FTS5 with its Porter stemmer, any word of the query without stop words. Fusion: Cormack et al. 2009, k 60.
"""

from __future__ import annotations

import re
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing

import numpy as np
from numpy.typing import NDArray

from pagefault.bench.retrieval.datasets import RetrievalDocument

__all__ = ["bm25", "dense", "fused"]

_WORD = re.compile(r"[^\W_]+")
_STOP_WORDS = frozenset(
    _WORD.findall(
        "a an and are as at be been but by can could did do does for from had has have he her him his how i "
        "if in is it its me my no not of on or our please she should so some that the their them then there "
        "these they this to us was we were what when where which who why will with would you your am about"
    )
)
_DEEP = 1000  # ranks that count in a fusion


def dense(vectors: NDArray[np.float32], query: NDArray[np.float32]) -> list[int]:
    """Rows by cosine. ``vectors``: shape (rows, dimensions)."""
    return [int(row) for row in np.argsort(-(vectors @ query), kind="stable")]


def bm25(documents: Sequence[RetrievalDocument], queries: Sequence[str]) -> list[list[int]]:
    """For each query the rows that match, by FTS5's BM25."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE VIRTUAL TABLE texts USING fts5(text, tokenize='porter unicode61')")
        rows = [(row, document.whole) for row, document in enumerate(documents)]
        connection.executemany("INSERT INTO texts(rowid, text) VALUES (?, ?)", rows)
        select = "SELECT rowid FROM texts WHERE texts MATCH ? ORDER BY bm25(texts), rowid"
        return [[row for (row,) in connection.execute(select, (_any_of(query),))] for query in queries]


def _any_of(query: str) -> str:
    words = list(dict.fromkeys(_WORD.findall(query.lower())))
    content = [word for word in words if word not in _STOP_WORDS] or words
    return " OR ".join(f'"{word}"' for word in content) or '""'


def fused(*rankings: Sequence[int], k: int = 60) -> list[int]:
    """Rows by the sum of 1 / (k + rank)."""
    scores: defaultdict[int, float] = defaultdict(float)
    for ranking in rankings:
        for rank, row in enumerate(ranking[:_DEEP], start=1):
            scores[row] += 1 / (k + rank)
    return sorted(scores, key=lambda row: -scores[row])
