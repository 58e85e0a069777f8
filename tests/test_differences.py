"""The difference of two texts as it is shown: by lines, and by words where lines are alike."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from pagefault.views.differences import Difference, difference


def drawn(found: Difference) -> list[str]:
    """Each line as text, with ``[-...-]`` for what was removed and ``{+...+}`` for what was added."""
    marks = {"same": "{}", "removed": "[-{}-]", "added": "{{+{}+}}"}
    return [
        f"... {line.count}"
        if line.kind == "left_out"
        else "".join(marks[piece.kind].format(piece.text) for piece in line.pieces)
        for line in found.lines
    ]


def test_a_changed_word_is_shown_within_its_line() -> None:
    found = difference("Name: Ana\nLikes green tea a lot.", "Name: Ana\nLikes black tea a lot.")
    assert drawn(found) == ["Name: Ana", "Likes [-green -]{+black +}tea a lot."]
    assert [line.kind for line in found.lines] == ["same", "changed"]
    assert (found.added, found.removed, found.is_empty) == (1, 1, False)


def test_words_that_follow_one_another_are_one_change() -> None:
    found = difference(
        "She lives in Porto near the river now.", "She lives in New York City near the river now."
    )
    assert drawn(found) == ["She lives in [-Porto -]{+New York City +}near the river now."]


def test_lines_that_have_little_in_common_stand_one_after_the_other() -> None:
    found = difference("Likes tea.", "Works as a diver on weekends")
    assert drawn(found) == ["[-Likes tea.-]", "{+Works as a diver on weekends+}"]


def test_a_character_of_chinese_is_a_word() -> None:
    found = difference("她喜欢喝绿茶，住在上海。", "她喜欢喝红茶，住在北京。")
    assert drawn(found) == ["她喜欢喝[-绿-]{+红+}茶，住在[-上海-]{+北京+}。"]
    assert (found.added, found.removed) == (3, 3)


def test_lines_are_split_and_joined() -> None:
    assert drawn(difference("one two three four", "one two\nthree four")) == [
        "one [-two -]{+two+}",
        "three four",
    ]
    assert drawn(difference("a\nb", "a\nb\nc")) == ["a", "b", "{+c+}"]
    assert drawn(difference("", "a")) == ["{+a+}"]
    assert drawn(difference("a", "")) == ["[-a-]"]


def test_only_what_is_near_a_change_is_shown() -> None:
    lines = [f"line {n}" for n in range(40)]
    changed = [*lines[:20], "something else entirely", *lines[21:]]
    assert drawn(difference("\n".join(lines), "\n".join(changed))) == [
        "... 18", "line 18", "line 19", "[-line 20-]", "{+something else entirely+}",
        "line 21", "line 22", "... 17",
    ]  # fmt: skip
    assert difference("a\nb\nc", "a\nb\nc").is_empty


def test_large_texts_are_compared_in_bounded_time() -> None:
    """Texts of which ``difflib`` makes minutes."""
    began = time.process_time()
    for before, after in (
        (" ".join(f"w{n}" for n in range(40_000)), " ".join(f"v{n}" for n in range(40_000))),
        ("a b " * 5000, "b a " * 5000),
        ("!" * 20_000, "?!" * 10_000),
        ("!" * 400, "?!" * 200),
        ("a\n" * 20_000, "a\nb\n" * 10_000),
        ("b\n" + "a\nb\n" * 10_000, "a\nb\n" * 10_000 + "c"),
    ):
        found = difference(before, after)
        assert not found.is_empty
    assert time.process_time() - began < 60, "a bound that only ends what would not end"


TEXTS = st.text(alphabet="ab 喜欢\n", max_size=60)


@given(TEXTS, TEXTS)
def test_both_texts_can_be_read_from_the_difference(old: str, new: str) -> None:
    found = difference(old, new)
    whole = found.lines
    if any(line.kind == "left_out" for line in whole):
        return
    for side, other, text in (("removed", "added", old), ("added", "removed", new)):
        shown = [
            "".join(p.text for p in line.pieces if p.kind != other) for line in whole if line.kind != other
        ]
        assert "".join(shown) == text.replace("\n", ""), side
    assert found.is_empty == (old.splitlines() == new.splitlines())
