"""Word blocks: what is encoded is decoded, without a row as if it had never been there; damage is named."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagefault.errors import StorageError
from pagefault.storage.index import Postings
from pagefault.storage.index.words import SIZE, WordBlocks, decoded, encoded, joined, without

NUMBERS = st.sets(st.integers(1, 40) | st.integers(1, 2**32 - 1) | st.integers(1, 2**55), min_size=1)
COUNTS = st.sampled_from([1, 1, 1, 1, 2, 3, 129, 130, 131, 5000, 2**31 - 1])
ROWS = NUMBERS.flatmap(
    lambda numbers: st.lists(COUNTS, min_size=len(numbers), max_size=len(numbers)).map(
        lambda counts: list(zip(sorted(numbers), counts, strict=True))
    )
)
UNITS = st.lists(ROWS, min_size=1, max_size=6)

Row = tuple[int, int]


def blocks_of(units: list[list[Row]]) -> tuple[list[int], WordBlocks]:
    rows = [row for of in units for row in of]
    postings = Postings(np.array([n for n, _ in rows]), np.array([c for _, c in rows]))
    lists = np.cumsum([0, *map(len, units[:-1])])
    unit, blocks = encoded(postings, lists)
    return unit.tolist(), blocks


def rows_of(blocks: WordBlocks) -> list[Row]:
    postings = decoded(blocks)
    return list(zip(postings.numbers.tolist(), postings.counts.tolist(), strict=True))


@given(UNITS)
def test_what_is_encoded_is_decoded(units: list[list[Row]]) -> None:
    unit, blocks = blocks_of(units)
    assert unit == list(range(len(units)))  # none is larger than a block
    assert rows_of(blocks) == [row for of in units for row in of]
    assert blocks.block.tolist() == [of[0][0] for of in units]
    for of, each in zip(units, blocks.each(), strict=True):
        assert rows_of(WordBlocks.of([each])) == of


def test_a_frequent_unit_has_several_blocks_of_a_byte_a_row() -> None:
    rows = [(number, 1 + (number % 7 == 0)) for number in range(3, 3 + 2 * SIZE + 5)]
    unit, blocks = blocks_of([rows[:1], rows, rows[:SIZE]])
    assert unit == [0, 1, 1, 1, 2]
    assert blocks.count.tolist() == [1, SIZE, SIZE, 5, SIZE]
    assert blocks.block.tolist() == [3, 3, 3 + SIZE, 3 + 2 * SIZE, 3]
    assert rows_of(blocks) == [*rows[:1], *rows, *rows[:SIZE]]
    assert len(blocks.data) < 1.2 * blocks.count.sum()


@given(UNITS, st.data())
def test_a_row_taken_out_is_in_no_block(units: list[list[Row]], data: st.DataObject) -> None:
    every = sorted({number for of in units for number, _ in of})
    gone = data.draw(st.sets(st.sampled_from(every)))
    _, blocks = blocks_of(units)
    left = without(blocks, np.array(sorted(gone), np.int64))
    assert rows_of(left) == [row for of in units for row in of if row[0] not in gone]
    assert not gone & {block for block, count in zip(left.block, left.count, strict=True) if count}
    assert left.count.tolist() == [sum(number not in gone for number, _ in of) for of in units]
    again = without(left, np.array(every))
    assert again.data == b""
    assert not again.count.any()


def test_no_blocks_have_no_rows() -> None:
    none = np.empty(0, np.int64)
    assert rows_of(WordBlocks(none, none, none, b"")) == []
    assert encoded(Postings(none, none), none)[1].each() == []


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ((1, 2, b"\x02"), "lacks rows"),
        ((1, -1, b"\x02"), "lacks rows"),
        ((1, 1, b"\x03"), "other occurrences"),
        ((1, 1, b"\x02\x00"), "other occurrences"),
        ((1, 2, b"\x00\x00"), "do not ascend"),
        ((1, 2, b"\x00\x82"), "cut short"),
        ((1, 1, b"\x80" * 9 + b"\x02"), "too long"),
        ((1, 1, b""), "lacks rows"),
        ((1, 2**31 - 1, b"\x02"), "lacks rows"),
        ((1, 0, b"\x02"), "other occurrences"),
        ((1, 3, b"\x02" + 2 * (b"\xfe" + b"\xff" * 7 + b"\x7f")), "do not ascend"),
        ((2**63 - 2, 1, b"\x06"), "do not ascend"),
        ((1, 1, b"\x03" + b"\xff" * 8 + b"\x7f"), "too often"),
    ],
)
def test_damage_is_named(block: tuple[int, int, bytes], said: str) -> None:
    whole = (1, 1, b"\x02")
    with pytest.raises(StorageError, match=f"{said}.*db check --repair"):
        decoded(WordBlocks.of([whole, block, whole]))


def test_a_unit_has_each_row_in_one_block() -> None:
    def part(*numbers: int) -> Postings:
        return Postings(np.array(numbers), np.ones(len(numbers), np.int64))

    assert joined(part(1, 2), part(3)).numbers.tolist() == [1, 2, 3]
    for parts in ((part(1, 5, 3),), (part(1, 2), part(2, 3)), (part(4), part(3))):
        with pytest.raises(StorageError, match=r"rows of another one.*db check --repair"):
            joined(*parts)


@given(UNITS, st.data())
def test_any_other_bytes_are_rows_or_a_named_error(units: list[list[Row]], data: st.DataObject) -> None:
    _, blocks = blocks_of(units)
    bytes_ = bytearray(blocks.data)
    for _ in range(data.draw(st.integers(1, 3))):
        bytes_[data.draw(st.integers(0, len(bytes_) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.sampled_from([len(bytes_), len(bytes_) - 1]))
    damaged = WordBlocks(blocks.block, blocks.count, blocks.length, bytes(bytes_[:cut]))
    try:
        found = decoded(damaged)
    except StorageError:
        return
    assert len(found.numbers) == blocks.count.sum()
    assert found.numbers.min() >= 0
    assert 1 <= found.counts.min() <= found.counts.max() < 2**31
