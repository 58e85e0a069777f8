"""Numbers to rectangles: areas are shares, nothing overlaps and nothing leaves the drawing."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagefault.server.inspector.drawing import Box, columns, flow, marker, round_top, shares

SIZES = st.lists(st.integers(0, 5000), max_size=80)


def area(boxes: tuple[Box, ...]) -> float:
    return sum(box.width * box.height for box in boxes) / 100


def test_parts_fill_the_page_strip_by_strip() -> None:
    one, two, three = flow([50, 100, 30], 200, 2)
    assert one == (Box(0, 0, 50, 50),)
    assert two == (Box(50, 0, 50, 50), Box(0, 50, 50, 50))
    assert three == (Box(50, 50, 30, 50),)


def test_what_is_of_no_size_or_does_not_fit_has_no_box() -> None:
    assert flow([0, 100, 40], 100, 4)[0] == ()
    assert flow([0, 100, 40], 100, 4)[2] == ()
    assert flow([], 100, 4) == []


@given(SIZES, st.integers(16, 200_000), st.integers(1, 24))
def test_the_area_of_a_part_is_its_share_and_parts_follow_each_other(
    sizes: list[int], whole: int, strips: int
) -> None:
    parts, left = flow(sizes, whole, strips), float(whole)
    for size, boxes in zip(sizes, parts, strict=True):
        taken = min(size, left)
        assert area(boxes) == pytest.approx(100 * taken / whole, abs=0.05)
        left -= taken
    boxes = [box for part in parts for box in part]
    for box in boxes:
        assert 0 <= box.x <= box.x + box.width <= 100.01
        assert 0 <= box.y < box.y + box.height <= 100.01
    for box, after in pairwise(boxes):
        on = after.y == box.y
        assert after.x == pytest.approx(box.x + box.width if on else 0, abs=0.01)


@given(st.floats(0, 1), st.integers(1, 24))
def test_a_line_stands_where_the_part_before_it_ends(share: float, strips: int) -> None:
    whole = 1000
    (before,) = flow([share * whole], whole, strips)
    lines = marker(share * whole, whole, strips)
    ends = {(x, y) for x1, y1, x2, y2 in lines for x, y in ((x1, y1), (x2, y2))}
    assert all(0 <= x <= 100 and 0 <= y <= 100.01 for x, y in ends)
    assert all(x1 == x2 or y1 == y2 for x1, y1, x2, y2 in lines)
    if before and 0.001 < before[-1].width < 99.99:
        end = before[-1].x + before[-1].width
        assert any(x == pytest.approx(end, abs=0.01) for x, _ in ends)


def test_shares_are_in_proportion_unless_one_would_be_too_narrow() -> None:
    assert shares([1, 3], 1) == [(0, 25), (25, 75)]
    assert shares([0, 100], 2) == [(0, 2), (2, 98)]
    assert shares([0, 0], 1) == [(0, 50), (50, 50)]
    assert shares([], 1) == []


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=200), st.floats(0, 5))
def test_shares_take_all_and_none_is_below_the_least(sizes: list[float], least: float) -> None:
    found = shares(sizes, least)
    assert found[-1][0] + found[-1][1] == pytest.approx(100, abs=0.5)
    assert all(width >= min(least, 100 / len(sizes)) - 0.01 for _, width in found)
    for (start, width), (after, _) in pairwise(found):
        assert after == pytest.approx(start + width, abs=0.01)


def test_columns_are_stacked_from_the_bottom() -> None:
    one, two = columns([[10, 30], [0, 0]], 100, gap=0)
    assert one.parts == (Box(0, 90, 50, 10), Box(0, 60, 50, 30))
    assert one.place == Box(0, 0, 50, 100)
    assert [part.height for part in two.parts] == [0, 0]
    assert columns([[0]], 0)[0].parts[0].height == 0


@pytest.mark.parametrize(
    ("most", "top"), [(0, 1), (1, 1), (1.1, 2), (4900, 5000), (5001, 10_000), (1e9, 1e9), (0.03, 0.05)]
)
def test_the_top_of_a_scale_is_a_round_number(most: float, top: float) -> None:
    assert round_top(most) == pytest.approx(top)
