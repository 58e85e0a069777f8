"""Sealed segments: what is planned."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from pagefault.storage.segments import Segment, SegmentSizes, planned

SIZES = SegmentSizes(small=50, open=20, dead=0.15)
MOST = 10_000


def every(first: int, last: int) -> int:
    """Count rows where every number has one."""
    return last - first + 1


def plan(
    sealed: list[Segment], reach: int, most: int = MOST, measure: Callable[[int, int], int] = every
) -> tuple[int, int] | None:
    return planned(sealed, reach, measure, SIZES, most)


def chain(*rows: int, dead: int = 0) -> list[Segment]:
    """Segments of so many rows, one behind the other."""
    made: list[Segment] = []
    for number, count in enumerate(rows, 1):
        first = made[-1].last + 1 if made else 1
        made.append(
            Segment(number, "archival", "f", first, first + count - 1, "sealed", count, dead * (number == 1))
        )
    return made


def test_nothing_is_sealed_of_what_is_small() -> None:
    assert plan([], 50) is None
    assert plan([], 51) == (1, 51)
    assert plan([], 500, measure=lambda first, last: (last - first + 1) // 10) is None


def test_what_is_left_open_is_small() -> None:
    assert plan(chain(51), 71) is None
    assert plan(chain(100), 121) == (101, 121)


def test_segments_no_larger_than_all_behind_them_are_merged() -> None:
    assert plan(chain(51, 21), 93) == (52, 93)  # 51 > 21 + 21
    assert plan(chain(51, 40), 112) == (1, 112)  # 51 <= 40 + 21
    assert plan(chain(100, 40, 21), 161) is None
    assert plan(chain(10, 40, 21), 71) == (1, 71)


def test_a_segment_is_no_larger_than_may_be_built() -> None:
    assert plan([], 500, most=100) == (1, 100)
    assert plan(chain(100), 500, most=100) == (101, 200)
    assert plan(chain(100, 100), 240, most=100) == (201, 240)
    assert plan(chain(100, 100, 100), 300, most=100) is None
    assert plan(chain(100, 100, 100), 300, most=1000) == (1, 300)


def test_a_segment_of_which_much_is_deleted_is_built_anew() -> None:
    assert plan(chain(100, 40, dead=15), 140) is None
    assert plan(chain(100, 40, dead=16), 140) == (1, 100)
    assert plan(chain(100, dead=100), 100) == (1, 100)
    assert plan([Segment(2, "archival", "f", 1, 100, "sealed", 0, 0)], 100) is None


@given(st.lists(st.integers(1, 60), max_size=80), st.sampled_from((100, 1000, MOST)))
def test_segments_are_contiguous_few_and_planned_to_an_end(written: list[int], most: int) -> None:
    sealed: list[Segment] = []
    reach = built = 0
    for count in written:
        reach += count
        while (found := plan(sealed, reach, most)) is not None:
            first, last = found
            assert last - first < most
            sealed = [s for s in sealed if s.last < first]
            assert first == (sealed[-1].last + 1 if sealed else 1)
            sealed.append(Segment(0, "archival", "f", first, last, "sealed", last - first + 1))
            built += last - first + 1
        through = sealed[-1].last if sealed else 0
        assert reach - through <= (SIZES.open if sealed else SIZES.small)
        assert all(
            s.rows > sum(o.rows for o in sealed[i:]) or sum(o.rows for o in sealed[i - 1 :]) > most
            for i, s in enumerate(sealed[:-1], 1)
        )
    assert built <= reach * (2 + max(1, reach // 20).bit_length())
