"""The ranker above both storages: a query becomes a match, what a store found becomes a ranking.

Stores filter and score by words and by vector; the order is made here, by the pure functions of
``ranking``. What is shown of it, page by page, is ``functions.results``'s business.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from anyio import move_on_after

from pagefault.embedders import Embedder
from pagefault.errors import EmbedderError
from pagefault.retrieval.excerpt import excerpt
from pagefault.retrieval.query import understand
from pagefault.retrieval.ranking import NOTHING, Hit, Ranking, Weights, rank
from pagefault.retrieval.windows import windows
from pagefault.storage import Filter, Match, Store
from pagefault.storage.terms import terms
from pagefault.types import AgentId, Tier

__all__ = ["Hit", "Ranking", "Retriever", "Weights", "excerpt", "windows"]

logger = logging.getLogger(__name__)

_PATIENCE = 3.0  # seconds for the vector of a query


@dataclass(frozen=True, slots=True)
class Retriever:
    """Search over one store with the embedder that is in service."""

    store: Store
    serving: Callable[[], Awaitable[Embedder]]
    weights: Weights = field(default_factory=Weights)

    async def search(self, agent: AgentId, tier: Tier, text: str, filter: Filter) -> Ranking:
        """All rows found, best first; of equals the newer first. No query: all that passes, newest first."""
        match, fingerprint = await self._match(text)
        if text.strip() and match.is_empty:
            return NOTHING
        found = await self.store.read(lambda tx: tx.search(agent, tier, match, filter, fingerprint))
        return rank(tier, found, self.weights)

    async def _match(self, text: str) -> tuple[Match, str]:
        """What to look for, and the fingerprint of the vectors to compare; by words alone if the embedder
        fails or takes too long."""
        if not text.strip():
            return Match(), ""
        query = understand(text)
        match = Match(query.terms, query.exact, floor=self.weights.floor)
        embedder = await self.serving()
        if embedder.dimensions != 0:
            with move_on_after(_PATIENCE):
                try:
                    return replace(match, vector=(await embedder.embed([text]))[0]), embedder.fingerprint
                except EmbedderError as error:
                    logger.warning("searching by words alone: %s", error)
        return match, embedder.fingerprint

    def is_strong(self, text: str, hit: Hit, body: str) -> bool:
        """Whether a hit is evidence enough not to look further."""
        query = understand(text)
        if query.exact or hit.parts.get("cosine", 0.0) >= self.weights.strong:
            return True
        have = set(terms(body))
        covered = sum(term in have for term in query.terms)
        return bool(query.terms) and covered >= self.weights.coverage * len(query.terms)
