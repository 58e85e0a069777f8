"""The ranker above both storages: a query becomes a match, and the rows a store finds become a ranking.

Stores filter and score by words and by vector; the order is made here, by the pure functions of
``ranking``. Leaves out showing it page by page (``functions.results``).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from functools import partial
from typing import TYPE_CHECKING

from pagefault.clock import Clock, SystemClock
from pagefault.embedders import Embedder, Scale
from pagefault.errors import PagefaultError
from pagefault.observing import Ending, ObservedSearch, Observers
from pagefault.redaction import logger_of
from pagefault.retrieval.excerpt import excerpt
from pagefault.retrieval.folding import Like, fold
from pagefault.retrieval.hits import NOTHING, Hit, Ranking, together
from pagefault.retrieval.holding import behind_successors, held
from pagefault.retrieval.phrases import adjacent
from pagefault.retrieval.query import Query, understand
from pagefault.retrieval.ranking import Weights, browse, rank
from pagefault.retrieval.remembered import Remembered
from pagefault.retrieval.reranking import Reranking
from pagefault.retrieval.service import readers, scale_in_use, vectors_of
from pagefault.retrieval.standing import wishes
from pagefault.retrieval.windows import windows
from pagefault.storage import EmbedderRecord, Filter, Match, OtherVector, Store, Transaction
from pagefault.types import AgentId, Message, Tier

if TYPE_CHECKING:  # numpy takes longer to import than all of this package
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Hit", "Like", "Ranking", "Remembered", "Retriever", "Weights", "excerpt", "fold", "windows"]

logger = logger_of(__name__)

_REMEMBERED = 8  # vectors of queries
_VECTOR_SECONDS = 3.0  # for the vector of a query
_WORDS_ALONE = Scale(1.0, 1.0, 1.0)
_Past = dict[tuple[AgentId, int], "int | None"]  # the facts that do not hold, each with the one in its place
_Searched = tuple[Ranking, _Past]
_Compared = tuple[str, "NDArray[np.float32]", Scale]  # the fingerprint, the query's vector and its scale


@dataclass(frozen=True, slots=True)
class _Asked:
    """A search: whose, for what, in the rows of these owners, as of a time (None: of now)."""

    agent: AgentId
    tier: Tier
    text: str
    filter: Filter
    owners: tuple[AgentId, ...]
    as_of: datetime | None = None


@dataclass(frozen=True, slots=True)
class Retriever:
    """Search over one store with the embedder in service. Dates in a query are read at ``clock``, in
    ``zone``. ``remembered`` may be shared with the searches of other agents."""

    store: Store
    serving: Callable[[], Awaitable[Embedder]]
    clock: Clock = field(default_factory=SystemClock)
    zone: tzinfo = UTC
    weights: Weights = field(default_factory=Weights)
    reranking: Reranking | None = None
    remembered: Remembered = field(default_factory=Remembered)
    observers: Observers = field(default_factory=Observers)
    _vectors: dict[tuple[object, ...], NDArray[np.float32]] = field(
        default_factory=dict[tuple[object, ...], "NDArray[np.float32]"]
    )

    async def search(
        self,
        agent: AgentId,
        tier: Tier,
        text: str,
        filter: Filter,
        *,
        owners: Sequence[AgentId] = (),
        again: bool = False,
        as_of: datetime | None = None,
    ) -> Ranking:
        """All rows found, best first; of equals the newer first. Without a query: all rows that pass the
        filter, newest first. ``owners``: search the rows of these instead of the agent's own. ``as_of``: only
        facts that held at this time; None: those that do not hold now are found lower (``holding``).

        ``again``: the caller wants a further page of an earlier search. It is answered from that search if
        it is remembered, so that pages stay the same while the log grows.
        """
        owners = tuple(owners) or (agent,)
        key = (agent, owners, tier, text, replace(filter, before=None), as_of)
        ranking = self.remembered.get(key) if again else None
        if ranking is None:
            asked = _Asked(agent, tier, text, filter, owners, as_of)
            ranking, past = await self._watched(asked, _VECTOR_SECONDS)
            if self.reranking and text.strip():
                ranking = await self.reranking.reordered(text, ranking, self._texts)
            ranking = behind_successors(ranking, past)
            self.remembered.keep(key, ranking)
        return ranking

    async def find(
        self,
        agent: AgentId,
        tier: Tier,
        text: str,
        filter: Filter,
        vector_seconds: float = _VECTOR_SECONDS,
        *,
        owners: Sequence[AgentId] = (),
    ) -> Ranking:
        """As ``search``, without the reranker and without further pages; by words alone if the query's vector
        takes longer."""
        asked = _Asked(agent, tier, text, filter, tuple(owners) or (agent,))
        return behind_successors(*await self._watched(asked, vector_seconds))

    async def _watched(self, asked: _Asked, seconds: float) -> _Searched:
        search = ObservedSearch(asked.agent, asked.tier, asked.owners, asked.text)
        with self.observers.watching(search) as watch:
            ranking, past = await self._found(asked, seconds)
            watch.ending = Ending(count=len(ranking))
        return ranking, past

    async def _found(self, asked: _Asked, seconds: float) -> _Searched:
        tier, filter, now = asked.tier, asked.filter, self.clock.now()
        if not asked.text.strip():
            fingerprint = (await self.serving()).fingerprint
            return await self.store.read(lambda tx: _browsed(tx, asked, fingerprint)), {}
        people, made = await self.store.read(
            lambda tx: (tx.speakers(asked.agent) if tier == "recall" else [], tx.embedders())
        )
        query = understand(asked.text, people, now.astimezone(self.zone))
        match, fingerprint, scale = await self._match(query, made, seconds)
        if match.is_empty:
            return NOTHING, {}
        past: _Past = {}

        def look(tx: Transaction, owner: AgentId) -> Ranking:
            every, texts = tx.search(owner, tier, match, filter, fingerprint), partial(tx.texts, owner, tier)
            judged = held(every, tx.fact_spans(owner) if tier == "archival" else (), now, asked.as_of)
            past.update({(owner, number): by for number, by in judged.past.items()})
            found = judged.found
            near, wished = adjacent(query, found, texts), wishes(query, found, texts, scale.floor)
            ranked = rank(tier, found, query, self.weights, scale, near, wished, judged.past)
            return ranked.owned(owner)

        return await self.store.read(
            lambda tx: together([look(tx, owner) for owner in asked.owners], self.weights.storage)
        ), past

    async def _texts(self, hits: Sequence[Hit]) -> list[str]:
        """The texts of rows, each after its speaker or title."""

        def text_of(tx: Transaction, hit: Hit) -> str:
            found = (tx.message if hit.tier == "recall" else tx.passage)(hit.owner, hit.number)
            if found is None:
                return ""
            before = f"{found.speaker}: " if isinstance(found, Message) else f"{found.title}. "
            return f"{before}{found.text}" if before[:-2] else found.text

        return await self.store.read(lambda tx: [text_of(tx, hit) for hit in hits])

    async def _match(
        self, query: Query, made: Sequence[EmbedderRecord], seconds: float
    ) -> tuple[Match, str, Scale]:
        """Return the match, the fingerprint of the vectors to compare and their scale; the match is by words
        alone if no embedder reads the query, or it fails or takes too long."""
        match = Match(query.terms, query.exact)
        embedder = await self.serving()
        try:
            compared = list[_Compared]()
            for member in readers(embedder, query.bare, query.may_be_english):
                of = member.fingerprint, query.bare, *made
                if of not in self._vectors:  # each tier is searched for the same text
                    (self._vectors[of],) = await vectors_of(member, [query.bare], seconds, made)
                compared.append((member.fingerprint, self._vectors[of], await scale_in_use(member, seconds)))
            while len(self._vectors) > _REMEMBERED:
                del self._vectors[next(iter(self._vectors))]
            if compared:
                return _with_vectors(match, *compared)
        except PagefaultError as error:
            logger.warning("searching by words alone: %s", error)
        except TimeoutError:
            logger.debug("the vector of a query is late")
        return match, embedder.fingerprint, _WORDS_ALONE


def _with_vectors(
    match: Match, first: _Compared, second: _Compared | None = None
) -> tuple[Match, str, Scale]:
    """The match with one vector, or two: the second one's cosines are put on the first one's scale, floor to
    floor and strong to strong."""
    fingerprint, vector, scale = first
    match = replace(match, vector=vector, floor=scale.floor)
    if second:
        other, its_vector, its = second
        gain = (scale.strong - scale.floor) / (its.strong - its.floor)
        match = replace(match, elsewhere=OtherVector(other, its_vector, gain, scale.floor - gain * its.floor))
    return match, fingerprint, scale


def _browsed(tx: Transaction, asked: _Asked, fingerprint: str) -> Ranking:
    """All rows that pass the filter, newest first; of several owners one after the other."""
    found = [tx.search(owner, asked.tier, Match(), asked.filter, fingerprint) for owner in asked.owners]
    if asked.as_of and asked.tier == "archival":
        pairs = zip(asked.owners, found, strict=True)
        found = [held(each, tx.fact_spans(owner), asked.as_of, asked.as_of).found for owner, each in pairs]
    pairs = zip(asked.owners, found, strict=True)
    return together([browse(asked.tier, each).owned(owner) for owner, each in pairs], 0.0)
