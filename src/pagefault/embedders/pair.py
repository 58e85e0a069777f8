"""Two embedders as one choice: a strong one for English, and one for many languages.

Vectors of both are kept. The first one's are compared where it reads both the query and the row, the second
one's elsewhere, on the first one's scale; a query that is known to be in another language is compared by the
second one's alone. Leaves out that comparison (``storage.Match.elsewhere``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pagefault.containment import barrier
from pagefault.embedders import Embedder, Scale, Vectors

__all__ = ["EmbedderPair", "members_of", "reads"]


@dataclass(frozen=True, slots=True)
class EmbedderPair:
    """The pair goes by the second one's fingerprint and vectors; the first one's may be there already."""

    first: Embedder
    second: Embedder

    @property
    def fingerprint(self) -> str:
        return self.second.fingerprint

    @property
    def dimensions(self) -> int | None:
        return self.second.dimensions

    @property
    def scale(self) -> Scale | None:
        return self.second.scale

    def reads(self, text: str) -> bool:
        return reads(self.second, text)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        return await self.second.embed(texts)


def members_of(embedder: Embedder) -> tuple[Embedder, ...]:
    """The embedders that make vectors for one choice, the one compared first before the other."""
    return (embedder.first, embedder.second) if isinstance(embedder, EmbedderPair) else (embedder,)


def reads(embedder: Embedder, text: str) -> bool:
    """Return True unless the embedder refuses the text; a plug-in's may lack the method."""
    with barrier():
        return not hasattr(embedder, "reads") or bool(embedder.reads(text))
