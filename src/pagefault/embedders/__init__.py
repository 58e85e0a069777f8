"""The embedder protocol: text to unit vectors. Adapters live beside this file.

Embedding is off a turn's critical path: rows are found lexically at once, by vector a moment later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:  # numpy takes longer to import than all of this package
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Embedder", "Scale", "Vectors"]

Vectors: TypeAlias = "NDArray[np.float32]"


@dataclass(frozen=True, slots=True)
class Scale:
    """The meaning of an embedder's cosines.

    ``floor``: unrelated texts are seldom above it; from there on a row counts as found. ``strong``: texts
    that say much the same are above it, so a hit needs none of the query's words. ``spread``: the
    distance from mean to best cosine, below which vectors tell rows little apart.
    """

    floor: float
    strong: float
    spread: float


class Embedder(Protocol):
    """``fingerprint`` names model and preprocessing: vectors of two fingerprints are never compared.

    ``embed`` returns an array of shape (len(texts), dimensions), rows of unit length, for any texts at all;
    (0, dimensions) for no texts. It raises ``EmbedderError`` and nothing else of its own. ``dimensions`` is 0
    for an embedder that does not embed: search is then lexical only. It is None, and 0 wide the array for no
    texts, while it is not known: a server is not asked before there is a text; after one it stays the same.
    ``scale`` is as measured, or None: then, or if the member is missing, ``calibration`` finds it at the
    first use. ``reads`` is False for a text whose language the embedder does not know, so that its cosines
    would be noise: it gets no vector, be it a row or a query. If the method is missing, all texts are read.
    """

    @property
    def fingerprint(self) -> str: ...

    @property
    def dimensions(self) -> int | None: ...

    @property
    def scale(self) -> Scale | None: ...

    def reads(self, text: str) -> bool: ...

    async def embed(self, texts: Sequence[str]) -> Vectors: ...
