"""The reranker protocol: how well texts answer a query, by a model that reads both together.

Adapters live beside this file. Off unless one is set; ``retrieval.reranking`` applies it to the best rows of
a ranking, within a bound of time, and goes on without it if it fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

__all__ = ["Reranker", "clean"]

_CHARACTERS = 2_000  # of a text: about what such models read of one


class Reranker(Protocol):
    """``name`` is that of the settings, for messages.

    ``scores`` returns a finite number for each text, in their order, larger for a better answer; the numbers
    of two queries are never compared. It raises ``RerankerError`` and nothing else of its own.
    """

    @property
    def name(self) -> str: ...

    async def scores(self, query: str, texts: Sequence[str]) -> Sequence[float]: ...


def clean(text: str) -> str:
    """Return the text as every model takes it: of bounded length, no NUL, no half of a surrogate pair, not
    blank."""
    found = text[:_CHARACTERS].encode(errors="replace").decode().replace("\0", " ")
    return found if found.strip() else "."
