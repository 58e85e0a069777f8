"""The ranker above both storages: a query becomes a match, what a store found becomes a ranking.

Stores filter and score by words and by vector; the order is made here, by the pure functions of
``ranking``. What is shown of it, page by page, is ``functions.results``'s business.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from pagefault.embedders import Embedder
from pagefault.retrieval.excerpt import excerpt
from pagefault.retrieval.query import understand
from pagefault.retrieval.ranking import NOTHING, Hit, Ranking, Weights, rank
from pagefault.retrieval.windows import windows
from pagefault.storage import Filter, Match, Store
from pagefault.storage.terms import terms
from pagefault.types import AgentId, Tier

__all__ = ["Hit", "Ranking", "Retriever", "Weights", "excerpt", "windows"]


@dataclass(frozen=True, slots=True)
class Retriever:
    """Search over one store with one embedder."""

    store: Store
    embedder: Embedder
    weights: Weights = field(default_factory=Weights)

    async def search(self, agent: AgentId, tier: Tier, text: str, filter: Filter) -> Ranking:
        """All rows found, best first; of equals the newer first. No query: all that passes, newest first."""
        match = await self._match(text)
        if text.strip() and match.is_empty:
            return NOTHING
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
        if query.exact or hit.parts.get("cosine", 0.0) >= self.weights.strong:
            return True
        have = set(terms(body))
        covered = sum(term in have for term in query.terms)
        return bool(query.terms) and covered >= self.weights.coverage * len(query.terms)
