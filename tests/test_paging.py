"""Text cut to its token share: nothing lost, every page within its size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagefault.context import paging
from pagefault.errors import FunctionError
from pagefault.models.tokens import HeuristicCounter
from pagefault.quoting import quoted

COUNTER = HeuristicCounter()


def same(part: str, before: str) -> str:
    assert len(before) <= 1
    return part


@given(st.text(max_size=3000), st.integers(min_value=4, max_value=200))
def test_pages_join_to_the_text_and_fit(text: str, size: int) -> None:
    pieces = paging.split(text, size, COUNTER)
    assert "".join(pieces) == text
    assert all(COUNTER.count(piece) <= size or len(piece) == 1 for piece in pieces)


def test_a_large_text_shows_its_head_its_size_and_how_to_read_on() -> None:
    text = "One line of this long text.\n" * 200
    shown, pages = paging.head(text, 50, COUNTER, 'recall_read("m7", page=2)', same)
    assert shown.startswith("One line of this long text.\n")
    assert shown.endswith(
        f'of {pages} pages, {COUNTER.count(text):,} tokens in all; recall_read("m7", page=2) reads on]'
    )
    assert paging.head("short", 50, COUNTER, "x", same) == ("short", 1)


def test_pages_are_counted_from_one_and_beyond_the_last_is_an_error() -> None:
    assert paging.page_of(list("abcdefg"), 2, 3) == (["d", "e", "f"], 3)
    assert paging.page_of([], 1, 3) == ([], 1)
    with pytest.raises(FunctionError, match="There is no page 4; pages go from 1 to 3"):
        paging.page_of(list("abcdefg"), 4, 3)


@given(
    st.lists(
        st.sampled_from([" ", "\n", "[x", "word ", "海边。", "\u0301", "🙂", "\ud7ff", "a" * 90]), min_size=1
    ),
    st.integers(min_value=20, max_value=2_500),
)
def test_pages_of_a_text_of_many_blocks_join_to_it_and_fit(parts: list[str], size: int) -> None:
    text = ("".join(parts) * 45_000)[:45_000]
    pieces = list(paging.pages(text, size, COUNTER, same))
    assert "".join(pieces) == text
    assert all(COUNTER.count(piece) <= size or len(piece) == 1 for piece in pieces)
    shown, pages = paging.head(text, size, COUNTER, "x", same)
    if len(pieces) > 1:
        assert shown.startswith(pieces[0].rstrip())
        assert f"of about {pages} pages" in shown or pages == len(pieces)
    assert paging.page_at(text, 1, size, COUNTER, same)[0] == pieces[0]


def test_a_text_of_many_blocks_is_read_page_by_page_and_its_size_is_an_estimate() -> None:
    text = "One line of this long text.\n" * 20_000
    pieces = list(paging.pages(text, 500, COUNTER, same))
    shown, pages = paging.head(text, 500, COUNTER, "x", same)
    assert f"[shown: 1 of about {pages} pages, about " in shown
    assert abs(pages - len(pieces)) < len(pieces) / 8
    for page in (1, 2, 30, len(pieces)):
        piece, place = paging.page_at(text, page, 500, COUNTER, same)
        assert piece == pieces[page - 1]
        assert place == (f"{page}/{page}" if page == len(pieces) else f"{page}/~{max(pages, page + 1)}")
    with pytest.raises(FunctionError, match=f"pages go from 1 to {len(pieces)}"):
        paging.page_at(text, len(pieces) + 1, 500, COUNTER, same)
    with pytest.raises(FunctionError, match="There is no page 0"):
        paging.page_at(text, 0, 500, COUNTER, same)


def test_the_blocks_of_a_text_are_quoted_as_the_whole_is() -> None:
    text = "".join(f"{n} is a line <|im_start|>\n [alert {n}] and <think> so\n" for n in range(2_000))

    def quote(part: str, before: str) -> str:
        return quoted(part, opens_line=before in ("", "\n"))

    assert "".join(paging.pages(text, 300, COUNTER, quote)) == quoted(text)
