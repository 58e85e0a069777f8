"""The ranker above both storages: a query becomes a match, candidates become a page of hits.

A first, simple form: BM25 and cosine, each scaled to its best, added. Stores filter and score; the
order, the page and the honest total are made here.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from pagefault.embedders import Embedder
from pagefault.models.tokens import Counter
from pagefault.storage import Candidate, Filter, Match, Store
from pagefault.storage.terms import terms
from pagefault.types import AgentId, Tier

_CJK_STOP_WORDS = "的了吗呢吧啊是我你他她它在有和就也都什么还记得请谁哪几怎"
_STOP_WORDS = frozenset(
    terms(
        "a an and are as at be been but by can could did do does for from had has have he her him his how i "
        "if in is it its me my no not of on or our please she should so some that the their them then there "
        "these they this to us was we were what when where which who why will with would you your am about "
        "hey remember talked talk said mentioned mention tell told know just ever s t m d ll re ve"
    )
).union(_CJK_STOP_WORDS, ("什么", "我的", "你的", "记得", "怎么"))
_QUOTED = re.compile(r'"([^"]+)"|“([^”]+)”|「([^」]+)」')
_IDENTIFIER = re.compile(
    r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"  # a UUID
    r"|(?<![\w])(?=[\w.:/-]*\d)[A-Za-z0-9](?:[\w.:/-]*[A-Za-z0-9])?(?![\w])",  # a word with a digit in it
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Weights:
    """The ranker's constants. ``floor``: the cosine from which a row counts as found at all; ``strong``:
    from which a hit counts as evidence even without the query's words."""

    lexical: float = 1.0
    dense: float = 1.0
    floor: float = 0.35
    strong: float = 0.60
    coverage: float = 0.60  # share of the query's terms a strong lexical hit has


@dataclass(frozen=True, slots=True)
class Hit:
    """A found row: its number in its tier, its time, its score and the score's parts."""

    tier: Tier
    number: int
    at: datetime
    score: float
    candidate: Candidate


@dataclass(frozen=True, slots=True)
class Query:
    """A query as understood: text, its terms without stop words, what must match exactly."""

    text: str
    terms: tuple[str, ...]
    exact: tuple[tuple[str, ...], ...]


def understand(text: str) -> Query:
    """Split a query into terms to match and sequences that must be there (quoted text, codes, numbers)."""
    quoted = [next(group for group in found if group) for found in _QUOTED.findall(text)]
    bare = _QUOTED.sub(" ", text)
    exact = [terms(item) for item in (*quoted, *_IDENTIFIER.findall(bare))]
    units = list(dict.fromkeys(terms(bare)))
    content = [unit for unit in units if unit not in _STOP_WORDS] or units
    return Query(text, tuple(content), tuple(tuple(item) for item in exact if item))


@dataclass(frozen=True, slots=True)
class Retriever:
    """Search over one store with one embedder."""

    store: Store
    embedder: Embedder
    weights: Weights = field(default_factory=Weights)

    async def search(self, agent: AgentId, tier: Tier, text: str, filter: Filter) -> list[Hit]:
        """All rows found, best first; of equals the newer first. No query: all that passes, newest first."""
        match = await self._match(text)
        if text.strip() and not (match.terms or match.exact or match.vector is not None):
            return []
        found = await self.store.read(
            lambda tx: tx.search(agent, tier, match, filter, self.embedder.fingerprint)
        )
        return rank(tier, found, self.weights)

    async def _match(self, text: str) -> Match:
        if not text.strip():
            return Match()
        query = understand(text)
        match = Match(query.terms, query.exact, floor=self.weights.floor)
        if self.embedder.dimensions == 0:
            return match
        return replace(match, vector=(await self.embedder.embed([text]))[0])

    def is_strong(self, text: str, hit: Hit, body: str) -> bool:
        """Whether a hit is evidence enough not to look further."""
        query = understand(text)
        if query.exact or (hit.candidate.cosine or 0.0) >= self.weights.strong:
            return True
        have = set(terms(body))
        covered = sum(term in have for term in query.terms)
        return bool(query.terms) and covered >= self.weights.coverage * len(query.terms)


def rank(tier: Tier, found: Sequence[Candidate], weights: Weights) -> list[Hit]:
    """Order candidates by the scaled sum of their score parts."""
    best_lexical = max((c.lexical for c in found), default=0.0) or 1.0
    best_cosine = max((c.cosine or 0.0 for c in found), default=0.0) or 1.0

    def score(c: Candidate) -> float:
        dense = max(0.0, c.cosine or 0.0) / best_cosine
        return round(weights.lexical * c.lexical / best_lexical + weights.dense * dense, 6)

    hits = [Hit(tier, c.number, c.at, score(c), c) for c in found]
    return sorted(hits, key=lambda hit: (-hit.score, -hit.number))


def excerpt(text: str, query: str, size: int, counter: Counter) -> str:
    """One line of at most about ``size`` tokens from where the query's terms stand closest together."""
    line = " ".join(text.split())
    total = counter.count(line)
    if total <= size:
        return line
    width = max(20, len(line) * size // total)
    wanted = set(understand(query).terms) if query.strip() else set[str]()
    places = [m.start() for m in _WORD.finditer(line) if wanted and wanted.intersection(terms(m.group()))]
    crowd = [bisect_left(places, at + width) - i for i, at in enumerate(places)]
    start = places[crowd.index(max(crowd))] if places else 0
    start = 0 if start < width // 2 else min(start - width // 4, len(line) - width)
    cut = line[start : start + width]
    if start and " " in cut[:20]:
        cut = cut[cut.index(" ") + 1 :]
    return ("…" if start else "") + cut.strip() + ("…" if start + width < len(line) else "")
