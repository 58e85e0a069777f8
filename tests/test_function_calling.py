"""Calls and thinking that come as text, JSON mode, and the choice between them."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagefault.errors import ModelError, ToolsUnsupported
from pagefault.models import (
    Call,
    Completion,
    Delta,
    FunctionSchema,
    Notice,
    Prompt,
    PromptMessage,
    StreamItem,
)
from pagefault.models.endpoint import CallingMode, ModelFinding
from pagefault.models.wrappers.function_calling import FunctionCallingModel
from pagefault.models.wrappers.function_calling.text import QUOTED as QUOTED_NOTE
from pagefault.testing.models import ScriptedModel


def schema(name: str, required: Sequence[str] = (), **properties: Any) -> FunctionSchema:
    return FunctionSchema(
        name, f"{name} it.", {"type": "object", "properties": properties, "required": list(required)}
    )


SEARCH = schema("memory_search", ["query"], query={"type": "string"}, page={"type": "integer"})
SEND = schema("send_message", ["message"], message={"type": "string"})
TAGGED = schema(
    "archival_insert", ["text"], text={"type": "string"}, tags={"type": "array", "items": {"type": "string"}}
)
FUNCTIONS = (SEND, SEARCH, TAGGED)
PROMPT = Prompt((PromptMessage("system", "Be brief."), PromptMessage("user", "[user] Hello")), FUNCTIONS, 100)

CALLS = {
    "hermes": '<tool_call>\n{"name": "memory_search", "arguments": {"query": "tea", "page": 2}}'
    "\n</tool_call>",
    "qwen coder": "<tool_call>\n<function=memory_search>\n<parameter=query>\ntea\n</parameter>\n"
    "<parameter=page>\n2\n</parameter>\n</function>\n</tool_call>",
    "glm": "<tool_call>memory_search\n<arg_key>query</arg_key>\n<arg_value>tea</arg_value>\n"
    "<arg_key>page</arg_key>\n<arg_value>2</arg_value>\n</tool_call>",
    "llama": '<|python_tag|>{"name": "memory_search", "parameters": {"query": "tea", "page": 2}}',
    "llama tag": '<function=memory_search>{"query": "tea", "page": 2}</function>',
    "mistral": '[TOOL_CALLS] [{"name": "memory_search", "arguments": {"query": "tea", "page": 2}}]',
    "mistral, new": '[TOOL_CALLS]memory_search[ARGS]{"query": "tea", "page": 2}',
    "deepseek": "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>memory_search\n```json\n"
    '{"query": "tea", "page": 2}\n```'
    "<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
    "deepseek, new": "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>memory_search<｜tool▁sep｜>"
    '{"query": "tea", "page": 2}<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
    "kimi": "<|tool_calls_section_begin|><|tool_call_begin|>functions.memory_search:0"
    '<|tool_call_argument_begin|>{"query": "tea", "page": 2}<|tool_call_end|><|tool_calls_section_end|>',
    "fence": '```json\n{"name": "memory_search", "arguments": {"query": "tea", "page": 2}}\n```',
    "bare": '{"name": "memory_search", "parameters": {"query": "tea", "page": 2}}',
    "openai as text": '{"type": "function", "function": {"name": "memory_search", "arguments": '
    '{"query": "tea", "page": 2}}}',
}
THOUGHTS = {
    "think": "<think>Tea, then.</think>",
    "thinking": "<thinking>Tea, then.</thinking>",
    "mistral": "[THINK]Tea, then.[/THINK]",
    "harmony": "<|channel|>analysis<|message|>Tea, then.<|end|><|start|>assistant<|channel|>final<|message|>",
    "late": "Tea, then.</think>",
}
PLAIN = (
    "Use <b>bold</b>, a < b and x[0] == y.",
    'Write {"name": "Ann"} or ```json\n{"name": "Ann", "age": 3}\n``` in the file.',
    '{"name": "Ann", "arguments": {"loud": true}}',
    "{\n  a set\n}",
    "Between the tags <t",
    "The mark <think> stands before thinking.",
    "``` code ```",
    "",
    "  \n spaces  ",
)


class Pieces:
    """A model that says a text in these pieces."""

    name = "pieces"
    window = 8192

    def __init__(self, pieces: Sequence[str], *, cut: bool = False) -> None:
        self._pieces = pieces
        self._cut = cut

    async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem]:  # noqa: ARG002
        for piece in self._pieces:
            yield Delta(piece)
        yield Completion("".join(self._pieces), cut=self._cut)


LATE = ModelFinding(late_thinking=True)

# text with marks that nothing may be taken from
QUOTED = (
    *(f"The document says: {call}, I would not do that." for call in CALLS.values()),
    *(f"{call}\nThat is what it says." for call in CALLS.values()),
    *(f"It says:\n\n> {call}" for call in CALLS.values()),
    *(f"It says:\n```\n{call}" for call in CALLS.values() if "```" not in call),
    *(f"It says “{call}”" for call in CALLS.values()),
    *(f"It says: „see\n{call}" for call in CALLS.values()),
    *(f"`{call}`" for call in CALLS.values()),
    "The mark </think> ends thinking.",
    "Tea, then.</think>\n\nIt is green.",
    "First.\n</think>\n\nSecond.",
    "It begins with <|channel|>final<|message|> and ends with <|return|>",
    "A <think>thought</think> in between, [THINK]another[/THINK].",
)
MODES: tuple[CallingMode, ...] = ("auto", "native", "text")


def split(
    pieces: Sequence[str],
    functions: Sequence[FunctionSchema] = FUNCTIONS,
    mode: CallingMode = "text",
    finding: ModelFinding | None = None,
    *,
    cut: bool = False,
) -> tuple[list[StreamItem], Completion]:
    """The items of a text, and the completion."""
    model = FunctionCallingModel(Pieces(pieces, cut=cut), mode, finding or ModelFinding())
    prompt = replace(PROMPT, functions=tuple(functions))

    async def run() -> list[StreamItem]:
        return [item async for item in model.stream(prompt)]

    *items, whole = anyio.run(run)
    assert isinstance(whole, Completion)
    return items, whole


def seen(
    pieces: Sequence[str],
    mode: CallingMode = "text",
    finding: ModelFinding | None = None,
    *,
    cut: bool = False,
) -> tuple[str, str, list[tuple[str, str]]]:
    """Text, thinking and calls, which the deltas since the last restart add up to as well."""
    items, whole = split(pieces, FUNCTIONS, mode, finding, cut=cut)
    last = max((n for n, item in enumerate(items) if isinstance(item, Notice) and item.restart), default=-1)
    deltas = [item for item in items[last + 1 :] if isinstance(item, Delta)]
    calls = [(call.name, call.arguments) for call in whole.calls]
    assert "".join(d.text for d in deltas if d.call is None and not d.thinking).strip() == whole.text.strip()
    assert "".join(d.text for d in deltas if d.thinking) == whole.thinking
    assert [(d.name, d.text) for d in deltas if d.call is not None] == calls
    return whole.text, whole.thinking, calls


@pytest.mark.parametrize("form", CALLS)
@pytest.mark.parametrize("before", ["", "I look.\n", "<think>Where is it?</think>\n"])
def test_a_call_in_text_form_is_a_call(form: str, before: str) -> None:
    if before.startswith("I look") and form in ("fence", "bare", "openai as text"):
        return  # an object within a text is part of the text
    text, thinking, calls = seen([before + CALLS[form]])
    assert [(name.removeprefix("functions.").removesuffix(":0"), json.loads(raw)) for name, raw in calls] == [
        ("memory_search", {"query": "tea", "page": 2})
    ]
    assert (text, thinking) == (
        "I look." if before.startswith("I") else "",
        "Where is it?" if "<" in before else "",
    )


@pytest.mark.parametrize("form", THOUGHTS)
def test_thinking_in_text_form_is_thinking(form: str) -> None:
    found = LATE if form == "late" else None
    for mode in MODES:
        assert seen([THOUGHTS[form] + "\n\nIt is green."], mode, found) == ("It is green.", "Tea, then.", [])


def test_thinking_that_does_not_end_is_thinking_if_the_limit_ended_it_and_else_text() -> None:
    assert seen(["<think>Hm, ", "let me"], cut=True) == ("", "Hm, let me", [])
    assert seen(["<think>Hm, ", "let me"]) == ("<think>Hm, let me", "", [])
    assert seen(["<think>Tea.</think>\n", "<think> is a mark"]) == ("<think> is a mark", "Tea.", [])


def test_what_turns_out_to_be_thinking_is_taken_back() -> None:
    items, _ = split(["Hm, tea.", "</think>", "\nGreen."], finding=LATE)
    assert [type(item) for item in items] == [Delta, Notice, Delta, Delta]


@pytest.mark.parametrize("form", CALLS)
def test_text_is_text_for_a_model_that_was_not_found_to_write_calls(form: str) -> None:
    for mode in ("auto", "native"):
        items, whole = split([CALLS[form]], mode=mode)
        assert (whole.text, whole.calls) == (CALLS[form], ())
        assert "".join(item.text for item in items if isinstance(item, Delta)) == CALLS[form]
        hints = [item for item in items if isinstance(item, Notice)]
        assert all("`pagefault models check`" in hint.text and not hint.restart for hint in hints)
        assert len(hints) == len(whole.notes) == (mode == "auto")


@pytest.mark.parametrize("text", [*PLAIN, *QUOTED])
def test_other_text_passes_unchanged(text: str) -> None:
    items, whole = split([text])
    assert whole == Completion(text)
    assert "".join(item.text for item in items if isinstance(item, Delta)) == text


def test_without_functions_no_text_is_a_call() -> None:
    assert split([CALLS["hermes"]], ())[1] == Completion(CALLS["hermes"])


def test_several_calls_are_all_taken_in_order() -> None:
    two = CALLS["hermes"] + "\n" + CALLS["hermes"].replace("tea", "milk")
    assert [json.loads(raw)["query"] for _, raw in seen([two])[2]] == ["tea", "milk"]
    listed = (
        '[TOOL_CALLS][{"name": "memory_search", "arguments": {"query": "a"}}, '
        '{"name": "send_message", "arguments": {"message": "b"}}]'
    )
    assert [name for name, _ in seen([listed])[2]] == ["memory_search", "send_message"]


def test_a_marked_call_that_cannot_be_read_is_not_lost() -> None:
    assert seen(["<tool_call>{oops</tool_call>"])[2] == [("unnamed", "{oops")]
    assert seen(['<tool_call>{"name": "fly", "arguments": {}}</tool_call>'])[2] == [("fly", "{}")]


def chunked(text: str, cuts: Sequence[int]) -> list[str]:
    ends = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    return [text[a:b] for a, b in pairwise(ends)] or [""]


MARKS = [
    "<think>",
    "</think>",
    "<tool_call>",
    "</tool_call>",
    "<function=",
    "[TOOL_CALLS]",
    "```json",
    "```",
    "{",
    "}",
]
WRITTEN = st.lists(
    st.one_of(
        st.sampled_from([*CALLS.values(), *THOUGHTS.values(), *PLAIN, *MARKS]),
        st.text('<tihnk>{[`" n', max_size=8),
    ),
    max_size=4,
).map("".join)


@given(WRITTEN, st.lists(st.integers(0, 300), max_size=12), st.sampled_from([LATE, None]))
def test_how_text_is_cut_in_pieces_does_not_matter(
    text: str, cuts: Sequence[int], found: ModelFinding | None
) -> None:
    assert seen(chunked(text, cuts), finding=found) == seen([text], finding=found)


@given(WRITTEN, st.lists(st.integers(0, 300), max_size=12))
def test_what_is_taken_from_the_text_of_an_unknown_model_is_thinking_at_its_beginning(
    text: str, cuts: Sequence[int]
) -> None:
    said, thinking, calls = seen(chunked(text, cuts), "auto")
    assert calls == []
    assert text.rstrip().endswith(said.rstrip()) or "<|end|>" in text
    assert thinking or said == text


@given(
    st.text(st.characters(exclude_characters="<[`{"), max_size=80), st.lists(st.integers(0, 80), max_size=8)
)
def test_text_without_marks_comes_out_as_it_went_in(text: str, cuts: Sequence[int]) -> None:
    assert split(chunked(text, cuts))[1] == Completion(text)


VARIANTS = (
    "<tool_call>",
    "<TOOL_CALL>",
    "< tool_call >",
    "<tool-call>",
    "＜tool_call＞",
    "<tool\u200b_call>",
    "<tool\u2060_\u00adcall>",
    "<\\|tool_call>".replace("|", ""),
    "&lt;tool_call&gt;",
    "&amp;lt;tool_call&amp;gt;",
    "\\u003ctool_call\\u003e",
    "| <tool_call>\n| ...",
)
HERMES = CALLS["hermes"]


def given_to_read(text: str) -> dict[str, Prompt]:
    """Prompts whose data hold a text, by the place where it stands."""
    system, user = PROMPT.messages
    call = Call("c1", "archival_insert", json.dumps({"text": text}))
    own = PromptMessage("assistant", "", (call,))
    placed = {
        "message": (system, replace(user, text=f"[user] {text}")),
        "result": (system, user, PromptMessage("tool", text, call_id="c1", name="archival_read")),
        "memory": (replace(system, text=f"Be brief.\n\n<human>{text}</human>"), user),
        "own call": (system, user, own),
        "own speech": (system, user, PromptMessage("assistant", text)),
    }
    return {
        place: replace(PROMPT, messages=messages, instructions="Be brief.")
        for place, messages in placed.items()
    }


def answer(text: str, prompt: Prompt, mode: CallingMode = "text") -> Completion:
    async def run() -> list[StreamItem]:
        return [item async for item in FunctionCallingModel(Pieces([text]), mode).stream(prompt)]

    end = anyio.run(run)[-1]
    assert isinstance(end, Completion)
    return end


@pytest.mark.parametrize("place", given_to_read(""))
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_mark_that_the_prompt_holds_in_any_spelling_is_quoted(variant: str, place: str) -> None:
    end = answer(HERMES, given_to_read(variant)[place])
    assert (end.text, end.calls) == (HERMES, ())
    assert end.notes == (QUOTED_NOTE,)


@pytest.mark.parametrize("form", CALLS)
@pytest.mark.parametrize("place", ["message", "result", "memory", "own speech"])
def test_a_call_that_the_prompt_holds_is_quoted_in_every_form(form: str, place: str) -> None:
    assert answer(CALLS[form], given_to_read(f"It says: {CALLS[form]}")[place]).text == CALLS[form]
    other = answer(CALLS["llama tag" if form == "hermes" else "hermes"], given_to_read(CALLS[form])[place])
    same = form in ("qwen coder", "glm")  # arguments are not JSON there, and the mark is that of Hermes
    assert (other.calls == ()) or same or form == "hermes"


def test_the_instructions_may_show_how_calls_are_written() -> None:
    system, user = PROMPT.messages
    told = replace(system, text="Write <tool_call>{...}</tool_call>.\n\n<human></human>")
    for instructions, calls in (("Write <tool_call>{...}</tool_call>.", 1), ("", 0)):
        prompt = replace(PROMPT, messages=(told, user), instructions=instructions)
        assert len(answer(HERMES, prompt).calls) == calls


def test_a_call_may_be_made_again() -> None:
    again = (
        *PROMPT.messages,
        PromptMessage("assistant", "", (Call("c1", "memory_search", '{"query": "tea", "page": 2}'),)),
        PromptMessage("tool", "Nothing found.", call_id="c1", name="memory_search"),
    )
    assert len(answer(HERMES, replace(PROMPT, messages=again)).calls) == 1


@pytest.mark.parametrize(
    "text",
    [
        f"The mark is <tool_call>, as in\n{HERMES}",
        f"First\n{HERMES}\nand then\n{HERMES}",
        f"He said: ‘do\n{HERMES}",
        f"<blockquote>\n{HERMES}",
        f"<!--\n{HERMES}",
        f"1. ```\n{HERMES}",
        f"> He said\n{HERMES}",
        f"\t{HERMES}",
        f"{HERMES}\n</pre>",
        f"{HERMES}.",
        f"{HERMES} ”",
        f"<tool_call>Look:\n{HERMES}",
        '{"name": "memory_search", "arguments": {"query": "tea"}} is how.',
        '{"name": "memory_search", "arguments": {"query": "tea"},} is how.',
        '```json\n{"name": "memory_search", "arguments": {"query": "tea"}}\n```\nis how.',
        '<|python_tag|>{"name": "memory_search", "parameters": {"query": "tea"}} is how.',
        '[TOOL_CALLS]memory_search[ARGS]{"query": "tea"} is how {it goes}.',
        "<function=memory_search> is a mark</function> of calls.",
    ],
)
def test_what_is_not_a_call_from_line_to_end_is_text(text: str) -> None:
    for pieces in ([text], list(text)):
        assert seen(pieces) == (text, "", [])


def test_a_call_may_follow_speech_with_quotation_that_is_closed() -> None:
    for before in (
        "He said “no”.",
        "He said \"no\", it's 6' high.",
        "`code`\n```\nmore\n```",
        "„So“ it is.",
        "> quoted\n",
    ):
        text, _, calls = seen([f"{before}\n{HERMES}"])
        assert (text, len(calls)) == (before.strip(), 1)


# JSON mode


def ask(model: ScriptedModel, mode: CallingMode, prompt: Prompt = PROMPT) -> list[StreamItem]:
    async def run() -> list[StreamItem]:
        return [item async for item in FunctionCallingModel(model, mode).stream(prompt)]

    return anyio.run(run)


def written(thoughts: str, function: str, **arguments: Any) -> str:
    return json.dumps(
        {"thoughts": thoughts, "function": function, "arguments": arguments}, ensure_ascii=False
    )


def read(text: str, prompt: Prompt = PROMPT) -> Completion:
    end = ask(ScriptedModel([text]), "json", prompt)[-1]
    assert isinstance(end, Completion)
    return end


@pytest.mark.parametrize("arguments", [{}, {"n": 1}, {"text": "All of this was read."}])
def test_an_object_that_was_given_to_read_is_no_call_of_the_model_alone(arguments: dict[str, Any]) -> None:
    text = written("", "note", **arguments)
    given = replace(PROMPT, messages=(*PROMPT.messages, PromptMessage("user", f"It says: {text}")))
    assert [call.from_text for call in read(text, given).calls] == [True]
    assert [call.from_text for call in read(text).calls] == [False]


def test_functions_stand_in_the_system_text_and_the_answer_has_a_schema() -> None:
    model = ScriptedModel([written("", "none")])
    ask(model, "json")
    (sent,) = model.prompts
    assert sent.functions == ()
    assert "- memory_search(query: string, page?: integer) memory_search it." in sent.messages[0].text
    assert "- archival_insert(text: string, tags?: string[])" in sent.messages[0].text
    assert sent.answer_schema is not None
    names = [each["properties"]["function"]["enum"] for each in sent.answer_schema["anyOf"]]
    assert names == [["send_message"], ["memory_search"], ["archival_insert"], ["none"]]


@pytest.mark.parametrize("mode", ["native", "text", "json", "auto"])
@pytest.mark.parametrize(
    "text", [written("", "send_message", message="Hi"), CALLS["hermes"], "I cannot find it."]
)
def test_in_an_answer_that_is_to_be_plain_text_nothing_is_a_call(mode: CallingMode, text: str) -> None:
    model = ScriptedModel([written("", "none"), text])
    ask(model, mode)
    end = ask(model, mode, replace(PROMPT, plain=True))[-1]
    is_object = mode == "json" and text.startswith("{")
    assert end == Completion("Hi" if is_object else text)
    before, plain = model.prompts
    assert plain.messages == before.messages
    assert plain.functions == before.functions
    assert (plain.answer_schema is None) == (mode != "json")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (written("Hm.", "send_message", message="It is green."), "It is green."),
        (written("It is green.", "archival_insert", text="x"), "It is green."),
        (written("It is green.", "none"), "It is green."),
        ('{"thoughts": "", "function": "send_message", "arguments": {"message": "It is gr', "It is gr"),
        ("It is {green}.", "It is {green}."),
        ('See: {"function": "send_message"}', 'See: {"function": "send_message"}'),
        ("{}", "{}"),
    ],
)
def test_where_only_objects_are_known_the_words_of_one_are_plain_text(text: str, said: str) -> None:
    items = ask(ScriptedModel([text], piece=7), "json", replace(PROMPT, plain=True))
    assert items == [Delta(said), Completion(said)]


def test_the_schema_of_plain_text_in_json_mode_allows_speech_alone() -> None:
    model = ScriptedModel(["a", "b"])
    ask(model, "json", replace(PROMPT, plain=True))
    ask(model, "json", replace(PROMPT, functions=(SEARCH,), plain=True))
    schemas = [prompt.answer_schema for prompt in model.prompts]
    allowed = [
        [each["properties"]["function"]["enum"] for each in schema["anyOf"]] for schema in schemas if schema
    ]
    assert allowed == [[["send_message"]], [["answer"]]]


def test_an_object_is_a_call_and_its_arguments_stream() -> None:
    items = ask(ScriptedModel([written("Greet.", "send_message", message='Hé "you" }')], piece=5), "json")
    end = items[-1]
    assert isinstance(end, Completion)
    assert (end.text, [(c.name, json.loads(c.arguments)) for c in end.calls]) == (
        "Greet.", [("send_message", {"message": 'Hé "you" }'})],
    )  # fmt: skip
    deltas = [item for item in items if isinstance(item, Delta)]
    assert {(d.call, d.name) for d in deltas} == {(0, "send_message")}
    assert len(deltas) > 3
    assert "".join(d.text for d in deltas) == end.calls[0].arguments


OBJECTS = [
    written("I look.", "memory_search", query="tea"),
    written("", "send_message", message='He wrote {"function": "none"}'),
    '{"name": "memory_search", "arguments": {"query": "tea"}}',
    '{"thoughts": "", "arguments": {"x": {"function": "send_message", "arguments": {"message": "No."}}}, '
    '"function": "none"}',
    "```json\n",
    "\n```\n",
]


@given(
    st.lists(st.one_of(st.sampled_from(OBJECTS), st.text('{}"`> \nab', max_size=6)), max_size=4).map("".join),
    st.lists(st.integers(0, 300), max_size=12),
)
def test_how_an_answer_in_json_mode_is_cut_in_pieces_does_not_matter(text: str, cuts: Sequence[int]) -> None:
    cut_up, whole = split(chunked(text, cuts), mode="json"), split([text], mode="json")
    assert [(c.name, c.arguments, c.from_text) for c in cut_up[1].calls] == [
        (c.name, c.arguments, c.from_text) for c in whole[1].calls
    ]
    assert (cut_up[1].text, cut_up[1].thinking) == (whole[1].text, whole[1].thinking)
    for items, end in (cut_up, whole):
        last = max(
            (n for n, item in enumerate(items) if isinstance(item, Notice) and item.restart), default=-1
        )
        shown = [item for item in items[last + 1 :] if isinstance(item, Delta) and item.call is not None]
        assert not shown or "".join(item.text for item in shown) == end.calls[0].arguments
        assert end.calls or "".join(i.text for i in items[last + 1 :] if isinstance(i, Delta)) in (
            "",
            end.text,
        )


@pytest.mark.parametrize("around", ["{}", "Sure:\n```json\n{}\n```", "{}\nI hope this helps.", "\n\n{}"])
def test_what_stands_around_the_object_does_not_matter(around: str) -> None:
    end = read(around.replace("{}", written("", "memory_search", query="tea")))
    assert [c.from_text for c in end.calls] == [around.strip() != "{}"]
    assert end.text == around.replace("```json\n{}\n```", "").replace("{}", "").strip()
    assert [(c.name, json.loads(c.arguments)) for c in end.calls] == [("memory_search", {"query": "tea"})]


def test_broken_json_is_repaired_and_said_so() -> None:
    end = read('{"thoughts": "x", "function": "memory_search", "arguments": {"query": "tea"')
    assert [(c.name, json.loads(c.arguments)) for c in end.calls] == [("memory_search", {"query": "tea"})]
    assert end.notes == ("Broken JSON was repaired.",)


def test_calling_nothing_is_silence_and_thoughts_stay_private() -> None:
    assert read(written("Nothing to do.", "none")) == Completion("", thinking="Nothing to do.")


def test_text_without_an_object_stands_as_it_is() -> None:
    assert read("I just talk.") == Completion("I just talk.")


def test_an_object_that_calls_nothing_known_is_handed_on_to_be_refused() -> None:
    assert [(c.name, c.arguments) for c in read('{"message": "hi"}').calls] == [
        ("unnamed", '{"message": "hi"}')
    ]
    assert [c.name for c in read(written("", "fly", far=1)).calls] == ["fly"]


def test_where_plain_text_speaks_there_is_a_function_for_it() -> None:
    native = replace(PROMPT, functions=(SEARCH,))
    assert read(written("Hm.", "answer", message="It is green."), native) == Completion(
        "It is green.", thinking="Hm."
    )


def test_the_history_is_shown_as_such_objects_and_goes_on_byte_for_byte() -> None:
    call = Call("c1", "memory_search", '{"query": "tea"}')
    history = (
        *PROMPT.messages,
        PromptMessage("assistant", "Look.", (call,)),
        PromptMessage("tool", "Showing 1 of 1", call_id="c1", name="memory_search"),
        PromptMessage("assistant", "It is late."),
    )
    model = ScriptedModel([written("", "none")] * 2)
    ask(model, "json", replace(PROMPT, messages=history[:4]))
    ask(model, "json", replace(PROMPT, messages=history))
    first, second = (prompt.messages for prompt in model.prompts)
    assert second[: len(first)] == first
    assert [(m.role, m.text) for m in second[2:]] == [
        ("assistant", written("Look.", "memory_search", query="tea")),
        ("user", "[result of memory_search] Showing 1 of 1"),
        ("assistant", written("", "send_message", message="It is late.")),
    ]


# the choice


def without_tools(prompt: Prompt) -> Any:
    return (
        ToolsUnsupported("m does not take functions.")
        if prompt.functions
        else written("", "send_message", message="Hi")
    )


def test_a_model_without_functions_is_asked_for_json_from_then_on() -> None:
    async def run() -> tuple[list[StreamItem], list[StreamItem]]:
        model = FunctionCallingModel(ScriptedModel(without_tools), "auto")
        return [i async for i in model.stream(PROMPT)], [i async for i in model.stream(PROMPT)]

    first, second = anyio.run(run)
    assert isinstance(first[0], Notice)
    assert first[0].restart
    for items in (first, second):
        end = items[-1]
        assert isinstance(end, Completion)
        assert [c.name for c in end.calls] == ["send_message"]
    assert not any(isinstance(item, Notice) for item in second)


def test_who_wants_no_json_mode_gets_the_error() -> None:
    with pytest.raises(ToolsUnsupported):
        ask(ScriptedModel(without_tools), "native")


@pytest.mark.parametrize(
    "make",
    [lambda: ScriptedModel(["Hello there."]), lambda: ScriptedModel([[("send_message", {"message": "x"})]])],
)
def test_what_is_right_already_passes_as_it_is(make: Callable[[], ScriptedModel]) -> None:
    async def bare() -> list[StreamItem]:
        return [item async for item in make().stream(PROMPT)]

    direct = anyio.run(bare)
    assert ask(make(), "auto")[-1] == direct[-1]


@pytest.mark.parametrize(
    ("mode", "begin"), [("text", "<tool_call>"), ("text", "[TOOL_CALLS]"), ("json", "{"), ("json", "Prose. ")]
)
def test_a_call_without_end_is_not_waited_for_for_ever(mode: CallingMode, begin: str) -> None:
    with pytest.raises(ModelError, match="wrote a call without end"):
        split([begin, *["x" * 10_000] * 100], mode=mode)
