"""Blocks: copies of many rows' columns or quantized vectors in one blob; a large tier is read from them.

A block has the rows, or the vectors of one embedder, whose numbers lie in one range of ``SIZE``. It is made
when a row of a later range is written, the lowest missing first, and dropped by any write in its range; rows
without a block are read one by one. So blocks may be missing anywhere at any time and say nothing that the
rows do not. Vectors get blocks only in tiers that are too large to be held exactly, and none where they are
sealed. Leaves out putting what is read together (``tier_index``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from pagefault.storage.index import IndexBlock, IndexSource, Numbers, RowColumns
from pagefault.storage.index.codes import quantized
from pagefault.storage.index.columns import ROLES, columns_of
from pagefault.types import AgentId, Tier

__all__ = [
    "SIZE",
    "BlockStore",
    "CodedVectors",
    "block_of",
    "seal",
    "seal_all",
    "stale_blocks",
    "to_rows",
    "to_vectors",
]

SIZE = 4096
"""Numbers in the range of a block: block ``b`` has the numbers from ``b * SIZE`` on."""
ROWS = ""
"""The fingerprint of blocks of rows."""

_LARGE = 8  # blocks of vectors are made from this block on: about 32,000 rows
_AT_ONCE = 2  # blocks made by one write
_END = 1 << 62  # more vectors than there are
_ROW = np.dtype(
    [
        ("number", "<i8"),
        ("at", "<i8"),
        ("document", "<i8"),
        ("units", "<i4"),
        ("speaker", "<i4"),
        ("role", "u1"),
        ("question", "?"),
    ]
)
_NUMBER, _SCALE = np.dtype("<i8"), np.dtype("<f4")


@dataclass(frozen=True, slots=True, eq=False)
class CodedVectors:
    """Vectors as ``codes.quantized`` makes them, with the number of each one's row, ascending."""

    numbers: Numbers
    codes: NDArray[np.int8]
    scales: NDArray[np.float32]


class BlockStore(IndexSource, Protocol):
    """A transaction that writes blocks. ``fingerprint`` is ``ROWS`` for the blocks of rows."""

    def put_block(self, agent: AgentId, tier: Tier, fingerprint: str, block: IndexBlock) -> None: ...
    def drop_blocks(
        self, agent: AgentId, tier: Tier, numbers: Iterable[int], fingerprint: str | None = None
    ) -> None:
        """Drop the blocks that these numbers belong to: of vectors of one embedder, or all."""
        ...

    def drop_all_blocks(self, agent: AgentId) -> None: ...
    def fingerprints(self) -> Sequence[str]:
        """The fingerprints of all embedders."""
        ...


def block_of(numbers: Iterable[int]) -> list[int]:
    """The blocks that these numbers belong to."""
    return sorted({number // SIZE for number in numbers})


def seal(store: BlockStore, agent: AgentId, tier: Tier, fingerprint: str, before: int, last: int) -> None:
    """Make missing blocks, if the numbers from ``before`` up to ``last`` have begun a new range."""
    top = last // SIZE
    if top <= before // SIZE or (fingerprint != ROWS and top < _LARGE):
        return
    if fingerprint == ROWS or store.sealed(agent, tier, fingerprint) is None:
        for block in _missing(store, agent, tier, fingerprint, top)[:_AT_ONCE]:
            store.put_block(agent, tier, fingerprint, _made(store, agent, tier, fingerprint, block, SIZE))


def seal_all(
    store: BlockStore, agent: AgentId, size: int = SIZE, large: int = _LARGE, most: int = _END
) -> bool:
    """Make the missing blocks of an agent, those of vectors in tiers of ``large`` blocks at least; at most
    ``most``, and True if so many were made."""
    tiers: tuple[Tier, ...] = get_args(Tier)
    made = 0
    for tier in tiers:
        top = store.counters(agent, tier).last // size
        names = store.fingerprints() if top >= large else ()
        held = [name for name in names if store.sealed(agent, tier, name) is None]
        for fingerprint in (ROWS, *held):
            for block in _missing(store, agent, tier, fingerprint, top)[: most - made]:
                store.put_block(agent, tier, fingerprint, _made(store, agent, tier, fingerprint, block, size))
                made += 1
    return made == most


def stale_blocks(store: BlockStore, agent: AgentId, tier: Tier) -> list[int]:
    """The blocks that differ from the rows or vectors they are copies of."""
    found = set[int]()
    for fingerprint in (ROWS, *store.fingerprints()):
        start = 0
        while blocks := store.blocks_from(agent, tier, fingerprint, start, _AT_ONCE):
            for block in blocks:
                made = _made(store, agent, tier, fingerprint, block.number, SIZE)
                if (block.data, _speakers(block)) != (made.data, _speakers(made)):
                    found.add(block.number)
            start = blocks[-1].number + 1
    return sorted(found)


def _speakers(block: IndexBlock) -> list[str]:
    return json.loads(block.names)[1] if block.names else []


def _missing(store: BlockStore, agent: AgentId, tier: Tier, fingerprint: str, top: int) -> list[int]:
    known = store.block_sizes(agent, tier, fingerprint)
    return [block for block in range(top) if block not in known]


def _made(
    store: BlockStore, agent: AgentId, tier: Tier, fingerprint: str, block: int, size: int
) -> IndexBlock:
    after, stop = block * size - 1, (block + 1) * size
    if fingerprint == ROWS:
        rows = store.rows_after(agent, tier, after, size, stop)
        return _of_rows(block, columns_of(rows)) if rows else IndexBlock(block, 0, "", b"")
    stored = store.vectors_after(agent, tier, fingerprint, after, _END, stop)
    return _of_vectors(block, stored.numbers, *quantized(stored.halves))


def _of_rows(block: int, rows: RowColumns) -> IndexBlock:
    records = np.empty(len(rows.number), _ROW)
    for name in _ROW.names or ():
        records[name] = getattr(rows, name)
    return IndexBlock(block, len(records), json.dumps([list(ROLES), list(rows.speakers)]), records.tobytes())


def _of_vectors(
    block: int, numbers: Numbers, codes: NDArray[np.int8], scales: NDArray[np.float32]
) -> IndexBlock:
    parts = (numbers.astype(_NUMBER), scales.astype(_SCALE), codes)
    return IndexBlock(block, len(numbers), "", b"".join(part.tobytes() for part in parts))


def to_rows(block: IndexBlock) -> RowColumns:
    """The rows of a block."""
    records = np.frombuffer(block.data, _ROW)
    roles, speakers = json.loads(block.names)
    codes = np.array([ROLES[name] for name in roles], np.uint8)
    return RowColumns(
        records["number"], records["at"], codes[records["role"]], records["speaker"], records["document"],
        records["units"], records["question"], tuple(speakers),
    )  # fmt: skip


def to_vectors(block: IndexBlock) -> CodedVectors:
    """The vectors of a block."""
    count = block.count
    scales_at = count * _NUMBER.itemsize
    codes_at = scales_at + count * _SCALE.itemsize
    return CodedVectors(
        np.frombuffer(block.data, _NUMBER, count),
        np.frombuffer(block.data, np.int8, offset=codes_at).reshape(count, -1),
        np.frombuffer(block.data, _SCALE, count, scales_at),
    )
