"""The offline model reading: what was said in a conversation, by whom, when; documents; a prompt with its
texts in it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from pagefault.models import Call, Completion, FunctionSchema, Prompt, PromptMessage
from pagefault.models.offline import OfflineModel
from pagefault.models.offline.dates import meant
from pagefault.models.offline.reading import found_in

SCHEMA: dict[str, Any] = {"type": "object", "properties": {}}
FUNCTIONS = tuple(
    FunctionSchema(name, name, SCHEMA)
    for name in ("send_message", "memory_search", "recall_search", "archival_search")
)
FORM = "Reply as ANSWER: <answer>, DOCUMENT: <title>, or INSUFFICIENT INFORMATION."
LEFT = "Showing 5 of 9 results (page 1/2)\n"
ALL = "Showing 5 of 5 results (page 1/1)\n"
TALK = """[recall m4 2026-01-01 Thu 18:03 assistant] I play the cello, badly. How about you?
[recall m3 2026-01-01 Thu 18:02 user] Do you play an instrument?
[recall m9 2026-01-08 Thu 18:02 user] The music was too loud for me.
[recall m6 2026-01-01 Thu 18:05 assistant] Lovely weather today."""
TWO = """[recall m2 2023-05-08 Mon 13:57 user] Ana: I went to the pottery class yesterday.
[recall m3 2023-05-08 Mon 13:58 user] Ben: Nice. I have never tried clay.
[recall m7 2023-06-09 Fri 10:00 user] Ben: My violin was repaired last week."""
DOCUMENTS = """[archival p3 2026-01-01 Thu 09:00 Tides, p. 4] The barrage at La Rance opened in 1966. Long.
[archival p8 2026-01-01 Thu 09:00 Lighthouses] The lamp of Phare du Bout was lit by oil."""


def complete(prompt: Prompt) -> Completion:
    async def last() -> Completion:
        found = [item async for item in OfflineModel().stream(prompt) if isinstance(item, Completion)]
        return found[-1]

    return asyncio.run(last())


def asked(
    question: str, *results: tuple[str, Mapping[str, object], str], head: str = "", more: tuple[str, ...] = ()
) -> Completion:
    """The completion after these calls and results. ``more``: functions that are offered besides."""
    messages = [
        PromptMessage("system", head),
        PromptMessage("user", f"[user 2026-03-01 Sun 18:00] {question}"),
    ]
    for number, (name, arguments, result) in enumerate(results):
        call = Call(f"c{number}", name, json.dumps(arguments))
        messages += [
            PromptMessage("assistant", "", (call,)),
            PromptMessage("tool", result, call_id=call.id, name=name),
        ]
    functions = (*FUNCTIONS, *(FunctionSchema(name, name, SCHEMA) for name in more))
    return complete(Prompt(tuple(messages), functions, 500))


def calls(completion: Completion) -> list[tuple[str, dict[str, Any]]]:
    return [(call.name, json.loads(call.arguments)) for call in completion.calls]


def said(completion: Completion) -> str:
    ((name, arguments),) = calls(completion)
    assert name == "send_message"
    return arguments["message"]


def given(text: str, brief: str = "Answer from the text below.") -> str:
    return complete(Prompt((PromptMessage("system", brief), PromptMessage("user", text)), (), 500)).text


REMEMBER = "Hey, remember when we talked about music? What instrument did you say you play?"


def test_a_question_about_an_earlier_talk_is_searched_for_as_it_stands_page_by_page() -> None:
    first = {"query": REMEMBER}
    assert calls(asked(REMEMBER)) == [("recall_search", {**first, "request_heartbeat": True})]
    (again,) = calls(asked(REMEMBER, ("recall_search", first, LEFT + TALK)))
    assert again == ("recall_search", {**first, "page": 2, "request_heartbeat": True})


def test_pages_that_fill_the_window_are_not_turned() -> None:
    long = "\n".join(f"[recall m{n} 2026-01-01 Thu 18:00 user] {'cello ' * 90}" for n in range(5))
    assert said(asked(REMEMBER, ("recall_search", {"query": REMEMBER}, LEFT + long)))


def test_the_turn_that_answers_is_quoted_before_others_by_the_one_who_said_it() -> None:
    reply = said(asked(REMEMBER, ("recall_search", {"query": REMEMBER}, ALL + TALK)))
    assert reply.startswith('I said: "I play the cello, badly."')
    assert len(reply.split()) <= 40


def test_what_says_nothing_is_not_quoted() -> None:
    chat = TALK.replace("How about you?", "Wow, that's great! Yes!")
    reply = said(asked(REMEMBER, ("recall_search", {"query": REMEMBER}, ALL + chat)))
    assert "cello" in reply
    assert "great" not in reply
    assert "Yes" not in reply


def test_what_was_retold_before_is_not_retold_again() -> None:
    retold = '[recall m12 2026-02-01 Sun 18:00 assistant] I said: "I play the instrument, the tuba."'
    reply = said(asked(REMEMBER, ("recall_search", {"query": REMEMBER}, f"{ALL}{retold}\n{TALK}")))
    assert "tuba" not in reply


@pytest.mark.parametrize(
    ("question", "reply"),
    [
        ("When did Ana go to the pottery class?", "7 May 2023. Ana said on 8 May 2023:"),
        ("When was Ben's violin repaired?", "the week before 9 June 2023. Ben said on 9 June 2023:"),
        ("What was repaired for Ben?", 'Ben said: "My violin was repaired last week."'),
    ],
)
def test_of_people_who_speak_by_name_each_is_asked_about_and_days_are_told(question: str, reply: str) -> None:
    searched = ("memory_search", {"query": "x"}, ALL + TWO)
    assert calls(asked(question, searched))[0][1]["query"] == question
    assert said(asked(question, searched, ("recall_search", {"query": question}, ALL + TWO))).startswith(
        reply
    )


def test_an_attribute_of_one_who_speaks_is_found_by_its_words() -> None:
    lines = (
        "[2024-03-03 Sun 10:00] Theo: I adopted a greyhound, and she is called Pepper.\n"
        "[2024-03-03 Sun 10:01] Nora: Is she fast?\n"
        "[2024-03-03 Sun 10:02] Theo: She mostly sleeps."
    )
    assert "Pepper" in given(f"Conversation:\n{lines}\n\nQuestion: What is the name of Theo's greyhound?")
    assert "don't know" in given(f"Conversation:\n{lines}\n\nQuestion: What is the name of Nora's cat?")


def test_what_one_told_is_not_known_of_the_other() -> None:
    question = "When did Ben go to the pottery class?"
    searched = ("memory_search", {"query": "x"}, ALL + TWO)
    assert "don't know" in said(asked(question, searched, ("recall_search", {"query": question}, ALL + TWO)))


@pytest.mark.parametrize(
    ("question", "reply"),
    [
        (
            "when was the la rance barrage opened",
            "ANSWER: The barrage at La Rance opened in 1966, DOCUMENT: Tides",
        ),
        ("who composed the opera turandot", "INSUFFICIENT INFORMATION"),
    ],
)
def test_documents_are_answered_from_in_the_form_that_the_task_asks_for(question: str, reply: str) -> None:
    head = f"<working_context><task>\n{FORM}\n</task></working_context>"
    assert calls(asked(question, head=head))[0][0] == "archival_search"
    found = ("archival_search", {"query": question}, ALL + DOCUMENTS)
    assert said(asked(question, found, head=head)) == reply
    passages = "[1] (Tides) The barrage at La Rance opened in 1966. Long."
    assert given(f"Passages:\n{passages}\n\nQuestion: {question}", FORM) == reply


def test_the_first_documents_that_are_found_are_read_whole() -> None:
    head = f"<working_context><task>\n{FORM}\n</task></working_context>"
    question = "how many tonnes of concrete are in the barrage"
    found = ("archival_search", {"query": question}, ALL + DOCUMENTS)
    opening = calls(asked(question, found, head=head, more=("archival_read",)))
    assert [(name, arguments["id"]) for name, arguments in opening] == [
        ("archival_read", "p3"),
        ("archival_read", "p8"),
    ]
    label = "[archival p3 2026-01-01 Thu 09:00 Tides, p. 4] page 1/1\n"
    whole = "The barrage at La Rance opened in 1966. The barrage holds 350 tonnes of concrete."
    read = ("archival_read", {"id": "p3"}, label + whole)
    missing = ("archival_read", {"id": "p8"}, "Error: There is no p8.")
    reply = said(asked(question, found, read, missing, head=head, more=("archival_read",)))
    assert reply == "ANSWER: The barrage holds 350 tonnes of concrete, DOCUMENT: Tides"


def test_a_conversation_in_the_prompt_is_read_as_one_that_was_found() -> None:
    lines = (
        "[2026-01-01 Thu 18:02] user: Do you play an instrument?\n"
        "[2026-01-01 Thu 18:03] assistant: I play the cello, badly. How about you?\n"
        "[2026-01-08 Thu 18:02] user: The music was too loud for me."
    )
    reply = given(f"Conversation:\n{lines}\n\nQuestion: {REMEMBER}")
    assert reply.startswith('I said: "I play the cello, badly."')
    named = lines.replace("user", "Ana").replace("assistant", "Ben")
    assert "don't know" in given(f"Conversation:\n{named}\n\nQuestion: Does Ana play the cello badly?")


def test_a_summary_in_the_prompt_says_who_said_it() -> None:
    summary = "2026-01-01: assistant: I play the cello, badly.\n2026-01-08: The music was too loud for me."
    reply = given(f"Summary of the conversation:\n{summary}\n\nQuestion: {REMEMBER}")
    assert reply.startswith('I said: "I play the cello, badly."')


def test_nothing_in_the_prompt_is_no_answer() -> None:
    assert "don't know" in given("Conversation:\n\nQuestion: Where does Ana live?")
    assert "不知道" in given("Conversation:\n\nQuestion: 安娜住在哪里？")


def test_that_nothing_is_known_is_told_in_the_words_that_the_task_asks_for() -> None:
    told = "If it does not say, answer NO ANSWER."
    assert given("Conversation:\n\nQuestion: Where does Ana live?", told) == "NO ANSWER"
    question = "When did Ben go to the pottery class?"
    searched = ("memory_search", {"query": "x"}, ALL + TWO)
    read = ("recall_search", {"query": question}, ALL + TWO)
    head = f"<working_context><task>\n{told}\n</task></working_context>"
    assert said(asked(question, searched, read, head=head)) == "NO ANSWER"


def test_a_summary_keeps_what_the_agent_said_of_itself_but_not_what_it_retold() -> None:
    rows = (
        "[user 2026-01-01 Thu 18:02] I live in Porto.\n[assistant] I live in Faro.\n"
        '[assistant] You told me: "I live in Rome."'
    )
    request = f"Previous summary:\n(none)\n\nMessages:\n{rows}\n\nWrite the new summary in at most 80 tokens."
    assert given(request) == "2026-01-01: I live in Porto.\n2026-01-01: assistant: I live in Faro."


def test_results_give_the_titles_of_documents_and_the_names_of_speakers() -> None:
    lines, more = found_in(ALL + DOCUMENTS + "\n[recall m3 2023-05-08 Mon 13:58 user Ben] Nice.\n")
    assert [(line.speaker, line.name) for line in lines] == [
        ("archival", "Tides"),
        ("archival", "Lighthouses"),
        ("user", "Ben"),
    ]
    assert not more


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("We met yesterday.", "8 June 2023"),
        ("She arrives tomorrow.", "10 June 2023"),
        ("It was two months ago.", "April 2023"),
        ("It was 3 weeks ago.", "3 weeks before 9 June 2023"),
        ("I retired last year.", "2022"),
        ("We start next month.", "July 2023"),
        ("It rained last Friday.", "the Friday before 9 June 2023"),
        ("我们昨天见过面。", "2023-06-08"),
        ("It rains.", ""),
        ("We left 999999999 days ago.", ""),
    ],
)
def test_days_are_told_from_the_day_of_telling(text: str, day: str) -> None:
    assert meant(text, "2023-06-09 10:00") == day
