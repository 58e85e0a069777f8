"""Facts read as statements, and their words: what is the same, and what contradicts what."""

from __future__ import annotations

import random

import pytest

from benchmark_pairs import Pair, pairs_of
from pagefault.retrieval.languages import languages
from pagefault.retrieval.statements import contradict, read_statement
from pagefault.retrieval.wording import are_turned, is_dated, words_of

KNOWN_WRONG = {"Olga lives in Camden."}
"""A part of a city is not known to be one."""


def is_contradiction(old: str, new: str) -> bool:
    one, other = read_statement(old), read_statement(new)
    return bool(one and other and contradict(other, one))


def is_double(old: str, new: str) -> bool:
    if words_of(old) == words_of(new) or are_turned(words_of(old), words_of(new)):
        return True
    one, other = read_statement(old), read_statement(new)
    return bool(one and other and other.is_same(one))


@pytest.mark.parametrize(
    "pair", [*pairs_of("tidying-1.tsv"), *pairs_of("tidying-2.tsv")], ids=lambda pair: pair.new
)
def test_nothing_is_found_that_is_not_there(pair: Pair) -> None:
    found = is_double(pair.old, pair.new) if pair.kind == "double" else is_contradiction(pair.old, pair.new)
    if not pair.label and pair.new not in KNOWN_WRONG:
        assert not found, pair


@pytest.mark.parametrize("kind", ["double", "contradiction"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_most_is_found(kind: str, language: str) -> None:
    asked = [
        pair
        for name in ("tidying-1.tsv", "tidying-2.tsv")
        for pair in pairs_of(name)
        if (pair.kind, pair.language, pair.label) == (kind, language, True)
    ]
    judge = is_double if kind == "double" else is_contradiction
    assert sum(judge(pair.old, pair.new) for pair in asked) >= 0.7 * len(asked)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("The meeting moved to Friday.", "The meeting moved to Room 5."),
        ("Bob lives in Lisbon.", "Bob moved to Marketing."),
        ("My manager is Bob.", "My manager is nice."),
        ("Ana works at Acme.", "Ana works at home."),
        ("Ana has two cats.", "Ana has three dogs."),
        ("My phone is a Pixel 7.", "My phone number is 555 1234."),
        ("Ana's husband is Bob.", "Ana's husband is Portuguese."),
        ("My name is Bob.", "My name is Bob Smith."),
        ("My job is hard.", "My job is a nurse."),
        ("Ana lives in Porto with Bob.", "Ana lives in Lisbon."),
        ("Ana lives in Lisbon in winter.", "Ana lives in Porto in summer."),
        ("Ana lives in Lisbon. She works at Acme.", "Ana lives in Porto."),
        ("Ana lives in Lisbon.", "Bob: Ana lives in Porto."),
        ("小明叫王明。", "小明叫我吃饭。"),
        ("小明在腾讯工作。", "小明在家工作。"),
        ("小明住在上海。", "小明住在公司附近。"),
        ("小明住在上海。", "小红说小明住在北京。"),
    ],
)
def test_what_can_stand_beside_the_other_stays(old: str, new: str) -> None:
    assert not is_contradiction(old, new)
    assert not is_contradiction(new, old)


@pytest.mark.parametrize(
    ("text", "subject", "attribute", "value", "denied"),
    [
        ("My phone number is 555-1234", "i", "phone", "5551234", False),
        ("Bob's new email address is now Bob@Acme.example", "bob", "email", "bob@acme.example", False),
        ("Ana no longer lives in Porto.", "ana", "home", "porto", True),
        ("小明不住在上海了。", "小 明", "home", "上海", True),
        ("The guest wifi password is b0At", "guest wifi", "password", "b0At", False),
    ],
)
def test_a_statement_is_taken_apart(
    text: str, subject: str, attribute: str, value: str, denied: bool
) -> None:
    said = read_statement(text)
    assert said is not None
    assert (said.subject, said.attribute, said.value, said.denied) == (subject, attribute, value, denied)


@pytest.mark.parametrize(
    "text",
    [
        "", "?", "Does Ana live in Porto?", "If Ana lives in Porto, she walks.", "Ana might live in Porto.",
        "Bob said \"Ana lives in Porto\".", "Ana lives in Porto\nAna lives in Lisbon", "x" * 161,
        "如果小明住在北京就好了", "小明住在北京吗？", "听说小明住在北京", "“小明住在北京”",
    ],
)  # fmt: skip
def test_no_statement_is_read(text: str) -> None:
    assert read_statement(text) is None


def test_words_differ_where_sense_does() -> None:
    assert words_of("Ana's dog, a poodle, doesn't bite!") == words_of("ana's dog a poodle does not bite")
    for old, new in (
        ("a few", "few"),
        ("-5 C", "5 C"),
        ("US law", "us law"),
        ("1.5 l", "15 l"),
        ("a/b", "a b"),
    ):
        assert words_of(old) != words_of(new), (old, new)
    assert is_dated("I ran today")
    assert is_dated("我今天跑步了")
    assert not is_dated("I ran")


def test_lists_of_facts_are_read() -> None:
    with_facts = [language for language in languages() if language.facts]
    assert {language.code for language in with_facts} >= {"en", "zh"}
    for language in with_facts:
        assert read_statement({"en": "Ana lives in Porto", "zh": "小明住在上海"}[language.code]) is not None


def test_any_text_is_read() -> None:
    chance = random.Random(7)
    words = [
        "I",
        "my",
        "Ana",
        "Bob's",
        "the",
        "is",
        "not",
        "does",
        "moved",
        "to",
        "in",
        "3",
        ",",
        ".",
        "lives",
        "number",
        "a",
        "'",
        "-",
        "@",
        "小明",
        "住在",
        "上海",
        "的",
        "是",
        "不",
        "了",
    ]
    texts = [
        "A." * 80,
        "My " + "a" * 150,
        "Ana " * 40,
        "我的" * 80,
        "A b's " * 26,
        "-" * 160,
        "the " + "ab " * 50,
    ]
    texts += [" ".join(chance.choice(words) for _ in range(chance.randint(0, 40))) for _ in range(2_000)]
    for text in texts:  # a pattern that takes exponential time would not end
        read_statement(text)
        words_of(text)
