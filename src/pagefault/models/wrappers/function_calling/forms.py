"""The forms in which models write calls as text: their marks and their parsers.

From the chat templates of Hermes and Qwen, Qwen-Coder, GLM, Llama, Mistral, DeepSeek and Kimi, and a fenced
JSON object, as written by models that were not trained on calls. Left out: finding the marks in a stream.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from pagefault.models import FunctionSchema, plain_name

__all__ = ["CALL_MARKS", "Mark", "WrittenCall", "looks_like_call", "read_calls"]

Functions = Mapping[str, FunctionSchema]


@dataclass(frozen=True, slots=True)
class Mark:
    """The texts around calls or thinking; without an ``end`` they go on to the end of the answer."""

    begin: str
    end: str


@dataclass(frozen=True, slots=True)
class WrittenCall:
    """A call as it was written; ``arguments`` are JSON if they could be parsed."""

    name: str
    arguments: str


CALL_MARKS = (
    Mark("<tool_call>", "</tool_call>"),  # Hermes, Qwen: JSON; Qwen-Coder, GLM: tags
    Mark("<function=", "</function>"),  # Llama, Qwen-Coder
    Mark("<|python_tag|>", ""),  # Llama
    Mark("[TOOL_CALLS]", ""),  # Mistral
    Mark("<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"),  # DeepSeek
    Mark("<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"),  # Kimi
    Mark("```json", "```"),
    Mark("```tool_call", "```"),
)

_BARE = re.compile(r'\{\s*"(name|function|function_name|tool|tool_name|type)"\s*:')
_BARE_BEGINS = re.compile(r'\{(\s*("([a-z_]{0,14}("\s*)?)?)?)?')
_DEEPSEEK = re.compile(r"<｜tool▁call▁begin｜>(.*?)<｜tool▁sep｜>(.*?)<｜tool▁call▁end｜>", re.DOTALL)
_KIMI = re.compile(
    r"<\|tool_call_begin\|>(.*?)<\|tool_call_argument_begin\|>(.*?)<\|tool_call_end\|>", re.DOTALL
)
_MISTRAL = re.compile(
    r"\s*([\w.-]+)\s*(?:\[CALL_ID\][\w-]*)?\[ARGS\]\s*(\{.*?\})\s*(?=\[TOOL_CALLS\]|$)", re.DOTALL
)
_FUNCTION = re.compile(r"(?:<function=)?([\w.:-]+)\s*>(.*?)(?:</function>|$)", re.DOTALL)
_PARAMETER = re.compile(r"<parameter=([\w.-]+)\s*>\n?(.*?)\n?</parameter>", re.DOTALL)
_GLM = re.compile(r"<arg_key>(.*?)</arg_key>\s*<arg_value>(.*?)</arg_value>", re.DOTALL)
_NAMES = ("name", "function", "function_name", "tool", "tool_name")
_ARGUMENTS = ("arguments", "parameters", "args", "input")


def looks_like_call(text: str) -> bool:
    """Return True if a text with this beginning may be a bare call: an object that names a function first."""
    return bool(_BARE.match(text) or _BARE_BEGINS.fullmatch(text))


def read_calls(mark: Mark, body: str, functions: Functions) -> list[WrittenCall]:
    """Return the calls between two marks.

    Between marks that only calls have, everything is a call, also of an unknown function and also one that
    cannot be parsed: the executor answers with an error. In a fence, or as a bare object, only calls of
    offered functions are.
    """
    calls = list(_read(mark, body, functions))
    if mark.begin and not mark.begin.startswith("```"):
        named = [call for call in calls if call.name]
        unreadable = [WrittenCall("unnamed", body.strip())] if body.strip()[:1] in ("{", "[") else []
        return named or unreadable
    offered = {plain_name(name) for name in functions}
    return [call for call in calls if plain_name(call.name) in offered]


def _read(mark: Mark, body: str, functions: Functions) -> Iterable[WrittenCall]:
    if mark.begin == "<function=":
        return _functions(f"<function={body}", functions)
    if mark.begin.startswith("<｜"):
        return [
            WrittenCall(name.rpartition("function")[2] or name, _arguments(raw))
            for name, raw in _deepseek(body)
        ]
    if mark.begin == "<|tool_calls_section_begin|>":
        return [WrittenCall(name.strip(), _arguments(raw)) for name, raw in _KIMI.findall(body)]
    if mark.begin == "[TOOL_CALLS]" and "[ARGS]" in body:
        return [WrittenCall(name, _arguments(raw)) for name, raw in _MISTRAL.findall(body)]
    if "<function=" in body:
        return _functions(body, functions)
    if "<arg_key>" in body:
        name = body.partition("<arg_key>")[0].strip()
        return [WrittenCall(name, _typed(_GLM.findall(body), name, functions))]
    return _objects(body)


def _deepseek(body: str) -> list[tuple[str, str]]:
    """Return names and arguments; in an older template the name stands in the first line, after the kind."""
    found: list[tuple[str, str]] = []
    for kind, rest in _DEEPSEEK.findall(body):
        name, fence, raw = rest.partition("```json")
        found.append((name.strip(), raw.rpartition("```")[0]) if fence else (kind.strip(), rest))
    return found


def _functions(body: str, functions: Functions) -> list[WrittenCall]:
    found: list[WrittenCall] = []
    for name, rest in _FUNCTION.findall(body):
        parameters = _PARAMETER.findall(rest)
        arguments = _typed(parameters, name, functions) if parameters else _arguments(rest)
        found.append(WrittenCall(name, arguments))
    return found


def _typed(pairs: Iterable[tuple[str, str]], name: str, functions: Functions) -> str:
    """Return values written as text, in the types of the function's schema."""
    schemas = [f.parameters for n, f in functions.items() if plain_name(n) == plain_name(name)]
    properties: Mapping[str, Any] = schemas[0].get("properties", {}) if schemas else {}
    values: dict[str, Any] = {}
    for key, value in pairs:
        wanted = properties.get(key.strip(), {}).get("type", "string")
        values[key.strip()] = value if wanted == "string" else _value(value)
    return json.dumps(values, ensure_ascii=False)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return {"True": True, "False": False, "None": None}.get(text.strip(), text)


def _objects(body: str) -> list[WrittenCall]:
    """Return calls written as JSON objects: one, a list, or several separated by semicolons or line ends."""
    found: list[WrittenCall] = []
    for value in _values(body):
        entry = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
        inner = entry.get("function")
        if isinstance(inner, dict):  # {"type": "function", "function": {...}}
            entry = cast("dict[str, Any]", inner)
        name = next((entry[key] for key in _NAMES if isinstance(entry.get(key), str)), "")
        arguments = next((entry[key] for key in _ARGUMENTS if key in entry), None)
        raw = arguments if isinstance(arguments, str) else json.dumps(arguments or {}, ensure_ascii=False)
        found.append(WrittenCall(name, raw))
    return found


def _values(body: str) -> list[Any]:
    decoder, values, at = json.JSONDecoder(), list[Any](), 0
    text = body.strip()
    while at < len(text):
        try:
            value, end = decoder.raw_decode(text, at)
        except ValueError:
            from json_repair import repair_json  # seldom needed, and slow to import

            repaired: Any = repair_json(text[at:], return_objects=True)
            values += cast("list[Any]", repaired) if isinstance(repaired, list) else [repaired]
            break
        values += cast("list[Any]", value) if isinstance(value, list) else [value]
        at = end
        while at < len(text) and text[at] in "; \r\n\t,":
            at += 1
    return values


def _arguments(raw: str) -> str:
    return raw.strip() or "{}"
