"""The offline model on hand-made prompts: how it reads them, what it streams, what it summarises."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagefault.models import Call, Completion, Delta, FunctionSchema, Prompt, PromptMessage, StreamItem
from pagefault.models.offline import OfflineModel
from pagefault.models.offline.facts import is_question, read
from pagefault.models.offline.keeping import is_durable, slots
from pagefault.models.offline.language import fold, sentences, units
from pagefault.models.offline.questions import parse
from pagefault.models.offline.reading import found_in, view

SCHEMA: dict[str, Any] = {"type": "object", "properties": {}}
MEMGPT = tuple(
    FunctionSchema(name, name, SCHEMA)
    for name in ("send_message", "working_context_append", "memory_search", "archival_insert")
)
NATIVE = MEMGPT[1:]
HEAD = """Instructions.
<working_context>
<persona about="who you are">
I am a helpful companion.
</persona>
<human about="facts about the user">
2026-11-20: My name is Ana.
</human>
</working_context>"""


def prompt(*messages: PromptMessage, functions: tuple[FunctionSchema, ...] = MEMGPT) -> Prompt:
    return Prompt((PromptMessage("system", HEAD), *messages), functions, 500)


def user(text: str, kind: str = "user", minute: int = 0) -> PromptMessage:
    return PromptMessage("user", f"[{kind} 2026-11-22 Sun 18:{minute:02}] {text}")


def stream(asked: Prompt) -> list[StreamItem]:
    async def drain() -> list[StreamItem]:
        return [item async for item in OfflineModel().stream(asked)]

    return asyncio.run(drain())


def complete(asked: Prompt) -> Completion:
    last = stream(asked)[-1]
    assert isinstance(last, Completion)
    return last


def said(completion: Completion) -> str:
    return json.loads(completion.calls[-1].arguments)["message"]


def test_its_name_and_window_are_as_given() -> None:
    assert (OfflineModel().name, OfflineModel().window, OfflineModel(8192).window) == ("offline", 4096, 8192)


def test_deltas_add_up_to_the_completion_which_comes_last_and_is_always_the_same() -> None:
    asked = prompt(user("I have a cat called Miso."))
    items = stream(asked)
    completion = items[-1]
    assert isinstance(completion, Completion)
    pieces = [item for item in items if isinstance(item, Delta)]
    assert [(piece.call, piece.name, piece.text) for piece in pieces] == [
        (index, call.name, call.arguments) for index, call in enumerate(completion.calls)
    ]
    assert stream(asked) == items


def test_call_ids_go_on_from_the_calls_in_the_prompt() -> None:
    earlier = PromptMessage("assistant", "", (Call("call_0", "send_message", '{"message": "Hello!"}'),))
    result = PromptMessage("tool", "Sent.", call_id="call_0", name="send_message")
    completion = complete(prompt(user("Hello"), earlier, result, user("Thanks")))
    assert [call.id for call in completion.calls] == ["call_1"]


def test_in_native_style_calls_come_first_and_text_speaks_when_they_are_done() -> None:
    told = user("I live in Porto.")
    first = complete(prompt(told, functions=NATIVE))
    assert (first.text, [call.name for call in first.calls]) == ("", ["working_context_append"])
    assert "request_heartbeat" not in first.calls[0].arguments
    done = PromptMessage("tool", "ok", call_id=first.calls[0].id, name="working_context_append")
    second = complete(prompt(told, PromptMessage("assistant", "", first.calls), done, functions=NATIVE))
    assert second.text
    assert second.calls == ()


def test_a_question_that_the_working_context_answers_is_still_searched_for_a_correction() -> None:
    completion = complete(prompt(user("What is my name?")))
    assert [call.name for call in completion.calls] == ["memory_search"]
    assert json.loads(completion.calls[0].arguments)["request_heartbeat"] is True


def test_what_the_queue_answers_is_answered_at_once() -> None:
    completion = complete(prompt(user("My boat is called Nix."), user("What's my boat called?", minute=1)))
    assert said(completion) == 'You told me on 2026-11-22: "My boat is called Nix."'


def test_functions_that_are_not_offered_are_not_called() -> None:
    speech = MEMGPT[:1]
    assert [call.name for call in complete(prompt(user("I live in Porto."), functions=speech)).calls] == [
        "send_message"
    ]
    assert said(complete(prompt(user("What is my name?"), functions=speech))).endswith('"My name is Ana."')


def test_a_failed_search_leads_to_other_ways_and_then_to_an_answer() -> None:
    messages = [user("Where is my bicycle?")]
    made: list[str] = []
    for _ in range(6):
        completion = complete(prompt(*messages))
        messages.append(PromptMessage("assistant", completion.text, completion.calls))
        made += [call.arguments for call in completion.calls]
        if completion.calls[0].name == "send_message":
            break
        failed = [
            PromptMessage("tool", "Error: no.", call_id=call.id, name=call.name) for call in completion.calls
        ]
        messages += failed
    assert len(set(made)) == len(made)
    assert "I don't know" in made[-1]


def test_the_prompt_is_read_with_edits_that_are_still_in_the_queue() -> None:
    arguments = json.dumps({"section": "human", "text": "2026-11-22: I live in Porto."})
    call = Call("call_0", "working_context_append", arguments)
    result = PromptMessage("tool", "ok", call_id="call_0", name=call.name)
    seen = view(
        prompt(
            PromptMessage("user", "[summary of earlier messages]\n2026-11-19: I ski."),
            PromptMessage("user", "[agent bob 2026-11-22 Sun 18:00] hi"),
            PromptMessage("assistant", "", (call,)),
            result,
            user("Hello\n[shown: 1 of 7 pages, 5,400 tokens in all; recall_read('m42', page=2) reads on]"),
        )
    )
    assert seen.sections["human"] == "2026-11-20: My name is Ana.\n2026-11-22: I live in Porto."
    assert seen.summary == "2026-11-19: I ski."
    assert [(row.kind, row.sender, row.text) for row in seen.rows] == [
        ("agent", "bob", "hi"),
        ("user", "", "Hello"),
    ]


def test_search_results_are_read_line_by_line() -> None:
    lines, more = found_in(
        "Showing 2 of 12 results (page 1/6)\n"
        "[recall m12 2026-11-20 Fri 18:54 user] I moved.\n"
        "[archival p7 2026-11-20 Fri 18:54 #facts #home] 2026-11-19: I live in Porto."
    )
    assert more
    assert [(line.number, line.speaker, line.at) for line in lines] == [
        (12, "user", "2026-11-20 18:54"),
        (7, "archival", "2026-11-20 18:54"),
    ]
    assert found_in("Showing 0 of 0 results (page 1/1)") == ((), False)


@pytest.mark.parametrize(
    ("sentence", "tags"),
    [
        ("I'm Ana, 31, and I live in Porto.", {"name:self", "age:self", "home:self"}),
        ("My sister Marta lives in Berlin.", {"home:#sister", "name:#sister"}),
        ("I adopted a beagle named Biscuit.", {"name:#dog"}),
        ("I turned forty-one in February.", {"age:self"}),
        ("我叫李明，今年三十岁，住在北京。", {"name:self", "age:self", "home:self"}),
        ("我妹妹叫小红，在上海当老师。", {"name:#sister", "job:#sister"}),
        ("我養了一隻貓，叫咪咪。", {"name:#cat"}),
    ],
)
def test_statements_give_attributes_of_owners(sentence: str, tags: set[str]) -> None:
    assert tags <= read(sentence).tags


@pytest.mark.parametrize(
    "sentence",
    [
        "There is a new poster about washing hands.",
        "The moon is enormous tonight.",
        "今天天气真好。",
        "Good morning!",
    ],
)
def test_chatter_gives_none(sentence: str) -> None:
    assert read(sentence).tags == frozenset()
    assert not is_durable(sentence)


def test_a_slot_is_shared_by_what_contradicts() -> None:
    assert slots("I live in Porto.") == slots("We've relocated to Lisbon.") == {"home:self"}
    assert slots("My favourite colour is teal.") & slots("Actually, my favourite colour is orange now.")
    assert not slots("My sister lives in Rome.") & slots("I live in Rome.")


@pytest.mark.parametrize(
    ("sentence", "asks"),
    [
        ("what's my name", True),
        ("Remind me where I live.", True),
        ("我住在哪里", True),
        ("我叫什么名字？", True),
        ("What a day!", False),
        ("今天没什么特别的事。", False),
        ("I know what you mean.", False),
    ],
)
def test_questions_are_known_with_and_without_a_mark(sentence: str, asks: bool) -> None:
    assert is_question(sentence) is asks


def test_a_question_is_parsed_to_owner_tags_and_needs() -> None:
    asked = parse("Hey, do you remember what my sister's dog is called?")
    assert asked.tags == {"name:#sister/#dog"}
    assert asked.about == "user"
    recalled = parse("Remember that time we talked about music? What was the artist you mentioned?")
    assert (recalled.about, recalled.presumed) == ("agent", True)
    assert parse("What did we talk about on 2026-13-45?").day is None


def test_units_are_shared_by_both_languages_and_both_scripts() -> None:
    assert "#dog" in units(fold("a puppy")) & units(fold("一隻小狗"))
    assert sentences("I saw Dr. Chen. 然后回家了。Nice!") == ["I saw Dr. Chen.", "然后回家了。", "Nice!"]


def summary_of(previous: str, messages: str, bound: int) -> str:
    wish = f"Write the new summary in at most {bound} tokens."
    request = f"Previous summary:\n{previous}\n\nMessages:\n{messages}\n\n{wish}"
    return complete(
        Prompt((PromptMessage("system", "Compress."), PromptMessage("user", request)), (), bound)
    ).text


def test_a_summary_keeps_dated_facts_and_only_the_newest_of_a_slot() -> None:
    messages = "[user 2026-11-22 Sun 18:54] I moved to Lisbon. How are you?\n[assistant] Noted."
    previous = "2026-11-20: I live in Porto.\n2026-11-20: My cat is called Miso."
    assert (
        summary_of(previous, messages, 200)
        == "2026-11-20: My cat is called Miso.\n2026-11-22: I moved to Lisbon."
    )


def test_a_summary_keeps_facts_before_chatter_within_its_bound() -> None:
    rows = [f"[user 2026-11-22 Sun 18:54] The weather is fine on day {day}." for day in range(40)]
    messages = "\n".join(["[user 2026-11-22 Sun 18:54] I'm allergic to walnuts.", *rows])
    summary = summary_of("(none)", messages, 60)
    assert "walnuts" in summary
    assert len(summary.split()) < 60


@given(st.lists(st.tuples(st.sampled_from(["user", "login", "odd_kind"]), st.text(max_size=80)), max_size=4))
def test_no_text_is_an_error(rows: list[tuple[str, str]]) -> None:
    completion = complete(prompt(*(user(text, kind) for kind, text in rows)))
    for call in completion.calls:
        assert isinstance(json.loads(call.arguments), dict)


def test_a_step_on_a_full_window_takes_milliseconds() -> None:
    rows = [
        user(f"The ferry number {n} was late again, and my umbrella was no help.", minute=n % 60)
        for n in range(150)
    ]
    asked = prompt(*rows, user("Where do I live?"))
    complete(asked)
    started = time.process_time()
    complete(asked)
    assert time.process_time() - started < 0.1
