"""The embedder that does not embed: search is lexical only. For measuring everything else without it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pagefault.embedders import Vectors

__all__ = ["NullEmbedder"]


class NullEmbedder:
    """Vectors of no dimensions, shape (len(texts), 0)."""

    fingerprint = "null"
    dimensions = 0
    scale = None

    def reads(self, text: str) -> bool:  # noqa: ARG002
        return True

    async def embed(self, texts: Sequence[str]) -> Vectors:
        return np.empty((len(texts), 0), np.float32)
