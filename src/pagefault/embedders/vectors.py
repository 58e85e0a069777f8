"""Unit length, for the adapters that are given vectors of any. Apart, so that the protocol needs no numpy."""

from __future__ import annotations

import numpy as np

from pagefault.embedders import Vectors

__all__ = ["unit"]


def unit(vectors: Vectors) -> Vectors:
    """Rows of unit length, same shape. One without a direction, all zeros, is given the first axis."""
    exact = vectors.astype(np.float64)  # squares of what float32 holds overflow it
    lengths = np.linalg.norm(exact, axis=1, keepdims=True)
    exact[lengths[:, 0] == 0, 0] = 1.0
    return (exact / np.where(lengths == 0, 1.0, lengths)).astype(np.float32)
