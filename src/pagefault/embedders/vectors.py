"""Unit length, and work in a thread, for the adapters. Apart, so that the protocol needs no numpy."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import anyio.to_thread
import numpy as np

from pagefault.embedders import Vectors

__all__ = ["in_hops", "unit"]


def unit(vectors: Vectors) -> Vectors:
    """Rows of unit length, same shape. One without a direction, all zeros, is given the first axis."""
    exact = vectors.astype(np.float64)  # squares of what float32 holds overflow it
    lengths = np.linalg.norm(exact, axis=1, keepdims=True)
    exact[lengths[:, 0] == 0, 0] = 1.0
    return (exact / np.where(lengths == 0, 1.0, lengths)).astype(np.float32)


async def in_hops(
    embed: Callable[[Sequence[str]], Vectors], texts: Sequence[str], hop: int, dimensions: int
) -> Vectors:
    """The vectors that ``embed`` makes, ``hop`` texts at a time in a thread: a cancelled task waits for
    these. Shape (len(texts), dimensions)."""
    few = [texts[start : start + hop] for start in range(0, len(texts), hop)]
    vectors = [await anyio.to_thread.run_sync(embed, each) for each in few]
    return np.concatenate(vectors) if vectors else np.empty((0, dimensions), np.float32)
