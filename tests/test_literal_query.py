"""The match of a forgetting: literal after normalising, and nothing that is only similar."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagefault.errors import UsageError
from pagefault.kernel.forgetting.selection import Selection
from pagefault.literal_query import REDACTED, LiteralQuery

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "her number is 0151 2233",
        "HER NUMBER IS 0151 2233",
        "her  number\n\tis 0151\u00a02233",
        "ｈｅｒ ｎｕｍｂｅｒ ｉｓ ０１５１ ２２３３",
        json.dumps({"text": "note: her number is 0151 2233."}),
        json.dumps({"text": "her number\nis 0151 2233"}),
        json.dumps({"inner": json.dumps({"text": "her number\nis 0151 2233"})}),
    ],
)
def test_case_forms_spaces_and_what_json_escapes_make_no_difference(text: str) -> None:
    assert LiteralQuery("Her number is 0151 2233").is_in(text)


def test_a_composed_letter_is_the_decomposed_one_escaped_or_not() -> None:
    query = LiteralQuery("Zürich-7")
    assert query.is_in("in Zu\u0308rich-7 at noon")
    assert query.is_in(json.dumps("in ZÜRICH-7"))
    assert LiteralQuery("STRASSE 9").is_in("straße 9")


@pytest.mark.parametrize(
    "text", ["her numbers are 0151 2233", "her number is 0151 2234", "number her is 0151 2233", ""]
)
def test_what_is_only_similar_is_not_taken(text: str) -> None:
    assert not LiteralQuery("her number is 0151 2233").is_in(text)


@pytest.mark.parametrize("text", ["", "  ", "a", "ab", " a \n b "[:3], "李", "ab ", "🙂🙂", "ｘｙ"])
def test_a_query_that_is_too_short_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="too short"):
        LiteralQuery(text)


@pytest.mark.parametrize("name", ["李明", "はな", "지민", "李x"])
def test_two_letters_of_chinese_japanese_or_korean_are_a_name(name: str) -> None:
    assert LiteralQuery(name).is_in(f"她叫{name}。")
    assert not LiteralQuery(name).is_in("她叫李 娜。")


def test_only_the_lines_that_have_it_go() -> None:
    query = LiteralQuery("the blue door")
    text = "likes tea\nlives behind the BLUE door\nhas a cat\nthe blue\ndoor is new\nend"
    assert query.without(text) == "likes tea\nhas a cat\nend"
    assert query.spans(text) == [(1, 2), (3, 5)]
    blacked = query.redacted(text)
    assert len(blacked) == len(text)
    assert blacked.split("\n")[1] == REDACTED * len("lives behind the BLUE door")


def test_a_long_text_that_has_it_in_each_line_is_read_a_few_times_and_not_for_each() -> None:
    query, row = LiteralQuery("the blue door"), "row {} of a table has the blue door and more\nand the"
    text = "\n".join(row.format(number) for number in range(10_000))
    assert query.spans(text) == [(number, number + 1) for number in range(0, 20_000, 2)]


lines = st.lists(
    st.sampled_from(["tea", "blue", "door", "the blue", "blue door", "", "x the", "é"]), max_size=9
)


@given(lines)
def test_what_is_left_never_has_it_and_nothing_else_goes(given_lines: list[str]) -> None:
    text, query = "\n".join(given_lines), LiteralQuery("the blue door")
    gone = {number for first, stop in query.spans(text) for number in range(first, stop)}
    left = [line for number, line in enumerate(given_lines) if number not in gone]
    assert query.without(text) == "\n".join(left)
    for first, stop in query.spans(text):
        run = given_lines[first:stop]
        assert query.is_in("\n".join(run))
        assert not query.is_in("\n".join(run[1:]))
        assert not query.is_in("\n".join(run[:-1]))
    assert not query.is_in(query.redacted(text))


def test_a_selection_takes_what_meets_all_that_is_given() -> None:
    selection = Selection(query=LiteralQuery("pancakes"), speaker="Bo", since=NOON)
    assert selection.takes(iter(["Pancakes!"]), NOON, "m1", speaker="bo")
    assert not selection.takes(iter(["Pancakes!"]), NOON, "m1", speaker="Ida")
    assert not selection.takes(iter(["Waffles!"]), NOON, "m1", speaker="Bo")
    assert not selection.takes(iter(["Pancakes!"]), NOON - timedelta(seconds=1), "m1", speaker="Bo")
    named = Selection(ids=("m12", "manuals/p7"))
    assert named.takes(iter([]), NOON, "m12")
    assert named.takes(iter([]), NOON, "p7", "manuals")
    assert not named.takes(iter([]), NOON, "p7")
    assert not named.takes(iter([]), NOON, "m120")


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({}, "what to forget"),
        ({"ids": ("12",)}, "no id to forget"),
        ({"ids": ("m12; DROP",)}, "no id to forget"),
        ({"ids": ("m１２",)}, "no id to forget"),
        ({"since": NOON, "until": NOON}, "ends before it begins"),
    ],
)
def test_a_selection_that_says_nothing_is_refused(wrong: dict[str, object], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        Selection(**wrong)  # pyright: ignore[reportArgumentType]
