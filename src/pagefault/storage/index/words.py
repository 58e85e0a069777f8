"""Word blocks: the postings of a unit in a sealed segment, many in one blob of about a byte each.

The data of a block are LEB128 varints. First a code for each row, ``gap << 1 | repeated``: the gap to the
number before (of the first row: to the block's own number), and whether the unit is there more than once;
then the occurrences less two of each row that has it repeatedly. Leaves out which blocks there are, and
storing them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pagefault.errors import StorageError
from pagefault.storage.index import Numbers, Postings

__all__ = ["SIZE", "WordBlocks", "decoded", "encoded", "joined", "without"]

SIZE = 800
"""The most rows in a block: one of 400 takes a tenth more space and time, one of 1,600 hardly less."""

_LONGEST = 9  # bytes of a varint: 63 bits
_OFTENEST = (1 << 31) - 1  # occurrences in a row
_DAMAGED = "The lexical index is damaged (%s); make it anew with `pagefault db check --repair`."


@dataclass(frozen=True, slots=True, eq=False)
class WordBlocks:
    """Blocks, also of several units: each one's number, how many rows and bytes it has, and all the data,
    one block behind the other."""

    block: Numbers
    count: Numbers
    length: Numbers
    data: bytes

    @classmethod
    def of(cls, blocks: Iterable[tuple[int, int, bytes]]) -> WordBlocks:
        """Blocks by number, count and data."""
        given = list(blocks)
        columns = np.array([(number, count, len(data)) for number, count, data in given], np.int64)
        number, count, length = columns.reshape(-1, 3).T
        return cls(number, count, length, b"".join(data for _, _, data in given))

    def each(self) -> list[tuple[int, int, bytes]]:
        """The blocks by number, count and data."""
        ends = np.cumsum(self.length)
        parts = zip((ends - self.length).tolist(), ends.tolist(), strict=True)
        data = [self.data[start:end] for start, end in parts]
        return list(zip(self.block.tolist(), self.count.tolist(), data, strict=True))


def encoded(postings: Postings, lists: Numbers) -> tuple[Numbers, WordBlocks]:
    """Postings of several units as blocks. ``lists``: where each unit's begin; also returns the index of the
    unit of each block."""
    lengths = np.diff(lists, append=len(postings.numbers))
    blocks = -(-lengths // SIZE)
    unit = np.repeat(np.arange(len(lists)), blocks)
    within = np.arange(len(unit)) - np.repeat(_before(blocks), blocks)
    counts = np.minimum(SIZE, lengths[unit] - within * SIZE)
    return unit, _encoded(postings, postings.numbers[lists[unit] + within * SIZE], counts)


def without(blocks: WordBlocks, numbers: Numbers) -> WordBlocks:
    """The same blocks without these rows: none of their numbers is left, as a block's own neither. Some may
    be left with no rows."""
    postings = decoded(blocks)
    keeps = ~np.isin(postings.numbers, numbers)
    kept = np.append(0, np.cumsum(keeps))
    ends = np.cumsum(blocks.count)
    left = Postings(postings.numbers[keeps], postings.counts[keeps])
    counts = kept[ends] - kept[ends - blocks.count]
    block = blocks.block.copy()
    block[counts > 0] = left.numbers[_before(counts)[counts > 0]]
    return _encoded(left, block, counts)


def decoded(blocks: WordBlocks) -> Postings:
    """All postings of blocks, one block behind the other. ``StorageError`` if one is damaged."""
    values, sizes = _values(blocks)
    counts, extras = blocks.count, sizes - blocks.count
    if len(counts) and (counts.min() < 0 or extras.min() < 0):
        raise StorageError(_DAMAGED % "a block lacks rows")
    starts = _before(counts)
    at = np.arange(int(counts.sum())) + np.repeat(_before(extras), counts)
    codes = values[at]
    repeated = codes & 1
    odd = np.append(0, np.cumsum(repeated))
    if not np.array_equal(odd[starts + counts] - odd[starts], extras):
        raise StorageError(_DAMAGED % "a block has other occurrences than rows")
    sums = np.append(0, np.cumsum(codes >> 1))
    numbers = sums[1:] + np.repeat(blocks.block - sums[starts], counts)
    follows = np.ones(len(numbers), np.bool_)
    follows[starts[counts > 0]] = False
    if (np.diff(numbers, prepend=0)[follows] <= 0).any() or numbers.min(initial=0) < 0:
        raise StorageError(_DAMAGED % "the rows of a block do not ascend")
    occurrences = 1 + repeated
    rest = np.ones(len(values), np.bool_)
    rest[at] = False
    if values[rest].max(initial=0) > _OFTENEST - 2:
        raise StorageError(_DAMAGED % "a row has a word too often")
    occurrences[repeated == 1] += values[rest]
    return Postings(numbers, occurrences)


def joined(*parts: Postings) -> Postings:
    """The postings of one unit from several parts of an index, which follow one another. ``StorageError`` if
    they do not."""
    numbers = np.concatenate([part.numbers for part in parts])
    if (np.diff(numbers) <= 0).any():
        raise StorageError(_DAMAGED % "a block has rows of another one")
    return Postings(numbers, np.concatenate([part.counts for part in parts]))


def _encoded(postings: Postings, block: Numbers, counts: Numbers) -> WordBlocks:
    """Consecutive postings as blocks with these numbers and so many rows each."""
    numbers, starts = postings.numbers, _before(counts)
    gaps = np.diff(numbers, prepend=0)
    begins = starts[counts > 0]
    gaps[begins] = numbers[begins] - block[counts > 0]
    repeated = postings.counts > 1
    odd = np.append(0, np.cumsum(repeated))
    extras = odd[starts + counts] - odd[starts]
    values = np.empty(len(numbers) + odd[-1], np.int64)
    at = np.arange(len(numbers)) + np.repeat(_before(extras), counts)
    values[at] = gaps << 1 | repeated
    rest = np.ones(len(values), np.bool_)
    rest[at] = False
    values[rest] = postings.counts[repeated] - 2
    data, ends = _varints(values)
    bounds = np.append(0, ends)[np.append(0, np.cumsum(counts + extras))]
    return WordBlocks(block, counts, np.diff(bounds), data)


def _varints(values: Numbers) -> tuple[bytes, Numbers]:
    """Values as varints, and where each ends."""
    lengths = np.ones(len(values), np.int64)
    rest = values >> 7
    while rest.any():
        lengths += rest > 0
        rest >>= 7
    ends = np.cumsum(lengths)
    sent = np.empty(ends[-1] if len(ends) else 0, np.uint8)
    which = np.arange(len(values))
    for byte in range(int(lengths.max(initial=1))):
        which = which[lengths[which] > byte]
        more = (lengths[which] > byte + 1).astype(np.int64) << 7
        sent[ends[which] - lengths[which] + byte] = values[which] >> 7 * byte & 127 | more
    return sent.tobytes(), ends


def _values(blocks: WordBlocks) -> tuple[Numbers, Numbers]:
    """The values of all blocks, and how many each has."""
    sent: NDArray[np.uint8] = np.frombuffer(blocks.data, np.uint8)
    ends = np.flatnonzero(sent < 128)
    bounds = np.append(0, np.cumsum(blocks.length))
    filled = bounds[1:][blocks.length > 0]
    if bounds[-1] != len(sent) or (sent[filled - 1] > 127).any():
        raise StorageError(_DAMAGED % "a block is cut short")
    sizes = np.diff(np.searchsorted(ends, bounds))
    values = sent[ends].astype(np.int64)
    if len(ends) < len(sent):
        lengths = np.diff(ends, prepend=-1)
        if lengths.max() > _LONGEST:
            raise StorageError(_DAMAGED % "a value is too long")
        which = np.flatnonzero(lengths > 1)
        for byte in range(1, int(lengths.max())):
            which = which[lengths[which] > byte]
            values[which] = values[which] << 7 | sent[ends[which] - byte] & 127
    return values, sizes


def _before(counts: Numbers) -> Numbers:
    """The sum of what is before each."""
    return np.cumsum(counts) - counts
