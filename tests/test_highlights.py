"""The words of a query in a text: stemmed as search does it, characters of Chinese, and nothing is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagefault.views.highlights import highlights


def marked(text: str, query: str) -> str:
    return "".join(f"[{part}]" if is_match else part for is_match, part in highlights(text, query))


@pytest.mark.parametrize(
    ("text", "query", "shown"),
    [
        ("Two boats, one Boat.", "boat", "Two [boats], one [Boat]."),
        ("a café near the cafeteria", "CAFE", "a [café] near the cafeteria"),
        ("What is the boat called?", "what is the name of the boat", "What is the [boat] called?"),
        ("她喜欢喝绿茶，不喜欢红茶。", "绿茶", "她喜欢喝[绿茶]，不喜欢红茶。"),
        ("她喜欢喝绿茶", "茶", "她喜欢喝绿[茶]"),
        ("<script>boat</script>", "boat", "<script>[boat]</script>"),
        ("nothing here", "", "nothing here"),
        ("", "boat", ""),
    ],
)
def test_words_are_marked_as_search_finds_them(text: str, query: str, shown: str) -> None:
    assert marked(text, query) == shown


@given(st.text(max_size=80), st.text(max_size=20))
def test_the_parts_are_the_text(text: str, query: str) -> None:
    assert "".join(part for _, part in highlights(text, query)) == text
