"""Tools as servers define them: their names, their schemas, the bounds on messages, and the settings."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from mcp_types import jsonrpc_message_adapter

from conftest import Run
from pagefault.config import Installation
from pagefault.functions import Function
from pagefault.functions.executor import FunctionExecutor
from pagefault.functions.finding import found_functions
from pagefault.tool_servers.definitions import ToolDefinition, checked, function_names, tool_function
from pagefault.tool_servers.gate import Gate, ServerFault
from pagefault.tool_servers.kept import KeptServer, KeptServers
from pagefault.tool_servers.schemas import Unusable, usable_schema


def function(name: str, about: str, schema: dict[str, Any]) -> Function:
    def call(**arguments: Any) -> str:
        return repr(arguments)

    definition = ToolDefinition(name, about, schema)
    return tool_function(definition, name, call, approval=False, idempotent=False, timeout=1.0)


def test_names_are_those_that_every_provider_takes() -> None:
    named = function_names("s", ["read", "a.b", "a_b", "x" * 90, "taken"], {"s_taken"})
    assert named["read"] == "s_read"
    assert named["a.b"] != named["a_b"]
    assert all(name.startswith("s_") and len(name) <= 64 for name in named.values())
    assert len({*named.values(), "s_taken"}) == 6


def test_a_name_does_not_depend_on_the_order() -> None:
    tools = ["a.b", "a_b", "c"]
    assert function_names("s", tools, ()) == function_names("s", tools[::-1], ())


def test_a_hash_changes_with_name_description_and_schema() -> None:
    first = ToolDefinition("a", "b", {"type": "object"})
    others = [
        ToolDefinition("x", "b", {"type": "object"}),
        ToolDefinition("a", "x", {"type": "object"}),
        ToolDefinition("a", "b", {"type": "object", "x": 1}),
    ]
    assert len({each.hash for each in [first, *others]}) == 4
    assert ToolDefinition("a", "b", {"type": "object"}, read_only=True).hash == first.hash


def test_what_no_provider_takes_is_left_out_of_a_schema() -> None:
    schema: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "oneOf": [{"required": ["a"]}],
        "properties": {"a": {"type": "string", "title": "A", "description": "An a", "pattern": "^x+$"}},
        "required": ["a", "gone"],
        "additionalProperties": False,
    }
    assert usable_schema(schema) == {
        "type": "object",
        "properties": {"a": {"type": "string", "description": "An a", "pattern": "^x+$"}},
        "required": ["a"],
    }


UNUSABLE: list[dict[str, Any]] = [
    {"type": "array"},
    {"properties": []},
    {"properties": {"request_heartbeat": {"type": "boolean"}}},
    {"properties": {f"p{number}": {} for number in range(200)}},
    {"properties": {"a": {"$ref": "https://example.org"}}},
    {"properties": {"a": {"const": "[INST]"}}},
    {"properties": {"<|im_start|>": {}}},
    {"description": "x" * 40_000},
]


@pytest.mark.parametrize("schema", UNUSABLE)
def test_a_schema_that_cannot_be_offered_is_refused_with_a_reason(schema: dict[str, Any]) -> None:
    with pytest.raises(Unusable, match=r"\.$"):
        usable_schema(schema)
    assert checked(ToolDefinition("a", "", schema), 1_000_000).fault


def test_arguments_are_read_by_their_names() -> None:
    strict = function("strict", "", {"properties": {"json": {}, "b-c": {}}, "required": ["json"]})
    free = function("free", "", {"additionalProperties": True, "properties": {"a": {}}})
    executor = FunctionExecutor.of([strict, free], "native", 1.0)
    assert executor.prepare("strict", '{"json": 1}').arguments == {"json": 1, "b-c": None}
    assert executor.prepare("free", '{"a": 1, "z": [2]}').arguments == {"a": 1, "z": [2]}
    with pytest.raises(Exception, match="there is no parameter z"):
        executor.prepare("strict", '{"json": 1, "z": 2}')


def test_functions_are_found_by_words_and_by_name() -> None:
    many = [function(f"s_thing_{n}", "Does a thing.", {}) for n in range(50)]
    weather = function("s_getForecast", "The weather of the next days.", {})
    assert found_functions("forecast", [*many, weather]).startswith('{"name": "s_getForecast"')
    assert found_functions("s_thing_7", [*many, weather]).startswith('{"name": "s_thing_7"')
    assert "45 more" in found_functions("thing", many)
    assert "No function has one of these words; there are 50." in found_functions("zebra", many)


def message(**values: Any) -> Any:
    return jsonrpc_message_adapter.validate_python({"jsonrpc": "2.0", **values})


def test_an_answer_that_was_asked_for_is_free_and_what_was_not_is_counted() -> None:
    gate = Gate()
    for id in range(5_000):
        gate.sent(message(id=id, method="tools/call", params={}))
        gate.admit(message(id=id, result={}), 1_000_000)
    unasked = message(id=1, result={})
    with pytest.raises(ServerFault, match="not asked for"):
        any(gate.admit(unasked, 100) for _ in range(5_000))


def test_a_message_of_many_parts_is_not_read() -> None:
    with pytest.raises(ServerFault, match="parts"):
        Gate().check(b"[" * 300_000)


def test_a_page_of_tools_loses_what_is_no_tool_and_schemas_of_results() -> None:
    gate = Gate()
    gate.sent(message(id=1, method="tools/list"))
    good = {"name": "a", "inputSchema": {"type": "object"}, "outputSchema": {"pattern": "(a+)+$"}}
    page = message(id=1, result={"tools": [good, 7, {"name": "b"}, {"name": 3, "inputSchema": {}}]})
    gate.admit(page, 100)
    assert page.result == {"tools": [{"name": "a", "inputSchema": {"type": "object"}}]}
    assert gate.dropped == 3


@pytest.mark.parametrize(
    ("toml", "why"),
    [
        ('[mcp.files]\nargs = ["x"]', "give a command or a url"),
        ('[mcp.files]\ncommand = "x"\nurl = "http://h"', "give a command or a url"),
        ('[mcp.files]\nurl = "ftp://h"', "begins with http"),
        ('[mcp.files]\nurl = "http://h"\nenv = { A = "b" }', "belong to a command"),
        ('[mcp.files]\ncommand = "x"\nheaders = { A = "b" }', "belong to a url"),
        ('[mcp.files]\ncommand = "x"\nallow = ["a#b"]', "allow lists names of tools"),
        ('[mcp.files]\ncommand = "x"\ntimeuot = 3', "There is no setting mcp.files.timeuot"),
        ('[mcp."a b"]\ncommand = "x"', "a server is named by"),
    ],
)
def test_a_wrong_setting_is_one_sentence(run: Run, toml: str, why: str, tmp_path: Any) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "config.toml").write_text(toml, "utf-8")
    said = run("agent", "list")
    assert said.code == 1
    assert why in said.err
    assert len(said.err.strip().splitlines()) == 1


def test_secrets_do_not_show_in_settings() -> None:
    given = {"url": "https://h/s3cret", "headers": {"A": "s3cret"}}
    installation = Installation.model_validate({"mcp": {"far": given}})
    assert "s3cret" not in repr(installation)


def test_an_agent_names_servers_that_are_there(run: Run, tmp_path: Any) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "config.toml").write_text('[mcp.files]\ncommand = "no-such"', "utf-8")
    assert run("agent", "create", "ana", "--setting", "mcp=files").code == 0
    refused = run("agent", "set", "ana", "mcp=fils")
    assert refused.code == 1
    assert "There is no server of tools fils; there are files" in refused.err
    listed = run("tools", "list", "--json")
    assert listed.json[0]["name"] == "files"
    assert "there is no program no-such" in listed.json[0]["fault"]
    assert "does not answer" in run("tools", "allow", "files", "x").err
    assert "There is no server of tools" in run("tools", "list", "others").err


def test_those_who_change_what_is_kept_at_once_lose_nothing(tmp_path: Path) -> None:
    """Each has the file for itself, as a server and a command have."""
    path = tmp_path / "home" / "tool_servers.json"

    def allow(server: str) -> None:
        kept = KeptServers(path)
        for number in range(50):

            def edit(each: KeptServer, tool: str = f"t{number}") -> None:
                each.allowed[tool] = "hash"

            kept.change(server, edit)

    with ThreadPoolExecutor() as pool:
        list(pool.map(allow, ("files", "tickets", "files")))
    kept = KeptServers(path)
    assert [len(kept.read(server).allowed) for server in ("files", "tickets")] == [50, 50]
    assert all(file.stat().st_mode & 0o077 == 0 for file in path.parent.iterdir())
