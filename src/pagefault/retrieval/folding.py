"""Equal rows of a ranking as one hit: a document loaded twice, boilerplate, a sentence said ten times.

Two rows are equal if their texts have the same lexical units in the same order: case, punctuation, spaces and
endings may differ, but no word and no number, for ``Invoice 1234 paid`` and ``Invoice 1235 paid`` are two
facts. A passage's title and origin may differ, a message's role and speaker may not. The hits that are looked
at are some first ones, so that the cost does not grow with the rows; those after them stay as they are.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from pagefault.retrieval.ranking import Hit, Ranking
from pagefault.storage import Transaction
from pagefault.storage.terms import terms
from pagefault.types import AgentId, Tier

__all__ = ["Like", "fold"]

Like = Mapping[tuple[Tier, int], Sequence[str]]
"""For a hit, by tier and number, the ids of the rows that were folded into it, best first."""

_HITS = 200  # looked at: one text in each of two hundred documents is one hit
_START, _UNITS = 120, 4  # characters, and units of these: texts that differ there are not compared further


def fold(tx: Transaction, agent: AgentId, hits: Ranking) -> tuple[Ranking, Like]:
    """The ranking with the best of equal rows only."""
    first = list(hits[:_HITS])
    texts = _texts(tx, agent, first)
    starts = [tuple(terms(text[:_START])[:_UNITS]) for text in texts]
    count = Counter(starts)
    best: dict[object, Hit] = {}
    like: defaultdict[tuple[Tier, int], list[str]] = defaultdict(list)
    gone: list[int] = []
    for place, (hit, text, start) in enumerate(zip(first, texts, starts, strict=True)):
        if start and count[start] > 1:
            kept = best.setdefault((hit.tier, _speaker(tx, agent, hit), *terms(text)), hit)
            if kept is not hit:
                like[kept.tier, kept.number].append(f"{'m' if hit.tier == 'recall' else 'p'}{hit.number}")
                gone.append(place)
    return hits.without(gone), like


def _texts(tx: Transaction, agent: AgentId, hits: Sequence[Hit]) -> list[str]:
    """The text of each hit, without a passage's title; empty for one that is gone."""
    texts = tx.texts(agent, "recall", [hit.number for hit in hits if hit.tier == "recall"])
    numbers = [hit.number for hit in hits if hit.tier == "archival"]
    passages = {passage.number: passage.text for passage in tx.passages(agent, numbers)}
    return [(texts if hit.tier == "recall" else passages).get(hit.number, "") for hit in hits]


def _speaker(tx: Transaction, agent: AgentId, hit: Hit) -> tuple[str, str] | None:
    message = tx.message(agent, hit.number) if hit.tier == "recall" else None
    return (message.role, message.speaker) if message else None
