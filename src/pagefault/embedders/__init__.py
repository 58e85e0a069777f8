"""The embedder protocol: text to unit vectors. Adapters live beside this file.

Embedding is off a turn's critical path: rows are found lexically at once, by vector a moment later.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:  # numpy takes longer to import than all of this package
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Embedder", "Vectors"]

Vectors: TypeAlias = "NDArray[np.float32]"


class Embedder(Protocol):
    """``fingerprint`` names model and preprocessing: vectors of two fingerprints are never compared.

    ``embed`` returns an array of shape (len(texts), dimensions), rows of unit length, for any texts at all;
    (0, dimensions) for no texts. It raises ``EmbedderError`` and nothing else of its own. ``dimensions`` is 0
    for an embedder that does not embed: search is then lexical only. It is None, and 0 wide the array for no
    texts, while it is not known: a server is not asked before there is a text; after one it stays the same.
    """

    @property
    def fingerprint(self) -> str: ...

    @property
    def dimensions(self) -> int | None: ...

    async def embed(self, texts: Sequence[str]) -> Vectors: ...
