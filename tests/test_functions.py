"""Functions: schema from a typed callable; arguments parsed, repaired, validated; failures as text."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

import anyio
import pytest

from pagefault.errors import FunctionError, UsageError
from pagefault.functions import Function, Outcome
from pagefault.functions.arguments import parse_arguments, wants_heartbeat
from pagefault.functions.describing import describe
from pagefault.functions.executor import FunctionExecutor
from pagefault.functions.tools import tool

pytestmark = pytest.mark.anyio


@dataclass
class Place:
    city: str
    zip: int | None = None


@tool
def weather(place: Place, unit: Literal["C", "F"] = "C", days: int = 1) -> dict[str, object]:
    """Weather at a place."""
    return {"city": place.city, "unit": unit, "days": days}


@tool(timeout=0.05)
async def sleeper(seconds: float) -> str:
    """Sleep."""
    await anyio.sleep(seconds)
    return "rested"


@tool(timeout=0.05)
def blocker(seconds: float) -> str:
    """Block a thread."""
    time.sleep(seconds)
    return "done"


def broken() -> str:
    """Fail."""
    raise KeyError("no such thing")


def executor(*extra: Function) -> FunctionExecutor:
    tools = [describe(f) for f in (weather, sleeper, blocker, broken)]
    return FunctionExecutor.of([*tools, *extra], "memgpt", 5.0)


def test_schema_is_derived_and_heartbeat_added_by_the_executor() -> None:
    schema = describe(weather).schema
    assert schema.description == "Weather at a place."
    assert schema.parameters["required"] == ["place"]
    assert schema.parameters["properties"]["unit"] == {"default": "C", "enum": ["C", "F"], "type": "string"}
    assert "request_heartbeat" not in schema.parameters["properties"]
    assert executor().schemas[0].parameters["properties"]["request_heartbeat"] == {"type": "boolean"}
    assert "request_heartbeat" not in str(FunctionExecutor.of([describe(weather)], "native", 5.0).schemas)


def test_a_parameter_without_a_type_is_the_developers_error() -> None:
    def untyped(x):  # type: ignore[no-untyped-def]  # pyright: ignore
        """No."""

    with pytest.raises(TypeError, match="parameter x needs a type hint"):
        describe(untyped)  # pyright: ignore


async def test_arguments_are_validated_into_the_types_of_the_function() -> None:
    prepared = executor().prepare("weather", '{"place": {"city": "Porto"}, "days": "3"}')
    assert prepared.arguments["place"] == Place("Porto")
    assert prepared.arguments["days"] == 3
    assert await executor().run(prepared) == Outcome('{"city": "Porto", "unit": "C", "days": 3}')


@pytest.mark.parametrize(
    "raw",
    [
        '{"seconds": 0',  # cut
        "{'seconds': 0}",  # Python, not JSON
        '```json\n{"seconds": 0}\n```',  # fenced
        '{"seconds": 0,}',  # trailing comma
        '"{\\"seconds\\": 0}"',  # encoded twice
    ],
)
def test_broken_json_is_repaired(raw: str) -> None:
    assert executor().prepare("sleeper", raw).arguments == {"seconds": 0}


@pytest.mark.parametrize(
    ("name", "raw", "says"),
    [
        ("wether", "{}", "Did you mean weather?"),
        ("sleeper", "{}", "seconds is missing. sleeper takes (seconds)"),
        ("sleeper", '{"seconds": "long"}', "seconds: input should be a valid number"),
        ("sleeper", '{"seconds": 1, "mood": 2}', "there is no parameter mood"),
        ("sleeper", "just sleep", "seconds: input should be a valid number"),
        ("sleeper", "[1]", "are not a JSON object"),
        ("weather", '{"place": {"city": "Porto"}, "unit": "K"}', "unit: input should be 'C' or 'F'"),
    ],
)
def test_what_is_wrong_tells_the_model_what_to_do(name: str, raw: str, says: str) -> None:
    with pytest.raises(FunctionError) as error:
        executor().prepare(name, raw)
    assert says in str(error.value)


async def test_any_name_may_be_a_parameters() -> None:
    def odd(json: str, copy: int = 1, _hidden: str = "h", model_name: str = "m") -> str:
        """Odd names."""
        return f"{json} {copy} {_hidden} {model_name}"

    run = executor(describe(odd))
    assert list(run.functions["odd"].schema.parameters["properties"]) == [
        "json",
        "copy",
        "_hidden",
        "model_name",
    ]
    prepared = run.prepare("odd", '{"json": "j", "_hidden": "x", "model_name": "y"}')
    assert (await run.run(prepared)).text == "j 1 x y"
    with pytest.raises(FunctionError, match=r"json is missing\. odd takes \(json, copy=1, _hidden='h'"):
        run.prepare("odd", "{}")


async def test_a_tools_own_timeout_is_not_taken_for_ours() -> None:
    async def fetch() -> str:
        """Fetch."""
        raise TimeoutError("the other side is silent")

    run = executor(describe(fetch))
    assert (await run.run(run.prepare("fetch", "{}"))).text == (
        "fetch failed: TimeoutError: the other side is silent"
    )


async def test_exceptions_and_timeouts_are_outcomes() -> None:
    run = executor()
    failed = await run.run(run.prepare("broken", "{}"))
    assert failed == Outcome("broken failed: KeyError: 'no such thing'", failed=True)
    for slow in ("sleeper", "blocker"):
        late = await run.run(run.prepare(slow, '{"seconds": 0.3}'))
        assert late.failed
        assert "did not finish within 0.05 s" in late.text


def test_heartbeat_is_read_even_from_repaired_arguments() -> None:
    assert wants_heartbeat('{"x": 1, "request_heartbeat": true}')
    assert wants_heartbeat('{"request_heartbeat": "True"')
    assert not wants_heartbeat('{"request_heartbeat": false}')
    assert not wants_heartbeat("nonsense")
    assert parse_arguments("f", "") == {}


async def test_listed_tools_are_described_and_called_by_name() -> None:
    run = executor().with_listed(frozenset({"weather", "sleeper"}))
    assert [s.name for s in run.schemas] == ["blocker", "broken", "describe_function", "call_function"]
    described = await run.run(run.prepare("describe_function", '{"name": "weather"}'))
    assert '"place"' in described.text
    prepared = run.prepare("call_function", '{"name": "weather", "arguments": {"place": {"city": "Faro"}}}')
    assert prepared.function.name == "weather"
    with pytest.raises(FunctionError, match="There is no function nope"):
        run.prepare("call_function", '{"name": "nope", "arguments": {}}')


def test_two_functions_of_one_name_are_refused() -> None:
    with pytest.raises(UsageError, match="two functions named weather"):
        executor(describe(weather))


# what weak models write


def returned(name: str, raw: str) -> str:
    """What the model reads of a call."""
    made = executor()
    prepared = made.prepare(name, raw)
    return prepared.noted(anyio.run(made.run, prepared)).text


@pytest.mark.parametrize(
    "name", ["functions.weather", "Weather", "default_api:weather", "weather:0", "tools/weather"]
)
def test_a_name_that_can_only_mean_one_function_runs_and_the_model_is_told(name: str) -> None:
    assert f"(There is no {name}; this is weather.)" in returned(name, '{"place": {"city": "Porto"}}')


def test_a_slip_of_the_pen_is_understood_but_never_runs_what_acts_outside() -> None:
    def memory_search(query: str) -> str:
        """Search."""
        return query

    made = executor(describe(memory_search, "query"))
    assert made.prepare("memory_serch", '{"query": "x"}').function.name == "memory_search"
    with pytest.raises(FunctionError, match="Did you mean sleeper"):
        made.prepare("sleepr", '{"seconds": 0}')


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        ('{"arguments": {"seconds": 0}}', "(The arguments stood under arguments.)"),
        ("0", "(The arguments were read as seconds.)"),
        ('{"seconds": "0"}', ""),
        ('{"seconds": 0, "inner_thoughts": "Wait."}', ""),
        ('{"seconds": 0', '(The arguments were no JSON and were read as {"seconds": 0}.)'),
    ],
)
def test_what_can_only_mean_one_thing_is_understood_and_the_model_is_told(raw: str, told: str) -> None:
    assert executor().prepare("sleeper", raw).arguments == {"seconds": 0}
    assert " ".join(executor().prepare("sleeper", raw).notes) == told


def test_a_list_written_as_a_text_is_a_list() -> None:
    def tag(tags: list[str] = []) -> str:  # noqa: B006
        """Tag it."""
        return ",".join(tags)

    made = FunctionExecutor.of([describe(tag)], "memgpt", 1)
    for raw in ('{"tags": "a, b"}', '{"tags": "[\\"a\\", \\"b\\"]"}'):
        assert made.prepare("tag", raw).arguments == {"tags": ["a", "b"]}
    assert made.prepare("tag", '{"tags": null}').arguments == {"tags": []}


def test_a_heartbeat_within_the_arguments_of_another_call_counts() -> None:
    assert wants_heartbeat('{"name": "x", "arguments": {"request_heartbeat": true}}')
