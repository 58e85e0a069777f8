"""Equal rows of a ranking as one hit: a document loaded twice, boilerplate, a sentence said ten times.

Two rows are equal if their texts have the same lexical units in the same order: case, punctuation, spaces and
endings may differ, but no word and no number, for ``Invoice 1234 paid`` and ``Invoice 1235 paid`` are two
facts. A passage's title and origin may differ, a message's role and speaker may not. The hits that are looked
at are some first ones, so that the cost does not grow with the rows; those after them stay as they are.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from pagefault.retrieval.hits import Hit, Ranking
from pagefault.storage import Transaction
from pagefault.storage.terms import terms
from pagefault.types import AgentId, Tier

__all__ = ["Like", "fold"]

Like = Mapping[tuple[AgentId, Tier, int], Sequence[Hit]]
"""For a hit, by its ``key``, the hits that were folded into it, best first."""

_HITS = 200  # looked at: one text in each of two hundred documents is one hit
_START, _UNITS = 120, 4  # characters, and units of these: texts that differ there are not compared further


def fold(tx: Transaction, hits: Ranking) -> tuple[Ranking, Like]:
    """The ranking with the best of equal rows only, whoever owns them."""
    first = list(hits[:_HITS])
    texts = _texts(tx, first)
    starts = [tuple(terms(text[:_START])[:_UNITS]) for text in texts]
    count = Counter(starts)
    best: dict[object, Hit] = {}
    like: defaultdict[tuple[AgentId, Tier, int], list[Hit]] = defaultdict(list)
    gone: list[int] = []
    for place, (hit, text, start) in enumerate(zip(first, texts, starts, strict=True)):
        if start and count[start] > 1:
            kept = best.setdefault((hit.tier, _speaker(tx, hit), *terms(text)), hit)
            if kept is not hit:
                like[kept.key].append(hit)
                gone.append(place)
    return hits.without(gone), like


def _texts(tx: Transaction, hits: Sequence[Hit]) -> list[str]:
    """The text of each hit, without a passage's title; empty for one that is gone."""
    numbers: defaultdict[tuple[AgentId, Tier], list[int]] = defaultdict(list)
    for hit in hits:
        numbers[hit.owner, hit.tier].append(hit.number)
    texts = dict[tuple[AgentId, Tier, int], str]()
    for (owner, tier), of in numbers.items():
        if tier == "recall":
            texts |= {(owner, tier, number): text for number, text in tx.texts(owner, tier, of).items()}
        else:
            texts |= {(owner, tier, found.number): found.text for found in tx.passages(owner, of)}
    return [texts.get(hit.key, "") for hit in hits]


def _speaker(tx: Transaction, hit: Hit) -> tuple[str, str] | None:
    message = tx.message(hit.owner, hit.number) if hit.tier == "recall" else None
    return (message.role, message.speaker) if message else None
