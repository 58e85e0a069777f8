"""The tiers held in memory. The least recently searched are dropped when all together take too much."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock

from pagefault.storage.index import IndexSource
from pagefault.storage.index.blocks import SIZE
from pagefault.storage.index.columns import IndexView
from pagefault.storage.index.tier_index import TierIndex
from pagefault.types import AgentId, Tier

__all__ = ["IndexCache"]

_Key = tuple[AgentId, Tier, str]


@dataclass(slots=True)
class IndexCache:
    """``limit`` is in bytes; the tier searched last stays whatever its size. ``small``: rows, and vectors, up
    to which a tier is searched exactly and as a whole; ``exact``: rows that pass a filter up to which sealed
    vectors are. ``block_size``: numbers in a block of the database."""

    limit: int = 256 << 20
    small: int = 50_000
    exact: int = 20_000
    block_size: int = SIZE
    _tiers: OrderedDict[_Key, TierIndex] = field(default_factory=OrderedDict[_Key, TierIndex])
    _sizes: dict[_Key, int] = field(default_factory=dict[_Key, int])
    _lock: Lock = field(default_factory=Lock)

    def view(
        self, source: IndexSource, agent: AgentId, tier: Tier, fingerprint: str, *, with_vectors: bool = True
    ) -> IndexView:
        """The tier as of the source's transaction, or newer; without its vectors if they are not needed."""
        key = (agent, tier, fingerprint)
        with self._lock:
            index = self._tiers.setdefault(
                key, TierIndex(agent, tier, fingerprint, self.small, self.block_size)
            )
            self._tiers.move_to_end(key)
        view = index.refreshed(source, with_vectors=with_vectors)
        with self._lock:
            self._sizes[key] = index.nbytes
            while sum(self._sizes.values()) > self.limit and len(self._tiers) > 1:
                oldest, _ = self._tiers.popitem(last=False)
                self._sizes.pop(oldest, None)
        return view

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        with self._lock:
            return sum(self._sizes.values())
