"""The receipt of a forgetting: when, how many items of each kind, and what is out of reach. No content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pagefault.kernel.forgetting.plan import PlannedPlace

__all__ = ["OUT_OF_REACH", "ForgetReceipt"]

OUT_OF_REACH = (
    "Backups and exports that were made before have it still; make them anew, and delete the old ones.",
    "The providers of the agent's models were sent it in earlier prompts; what they keep, they say.",
    "On PostgreSQL, rows that were changed stay in its files until VACUUM FULL, and in its write-ahead log "
    "until that is recycled; `pagefault db check --deleted` looks, and rewrites the tables.",
)
"""The places that pagefault cannot reach, a sentence for each."""


@dataclass(frozen=True, slots=True)
class ForgetReceipt:
    """The receipt. ``counts``: items by kind, over all ``owners`` (agents, archives and shared sections by
    their stored names); ``kept``: places that have it and stay, a sentence for each.
    ``places``: of a dry run, each that would be changed; a receipt has none, for names can tell, too."""

    agent: str
    at: datetime
    by: str
    counts: Mapping[str, int]
    owners: tuple[str, ...]
    kept: tuple[str, ...]
    places: tuple[PlannedPlace, ...] = ()
    out_of_reach: tuple[str, ...] = OUT_OF_REACH

    @property
    def total(self) -> int:
        """The number of all items."""
        return sum(self.counts.values())
