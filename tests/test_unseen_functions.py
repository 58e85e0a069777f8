"""Servers that drop functions in silence: their chat template says so, or their reports are too small."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagefault.config import parse_settings
from pagefault.functions.executor import FunctionExecutor
from pagefault.functions.offered import own_functions
from pagefault.models import Completion, Notice, Prompt, PromptMessage, StreamItem, Usage
from pagefault.models.directory.catalogue import Catalogue
from pagefault.models.endpoint import CallingMode, ModelFinding, RequestSettings
from pagefault.models.tokens import HeuristicCounter
from pagefault.models.wrappers.function_calling import FunctionCallingModel
from pagefault.models.wrappers.function_calling.unseen import UnseenFunctions
from pagefault.testing.models import ScriptedModel, call, say
from pagefault.testing.providers import ProviderRequest, ProviderServer, Turn
from pagefault.testing.providers.replies import offered

SETTINGS = parse_settings({"style": "memgpt"})
FUNCTIONS = FunctionExecutor.of(own_functions(SETTINGS, []), "memgpt", 10.0).schemas
SYSTEM = PromptMessage("system", "You are an agent with virtual memory. " * 20)
COUNT = HeuristicCounter().count
OF_FUNCTIONS = sum(COUNT(json.dumps([f.name, f.description, f.parameters])) for f in FUNCTIONS)
AS_OBJECT = '{"thoughts": "", "function": "send_message", "arguments": {"message": "Hello."}}'


def prompt(turns: int, words: str = "I like tea and old maps. ") -> Prompt:
    said = (PromptMessage("user", f"[user] {words * 3}") for _ in range(turns))
    return Prompt((SYSTEM, *said), FUNCTIONS, 100)


def of_messages(asked: Prompt) -> int:
    return 3 + sum(4 + COUNT(message.text) for message in asked.messages)


# what the server says of its template

LACKING = {"chat_template_caps": {"supports_tools": False, "supports_tool_calls": False}}
HAVING = {"chat_template_caps": {"supports_tools": True}}


async def asked_twice(
    props: object, name: str = "llamacpp:m", calling: CallingMode = "auto"
) -> tuple[list[list[StreamItem]], ProviderServer]:
    def turn(request: ProviderRequest) -> Turn:
        return Completion("Hello.") if offered(request) else Completion(AS_OBJECT)

    serves: dict[str, Any] = {} if props is None else {"/props": props}
    with ProviderServer(turn, serves=serves) as server:
        catalogue = Catalogue(server.environment)
        model = catalogue.model(name.replace("URL", server.url), 8192, RequestSettings(calling=calling))
        items = [[item async for item in model.stream(prompt(1))] for _ in range(2)]
        await catalogue.aclose()
    return items, server


def notices(items: Sequence[StreamItem]) -> list[str]:
    return [item.text for item in items if isinstance(item, Notice)]


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["llamacpp:m", "openai:m", "URL#m"])
async def test_a_template_without_functions_leads_to_json_mode_and_is_reported_once(name: str) -> None:
    (first, second), server = await asked_twice(LACKING, name)
    assert [bool(body.get("tools")) for body in server.requests] == [False, False]
    assert server.looked_up == ["/props"]
    (said,) = notices(first)
    assert "drops functions without a word: its chat template has none" in said
    assert notices(second) == []
    ends = [items[-1] for items in (first, second)]
    assert [[c.name for c in end.calls] for end in ends if isinstance(end, Completion)] == [
        ["send_message"]
    ] * 2
    assert [end.notes for end in ends if isinstance(end, Completion)] == [(said,), ()]


@pytest.mark.anyio
@pytest.mark.parametrize(
    "props",
    [
        HAVING,
        {},
        [],
        "x",
        {"chat_template_caps": None},
        {"chat_template_caps": {"supports_tools": "no"}},
        None,
    ],
)
async def test_any_other_server_is_sent_functions(props: object) -> None:
    items, server = await asked_twice(props)
    assert [bool(body.get("tools")) for body in server.requests] == [True, True]
    assert [notices(each) for each in items] == [[], []]
    assert server.looked_up == ["/props"]


@pytest.mark.anyio
@pytest.mark.parametrize("calling", ["native", "text", "json"])
async def test_who_has_chosen_a_way_is_asked_nothing(calling: CallingMode) -> None:
    _, server = await asked_twice(LACKING, calling=calling)
    assert server.looked_up == []


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["vllm:m", "lmstudio:m", "ollama:m"])
async def test_servers_that_are_no_llama_cpp_are_asked_nothing(name: str) -> None:
    _, server = await asked_twice(LACKING, name)
    assert "/props" not in server.looked_up


@pytest.mark.anyio
async def test_a_server_that_is_loading_is_asked_again_but_not_for_ever() -> None:
    from pagefault.models.directory.templates import Templates

    catalogue = Catalogue({"LLAMACPP_BASE_URL": "http://127.0.0.1:1/v1"})
    (target,) = catalogue.targets("llamacpp:m")
    templates = Templates()
    assert [await templates.drops_functions(target) for _ in range(4)] == [False] * 4
    with ProviderServer(serves={"/props": LACKING}) as server:
        (target,) = Catalogue(server.environment).targets("llamacpp:m")
        assert await templates.drops_functions(target)


# what the server reports


def reporting(share: float, ratio: float = 1.0) -> ScriptedModel:
    """A model whose server reports its messages and this share of its functions, times a ratio."""

    def usage(asked: Prompt, _: Completion) -> Usage:
        functions = OF_FUNCTIONS * bool(asked.functions)
        return Usage(round(ratio * (of_messages(asked) + share * functions)), 9)

    return ScriptedModel(lambda p: "Hello." if p.functions else AS_OBJECT, usage=usage)


def talk(model: ScriptedModel, turns: int, finding: ModelFinding | None = None) -> list[list[StreamItem]]:
    async def run() -> list[list[StreamItem]]:
        wrapped = FunctionCallingModel(model, "auto", finding or ModelFinding())
        return [[item async for item in wrapped.stream(prompt(n))] for n in range(1, turns + 1)]

    return anyio.run(run)


@pytest.mark.parametrize("ratio", [0.75, 1.0, 1.15])
def test_functions_that_are_missing_from_two_reports_are_missing(ratio: float) -> None:
    model = reporting(0.0, ratio)
    items = talk(model, 4)
    assert [bool(asked.functions) for asked in model.prompts] == [True, True, False, False]
    assert [len(notices(each)) for each in items] == [0, 1, 0, 0]
    (said,) = notices(items[1])
    assert "the tokens that it reports are those of the messages alone" in said
    end = items[1][-1]
    assert isinstance(end, Completion)
    assert end.notes == (said,)


@given(st.floats(0.7, 3.0), st.floats(0.9, 1.2), st.integers(0, 50))
def test_functions_that_are_there_are_never_missed(ratio: float, share: float, before: int) -> None:
    unseen = UnseenFunctions()
    for turns in range(before, before + 4):
        asked = prompt(turns)
        reported = round(ratio * (of_messages(asked) + share * OF_FUNCTIONS))
        assert not unseen.noticed(asked, Completion("Hello.", usage=Usage(reported, 9)))


REPORTS: Mapping[str, Usage | None] = {
    "nothing": None,
    "zero": Usage(0, 9),
    "only what was not in its cache": Usage(60, 9),
    "a window": Usage(OF_FUNCTIONS // 2, 9),
}


@pytest.mark.parametrize("kind", REPORTS)
def test_reports_that_tell_nothing_change_nothing(kind: str) -> None:
    def usage(_: Prompt, __: Completion) -> Usage | None:
        return REPORTS[kind]

    model = ScriptedModel(lambda _: "Hello.", usage=usage)
    talk(model, 6)
    assert all(asked.functions for asked in model.prompts)


def test_what_was_called_was_seen() -> None:
    script: list[Any] = [[say("Hello.")], *["Hello."] * 5]
    model = ScriptedModel(script, usage=lambda asked, _: Usage(of_messages(asked), 9))
    talk(model, 6)
    assert all(asked.functions for asked in model.prompts)


def test_a_model_that_was_checked_is_believed() -> None:
    model = reporting(0.0)
    talk(model, 4, ModelFinding("native"))
    assert all(asked.functions for asked in model.prompts)


def test_few_functions_long_prompts_and_images_are_not_judged() -> None:
    unseen = UnseenFunctions()
    few = replace(prompt(1), functions=FUNCTIONS[:1])
    long = prompt(60)
    for asked in (few, long):
        whole = Completion("Hello.", usage=Usage(of_messages(asked), 9))
        grown = replace(asked, messages=(*asked.messages, PromptMessage("user", "x " * 40)))
        more = Completion("Hello.", usage=Usage(of_messages(grown), 9))
        assert not unseen.noticed(asked, whole)
        assert not unseen.noticed(grown, more)
    assert not unseen.decided


def test_a_call_in_the_prompt_is_no_call_of_the_answer() -> None:
    made = PromptMessage("assistant", "", (replace(call("memory_search", query="tea"), id="c1"),))
    unseen, asked = UnseenFunctions(), replace(prompt(2), messages=(*prompt(2).messages, made))
    assert not unseen.noticed(asked, Completion("Hello.", usage=Usage(of_messages(asked), 9)))
