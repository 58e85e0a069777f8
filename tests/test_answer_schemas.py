"""The schema of an answer in JSON mode: exact for each function, and weaker where a server refuses that."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from pagefault.config import parse_settings
from pagefault.functions.executor import FunctionExecutor
from pagefault.functions.offered import own_functions
from pagefault.models import Completion, FunctionSchema, Prompt
from pagefault.models.answer_schemas import LONGEST_THOUGHTS, loosened, schema_of_answers, strict
from pagefault.models.endpoint import Endpoint, ModelOptions
from pagefault.models.ollama import OllamaModel
from pagefault.models.openai import OpenAIModel
from pagefault.models.openai.body import BodyBuilder
from pagefault.testing.models import PROMPT
from pagefault.testing.providers import KEY, ProviderRequest, ProviderServer, Turn
from pagefault.testing.providers.turns import refuse

pytestmark = pytest.mark.anyio

SETTINGS = parse_settings({"style": "memgpt", "timers": True, "documents": True})
OWN = FunctionExecutor.of(own_functions(SETTINGS, []), "memgpt", 10.0).schemas
NOTHING = FunctionSchema("none", "", {"type": "object", "properties": {}})


def tool(name: str = "tool", **parameters: Any) -> FunctionSchema:
    return FunctionSchema(name, "A tool.", {"type": "object", "properties": {}, **parameters})


def answer(function: str, thoughts: str = "", **arguments: Any) -> dict[str, Any]:
    return {"thoughts": thoughts, "function": function, "arguments": arguments}


def takes(schema: Mapping[str, Any] | None, value: Any) -> bool:
    assert schema is not None
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema).is_valid(value)  # pyright: ignore[reportUnknownMemberType]


EXACT = schema_of_answers(OWN, NOTHING)
RIGHT = [
    answer("send_message", "Greet.", message="Hello"),
    answer("send_message", message="Hello", request_heartbeat=True),
    answer("memory_search", query="tea", page=2),
    answer("archival_insert", text="Likes tea.", tags=["tea"]),
    answer("list_schedules"),
    answer("none", "Nothing to do."),
]
WRONG = [
    answer("send_message"),
    answer("send_message", text="Hello"),
    answer("send_message", message="Hello", to="Ana"),
    answer("memory_search", query="tea", page="two"),
    answer("archival_insert", text="Likes tea.", tags="tea"),
    answer("none", text="x"),
    answer("none", "x" * (LONGEST_THOUGHTS + 1)),
]


@pytest.mark.parametrize("value", RIGHT)
def test_each_function_may_be_called_with_its_own_arguments(value: dict[str, Any]) -> None:
    assert takes(EXACT, value)
    assert takes(loosened(EXACT), value)


@pytest.mark.parametrize("value", WRONG)
def test_and_with_no_others(value: dict[str, Any]) -> None:
    assert not takes(EXACT, value)


def test_the_loose_form_knows_the_functions_and_takes_any_arguments() -> None:
    assert takes(loosened(EXACT), answer("send_message", text=1))
    assert not takes(loosened(EXACT), answer("fly"))


@pytest.mark.parametrize("value", RIGHT)
def test_in_the_strict_form_all_is_required_and_what_may_be_left_out_may_be_null(
    value: dict[str, Any],
) -> None:
    schema = strict(EXACT)
    assert schema is not None
    assert schema["type"] == "object"
    assert "anyOf" not in schema
    parameters = {each.name: each.parameters for each in (*OWN, NOTHING)}[value["function"]]
    absent = dict.fromkeys(set(parameters["properties"]) - set(value["arguments"]))
    assert takes(schema, value | {"arguments": value["arguments"] | absent})
    for each in objects_of(schema):
        assert set(each["required"]) == set(each["properties"])
        assert each["additionalProperties"] is False
    assert "maxLength" not in json.dumps(schema)


def objects_of(schema: Any) -> list[dict[str, Any]]:
    """All schemas of objects within a schema."""
    if isinstance(schema, list):
        return [found for each in schema for found in objects_of(each)]  # pyright: ignore
    if not isinstance(schema, dict):
        return []
    inner = [found for each in schema.values() for found in objects_of(each)]  # pyright: ignore
    return [*([schema] if schema.get("type") == "object" else []), *inner]  # pyright: ignore


@pytest.mark.parametrize(
    "parameters",
    [
        {"properties": {"any": {"type": "object"}}},
        {"additionalProperties": True},
        {"properties": {"any": {}}},
        {"properties": {"any": {"type": "array", "items": {"oneOf": []}}}},
        {"properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"type": "string"}}},
    ],
)
def test_arguments_without_a_strict_form_are_not_enforced_by_openai(parameters: dict[str, Any]) -> None:
    schema = schema_of_answers((tool(**parameters),), NOTHING)
    assert strict(schema) is None
    assert takes(loosened(schema), answer("tool", any={}))


def test_a_reference_would_point_into_the_wrong_schema_and_is_left_out() -> None:
    parameters: dict[str, Any] = {"properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {}}}
    assert takes(schema_of_answers((tool(**parameters),), NOTHING), answer("tool", a=1))


def test_parameters_that_have_the_names_of_keywords_stay() -> None:
    properties = {
        "title": {"type": "string", "title": "Title", "default": "x"},
        "default": {"type": "integer"},
        "properties": {"type": "string"},
        "pattern": {"type": "string", "pattern": "a+"},
        "kind": {"enum": [{"title": 1}]},
    }
    given = tool(properties=properties, required=["title"])
    schema = schema_of_answers((given,), NOTHING)
    assert takes(
        schema, answer("tool", title="t", default=1, properties="p", pattern="aa", kind={"title": 1})
    )
    assert not takes(schema, answer("tool", title="t", pattern="b"))
    assert not takes(schema, answer("tool"))
    made = strict(schema)
    assert made is None or takes(
        made, answer("tool", title="t", default=None, properties=None, pattern="b", kind=None)
    )


def test_a_schema_of_another_kind_has_no_weaker_form() -> None:
    others: list[dict[str, Any]] = [{"type": "object"}, {"anyOf": [{"type": "string"}]}, {"anyOf": []}]
    for other in others:
        assert loosened(other) is None
        assert strict(other) is None


def test_openai_is_sent_the_strict_form_or_the_loose_one() -> None:
    builder = BodyBuilder("gpt-4o", Endpoint("openai", key=KEY), ModelOptions())

    def sent(schema: Mapping[str, Any]) -> dict[str, Any]:
        body = json.loads(builder.build(replace(ASKED, answer_schema=schema), stream=True))
        return body["response_format"]["json_schema"]

    assert sent(EXACT) == {"name": "answer", "schema": strict(EXACT), "strict": True}
    open_schema = schema_of_answers((tool(additionalProperties=True),), NOTHING)
    assert sent(open_schema) == {"name": "answer", "schema": loosened(open_schema)}


# servers that refuse it

ASKED: Prompt = replace(PROMPT, functions=(), answer_schema=EXACT)
REFUSALS = [
    "Failed to initialize samplers: failed to parse grammar",  # llama.cpp
    "JSON schema conversion failed: Unrecognized schema",
    "The provided JSON schema contains features not supported by xgrammar.",  # vLLM
    "Invalid schema for response_format 'answer': schema must be a JSON Schema of 'type: \"object\"'",
]


def knows_no_any_of(said: str) -> Any:
    def turn(request: ProviderRequest) -> Turn:
        return refuse(400, said) if "anyOf" in json.dumps(request.body) else Completion("ok")

    return turn


@pytest.mark.parametrize("said", REFUSALS)
async def test_a_server_that_refuses_the_schema_is_sent_a_simpler_one_from_then_on(said: str) -> None:
    with ProviderServer(knows_no_any_of(said)) as server:
        model = OpenAIModel("m", 8192, Endpoint("vllm", server.url, KEY), ModelOptions())
        first, second = [[item async for item in model.stream(ASKED)][-1] for _ in range(2)]
        await model.aclose()
    schemas = [body["response_format"]["json_schema"]["schema"] for body in server.requests]
    assert schemas == [EXACT, loosened(EXACT), loosened(EXACT)]
    note = "The server refuses the schema of the answer; it is sent a simpler one."
    assert (first, second) == (Completion("ok", notes=(note,)), Completion("ok"))


async def test_a_server_that_refuses_all_schemas_is_sent_none_from_then_on() -> None:
    def turn(request: ProviderRequest) -> Turn:
        return refuse(400, REFUSALS[0]) if "response_format" in request.body else Completion("ok")

    with ProviderServer(turn) as server:
        model = OpenAIModel("m", 8192, Endpoint("vllm", server.url, KEY), ModelOptions())
        ends = [[item async for item in model.stream(ASKED)][-1] for _ in range(2)]
        await model.aclose()
    assert ["response_format" in body for body in server.requests] == [True, True, False, False]
    assert [len(end.notes) for end in ends if isinstance(end, Completion)] == [2, 0]


@pytest.mark.parametrize("status", [400, 500])
async def test_so_is_ollama(status: int) -> None:
    def turn(request: ProviderRequest) -> Turn:
        refused = "anyOf" in json.dumps(request.body)
        return refuse(status, "invalid JSON schema in format") if refused else Completion("ok")

    with ProviderServer(turn) as server:
        model = OllamaModel("m", 8192, Endpoint("ollama", server.root), ModelOptions())
        ends = [[item async for item in model.stream(ASKED)][-1] for _ in range(2)]
        await model.aclose()
    assert [body["format"] for body in server.requests] == [EXACT, loosened(EXACT), loosened(EXACT)]
    assert [len(end.notes) for end in ends if isinstance(end, Completion)] == [1, 0]


def test_requests_that_are_refused_at_once_step_down_once() -> None:
    builder = BodyBuilder("m", Endpoint("vllm", "http://127.0.0.1:1/v1"), ModelOptions())
    before = builder.adapted
    assert builder.adapt(REFUSALS[0], ASKED, before)
    assert builder.adapt(REFUSALS[0], ASKED, before) == ""
    sent = json.loads(builder.build(ASKED, stream=True))
    assert sent["response_format"]["json_schema"]["schema"] == loosened(EXACT)
    assert builder.adapt("Something else is wrong.", ASKED, builder.adapted) is None
