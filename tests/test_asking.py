"""Reading a message: if it asks for something that memory may hold, and which kind of answer it wants."""

from __future__ import annotations

import pytest

from asking_examples import ASKS, ASKS_NOTHING, KINDS
from pagefault.retrieval.asking import Kind, read
from pagefault.retrieval.languages import languages
from pagefault.retrieval.query import understand


def lines(texts: str) -> list[str]:
    return [line.strip() for line in texts.splitlines() if line.strip()]


@pytest.mark.parametrize("text", [text for code in ASKS for text in lines(ASKS[code])])
def test_a_question_or_a_request_asks(text: str) -> None:
    assert read(text).asks


@pytest.mark.parametrize("text", [text for code in ASKS_NOTHING for text in lines(ASKS_NOTHING[code])])
def test_statements_thanks_and_phrases_of_contact_ask_nothing(text: str) -> None:
    assert not read(text).asks


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind in KINDS for text in lines(KINDS[kind])])
def test_kinds_of_answer(kind: Kind, text: str) -> None:
    assert read(text).kind == kind
    assert understand(text).asking == read(text)


@pytest.mark.parametrize(
    "text", ["帮我 summarize 一下 the last meeting", "Kannst du das please summarize, danke"]
)
def test_a_sentence_in_two_languages_is_read_in_both(text: str) -> None:
    assert read(text).asks


def test_of_a_long_message_the_beginning_and_the_end_are_read() -> None:
    paste = "The fence was painted. " * 1000
    assert read(f"Where is the key? {paste}").asks
    assert read(f"{paste} Where is the key?").asks
    assert not read(paste).asks
    assert not read("").asks


LISTS = {
    *("filler", "mask", "idle", "contact", "question", "particle", "request", "asking", "said"),
    *("fact", "order", "summary", "list", "advice"),
}


def test_of_many_sentences_the_first_and_the_last_are_read() -> None:
    """Each is read in all the languages that it may be in."""
    lines = ["*", "ﷺ"] * 200
    asks = "What did I say?"
    assert not read("\n".join([*lines[:200], asks, *lines[200:]])).asks
    assert read("\n".join([asks, *lines])).asks
    assert read("\n".join([*lines, asks])).asks


def test_every_language_has_the_lists_by_which_messages_are_read() -> None:
    assert {language.code for language in languages()} == set(ASKS) == set(ASKS_NOTHING)
    for language in languages():
        assert not LISTS.difference(language.phrases.texts), language.code
