"""Text cut to its token share: nothing lost, every page within its size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagefault.context import paging
from pagefault.errors import FunctionError
from pagefault.models.tokens import HeuristicCounter

COUNTER = HeuristicCounter()


@given(st.text(max_size=3000), st.integers(min_value=4, max_value=200))
def test_pages_join_to_the_text_and_fit(text: str, size: int) -> None:
    pieces = paging.split(text, size, COUNTER)
    assert "".join(pieces) == text
    assert all(COUNTER.count(piece) <= size or len(piece) == 1 for piece in pieces)


def test_a_large_text_shows_its_head_its_size_and_how_to_read_on() -> None:
    text = "One line of this long text.\n" * 200
    shown, pages = paging.head(text, 50, COUNTER, 'recall_read("m7", page=2)')
    assert shown.startswith("One line of this long text.\n")
    assert shown.endswith(
        f'of {pages} pages, {COUNTER.count(text):,} tokens in all; recall_read("m7", page=2) reads on]'
    )
    assert paging.head("short", 50, COUNTER, "x") == ("short", 1)


def test_pages_are_counted_from_one_and_beyond_the_last_is_an_error() -> None:
    assert paging.page_of(list("abcdefg"), 2, 3) == (["d", "e", "f"], 3)
    assert paging.page_of([], 1, 3) == ([], 1)
    with pytest.raises(FunctionError, match="There is no page 4; pages go from 1 to 3"):
        paging.page_of(list("abcdefg"), 4, 3)
