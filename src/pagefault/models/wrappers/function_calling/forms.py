"""The forms in which models write calls as text: their marks and their parsers.

From the chat templates of Hermes and Qwen, Qwen-Coder, GLM, Llama, Mistral, DeepSeek and Kimi, and a fenced
or bare JSON object, as written by models that were not trained on calls. What is read must be a call from end
to end. Left out: finding the marks in a stream.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from pagefault.models import FunctionSchema, plain_name
from pagefault.models.json_text import read_json, repair_json

__all__ = [
    "CALL_MARKS",
    "MOST_CALLS",
    "Mark",
    "WrittenCall",
    "after_space",
    "json_end",
    "looks_like_call",
    "looks_like_fence",
    "read_calls",
    "read_unmarked",
]

Functions = Mapping[str, FunctionSchema]


@dataclass(frozen=True, slots=True)
class Mark:
    """The texts around calls; without an ``end`` they go on to the end of the answer. ``glued``: a model may
    write it directly behind a sentence, as its chat template does."""

    begin: str
    end: str
    glued: bool = False


@dataclass(frozen=True, slots=True)
class WrittenCall:
    """A call as it was written; ``arguments`` are JSON if they could be parsed."""

    name: str
    arguments: str


CALL_MARKS = (
    Mark("<tool_call>", "</tool_call>"),  # Hermes, Qwen: JSON; Qwen-Coder, GLM: tags
    Mark("<function=", "</function>"),  # Llama, Qwen-Coder
    Mark("<|python_tag|>", "", glued=True),  # Llama
    Mark("[TOOL_CALLS]", "", glued=True),  # Mistral
    Mark("<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>", glued=True),  # DeepSeek
    Mark("<|tool_calls_section_begin|>", "<|tool_calls_section_end|>", glued=True),  # Kimi
)

MOST_CALLS = 200
"""Calls of one answer: a text with more is none."""

_FENCE_OPENS = re.compile(
    r"```[ \t]*+(?:json|tool_calls?|tools?|functions?|function_call)?[ \t]*+\n\s*+(?=[{\[])"
)
_FENCE_BEGINS = re.compile(r"`{1,3}|```[ \t]*+[a-z_]{0,13}[ \t]*+(\n\s*)?")
_FENCE_CLOSES = re.compile(r"\n[ \t]*```\s*")
_BARE = re.compile(r'\{\s*"(name|function|function_name|tool|tool_name|type)"\s*:')
_BARE_BEGINS = re.compile(r'\{(\s*("([a-z_]{0,14}("\s*)?)?)?)?')
_DEEPSEEK = re.compile(r"<｜tool▁call▁begin｜>(?>(.*?)<｜tool▁sep｜>)(.*?)<｜tool▁call▁end｜>", re.DOTALL)
_KIMI = re.compile(
    r"<\|tool_call_begin\|>(?>(.*?)<\|tool_call_argument_begin\|>)(.*?)<\|tool_call_end\|>", re.DOTALL
)
_MISTRAL = re.compile(
    r"([\w.-]++)\s*+(?:\[CALL_ID\][\w-]*+)?\[ARGS\]\s*+(\{.*?\})\s*+(?:\[TOOL_CALLS\]|\Z)", re.DOTALL
)
_BETWEEN = re.compile(r"[; \r\n\t,]*+")
_SPACE = re.compile(r"\s*+")
_STRUCTURE = re.compile(r'\\.|["{}\[\]]', re.DOTALL)
_FUNCTION = re.compile(r"(?:<function=)?(?<![\w.:-])([\w.:-]++)\s*+>(.*?)(?:</function>|$)", re.DOTALL)
_PARAMETER = re.compile(r"<parameter=([\w.-]++)\s*+>\n?(.*?)\n?</parameter>", re.DOTALL)
_GLM = re.compile(r"<arg_key>(?>(.*?)</arg_key>\s*+<arg_value>)(.*?)</arg_value>", re.DOTALL)
_NAMES = ("name", "function", "function_name", "tool", "tool_name")
_ARGUMENTS = ("arguments", "parameters", "args", "input")


def looks_like_call(text: str) -> bool:
    """Return True if a text with this beginning may be bare calls: objects that name a function first."""
    if not (_BARE.match(text) or _BARE_BEGINS.fullmatch(text)):
        return False
    end = json_end(text) if "}" in text else -1
    return end < 0 or text[end:].lstrip("; \r\n\t,")[:1] in ("", "{", "[")


def looks_like_fence(text: str) -> bool:
    """Return True if a text with this beginning may be a fence around one call, and nothing else."""
    if not _FENCE_OPENS.match(text):
        return bool(_FENCE_BEGINS.fullmatch(text))
    closed = _FENCE_CLOSES.search(text)
    return closed is None or closed.end() == len(text)


def read_calls(mark: Mark, body: str, functions: Functions, *, closed: bool) -> list[WrittenCall]:
    """Return the calls behind a mark, or between two; none if there is anything else.

    Everything in a form of calls is a call, also of an unknown function, and so is a closed object that
    cannot be parsed: the executor answers with an error.
    """
    if named := [call for call in _read(mark, body, functions) if call.name]:
        return named
    is_object = closed and body.strip()[:1] in ("{", "[")
    return [WrittenCall("unnamed", body.strip())] if is_object else []


def read_unmarked(text: str, functions: Functions) -> list[WrittenCall]:
    """Return the calls that are the whole of a text: bare objects, or one in a fence, all of offered
    functions."""
    opened, closed = _FENCE_OPENS.match(text), _FENCE_CLOSES.search(text)
    body = text[opened.end() : closed.start()] if opened and closed else text
    calls = _objects(body)
    offered = {plain_name(name) for name in functions}
    fits = all(plain_name(call.name) in offered for call in calls)
    return calls if fits and not (opened and len(calls) != 1) else []


def json_end(text: str, start: int = 0) -> int:
    """Return the end of the JSON object or list that begins at ``start``; -1 if it is not closed."""
    depth, quoted = 0, False
    for found in _STRUCTURE.finditer(text, start):
        if found[0] == '"':
            quoted = not quoted
        elif not quoted and found[0][0] != "\\":
            depth += 1 if found[0] in "{[" else -1
            if depth <= 0:
                return found.end()
    return -1


def after_space(text: str, at: int) -> int:
    """Return the place behind the white space that begins at ``at``."""
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _read(mark: Mark, body: str, functions: Functions) -> list[WrittenCall]:
    if mark.begin == "<function=":
        return _functions(f"<function={body}", functions)
    if mark.begin.startswith("<｜"):
        return _deepseek(body)
    if mark.begin == "<|tool_calls_section_begin|>":
        return [WrittenCall(name.strip(), _arguments(raw)) for name, raw in _all(_KIMI, body)]
    if mark.begin == "[TOOL_CALLS]" and "[ARGS]" in body:
        return [WrittenCall(name, _arguments(raw)) for name, raw in _all(_MISTRAL, body)]
    if "<function=" in body:
        return _functions(body, functions)
    if "<arg_key>" in body:
        name, key, rest = body.partition("<arg_key>")
        pairs = _all(_GLM, key + rest)
        return [WrittenCall(name.strip(), _typed(pairs, name, functions))] if pairs else []
    return _objects(body)


def _all(pattern: re.Pattern[str], text: str) -> list[tuple[str, str]]:
    """Return the pairs of a pattern that a text consists of; none if there is anything else in it. Each is
    looked for in one place only, so that the time is linear."""
    pairs, at, text = list[tuple[str, str]](), 0, text.strip()
    while at < len(text):
        if not (found := pattern.match(text, at)):
            return []
        pairs.append((found[1], found[2]))
        at = after_space(text, found.end())
    return pairs


def _deepseek(body: str) -> list[WrittenCall]:
    """Return the calls; in an older template the name stands in the first line, after the kind."""
    found: list[WrittenCall] = []
    for kind, rest in _all(_DEEPSEEK, body):
        first, fence, raw = rest.partition("```json")
        name, raw = (first.strip(), raw.rpartition("```")[0]) if fence else (kind.strip(), rest)
        found.append(WrittenCall(name.rpartition("function")[2] or name, _arguments(raw)))
    return found


def _functions(body: str, functions: Functions) -> list[WrittenCall]:
    found: list[WrittenCall] = []
    for name, rest in _all(_FUNCTION, body):
        parameters = _all(_PARAMETER, rest)
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
        return read_json(text)
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
    """Return the JSON values of a text, broken ones repaired; none if anything else is in it."""
    values, text, at = list[Any](), body.strip(), 0
    while at < len(text):
        if text[at] not in "{[" or len(values) > MOST_CALLS:
            return []
        end = json_end(text, at)
        value = _repaired(text[at:] if end < 0 else text[at:end])
        values += cast("list[Any]", value) if isinstance(value, list) else [value]
        between = _BETWEEN.match(text, end) if end >= 0 else None
        at = between.end() if between else len(text)
    return values


def _repaired(text: str) -> object:
    try:
        return read_json(text)
    except ValueError:
        return repair_json(text)


def _arguments(raw: str) -> str:
    return raw.strip() or "{}"
