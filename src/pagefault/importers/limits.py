"""The limits of sections that come from elsewhere, made to fit a window. Pure."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["SHARE", "fitted"]

SHARE = 0.25
"""The share of the window for all sections whose limits are not granted as they are."""


def fitted(needed: Sequence[int], wanted: Sequence[int], budget: int) -> list[int]:
    """The limits that are wanted; if they are more than the budget together, what is beyond need is cut
    alike."""
    beyond = sum(wanted) - sum(needed)
    spare = max(0, budget - sum(needed))
    share = min(1.0, spare / beyond) if beyond else 1.0
    return [need + int((wish - need) * share) for need, wish in zip(needed, wanted, strict=True)]
