"""JSON mode: functions for a model without them, by one JSON object ``{thoughts, function, arguments}``.

The functions are listed in the system text, the calls of the history are shown as such objects and their
results as marked user-role messages, and the answer must match a schema where the server supports that. The
same prompt always gives the same bytes. Left out: several calls in one answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from pagefault.models import (
    Call,
    Completion,
    Delta,
    FunctionSchema,
    Prompt,
    PromptMessage,
    StreamItem,
    object_of,
    own_id,
)

__all__ = ["JSONReader"]

NONE, ANSWER = "none", "answer"
_HOW = (
    'Answer with one JSON object and nothing else: {{"thoughts": "...", "function": "NAME", '
    '"arguments": {{...}}}}. '
    "thoughts are private and short. {last}\nFunctions (? marks what may be left out):"
)
_LAST = {
    NONE: 'To call nothing, function is "none".',
    ANSWER: 'To answer the user, function is "answer" and arguments are {{"message": "..."}}.',
}
_ARGUMENTS = re.compile(r'"function"\s*:\s*"((?:[^"\\]|\\.)*)"\s*,\s*"arguments"\s*:\s*(?=\{)')


class JSONReader:
    """Reads one completion in JSON mode while it streams; ``prompt`` is the one to send."""

    def __init__(self, prompt: Prompt) -> None:
        speaks = any(function.name == "send_message" for function in prompt.functions)
        self._last = NONE if speaks else ANSWER
        self.prompt = _translated(prompt, self._last)
        self._arguments = _StreamedArguments()

    def take(self, item: StreamItem) -> Sequence[StreamItem]:
        """Return the items that stand for this one."""
        if isinstance(item, Completion):
            return (_completion(item, self._last),)
        if isinstance(item, Delta) and not item.thinking:
            return self._arguments.feed(item.text)
        return (item,)


# The prompt


def _translated(prompt: Prompt, last: str) -> Prompt:
    names = [*(function.name for function in prompt.functions), last]
    schema = {
        "type": "object",
        "properties": {
            "thoughts": {"type": "string"},
            "function": {"type": "string", "enum": names},
            "arguments": {"type": "object"},
        },
        "required": ["thoughts", "function", "arguments"],
        "additionalProperties": False,
    }
    listed = "\n".join(map(_listed, prompt.functions))
    how = f"{_HOW.format(last=_LAST[last].format())}\n{listed}"
    messages = [_message(message, last) for message in prompt.messages]
    if messages and messages[0].role == "system":
        messages[0] = replace(messages[0], text=f"{messages[0].text}\n\n{how}")
    return replace(prompt, messages=tuple(messages), functions=(), answer_schema=schema)


def _listed(function: FunctionSchema) -> str:
    """Return a line like ``- name(text: string, page?: integer) Description.``"""
    properties: Mapping[str, Any] = function.parameters.get("properties", {})
    required = function.parameters.get("required", ())
    takes = ", ".join(
        f"{name}{'' if name in required else '?'}: {_type(schema)}" for name, schema in properties.items()
    )
    return f"- {function.name}({takes}) {function.description}"


def _type(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return "|".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        return f"{_type(schema.get('items', {}))}[]"
    options = [_type(option) for option in schema.get("anyOf", ()) if option.get("type") != "null"]
    return str(schema.get("type") or "|".join(options) or "any")


def _message(message: PromptMessage, last: str) -> PromptMessage:
    if message.role == "tool":
        return PromptMessage("user", f"[result of {message.name}] {message.text}")
    if message.role != "assistant":
        return message
    if not message.calls:
        said: dict[str, Any] = {"thoughts": "", "function": ANSWER, "arguments": {"message": message.text}}
        thought: dict[str, Any] = {"thoughts": message.text, "function": NONE, "arguments": {}}
        return PromptMessage("assistant", _json(thought if last == NONE else said))
    lines = [
        {
            "thoughts": "" if number else message.text,
            "function": call.name,
            "arguments": object_of(call.arguments),
        }
        for number, call in enumerate(message.calls)
    ]
    return PromptMessage("assistant", "\n".join(map(_json, lines)))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


# The answer


@dataclass(slots=True)
class _StreamedArguments:
    """The arguments of the call; they are shown while they come, once the function's name is known."""

    _text: str = ""
    _name: str = ""
    _at: int = 0  # end of the arguments that are shown
    _depth: int = 0
    _quoted: bool = False
    _escaped: bool = False
    _done: bool = False

    def feed(self, piece: str) -> Sequence[Delta]:
        self._text += piece
        if not self._name and (found := _ARGUMENTS.search(self._text)):
            self._name, self._at = found[1], found.end()
        if not self._name or self._done or self._name in (NONE, ANSWER):
            return ()
        new = self._inside(self._text[self._at :])
        self._at += len(new)
        return (Delta(new, 0, self._name),) if new else ()

    def _inside(self, text: str) -> str:
        """Return the part of the text that belongs to the object of arguments."""
        for at, letter in enumerate(text):
            if self._quoted:
                if self._escaped:
                    self._escaped = False
                elif letter == "\\":
                    self._escaped = True
                elif letter == '"':
                    self._quoted = False
            elif letter == '"':
                self._quoted = True
            elif letter == "{":
                self._depth += 1
            elif letter == "}":
                self._depth -= 1
                if self._depth == 0:
                    self._done = True
                    return text[: at + 1]
        return text


def _completion(whole: Completion, last: str) -> Completion:
    """Return the object as a call.

    Without an object the text stands as it is. An object without a readable call is an unnamed call, which
    the executor answers with an error.
    """
    value, repaired = _read(whole.text)
    if value is None:
        return whole
    thoughts = str(value.get("thoughts") or "")
    notes = (*whole.notes, "Broken JSON was repaired.") if repaired else whole.notes
    thought = replace(whole, text="", thinking=whole.thinking + thoughts, notes=notes)
    name = value.get("function") or value.get("name")
    arguments = value.get("arguments", value.get("parameters"))
    if name == NONE or (name is None and set(value) <= {"thoughts", "arguments"}):
        return thought
    if name == ANSWER and last == ANSWER:
        return replace(thought, text=_message_in(arguments))
    call = Call(own_id(), "unnamed", whole.text) if name is None else _call(str(name), arguments)
    return replace(whole, text=thoughts, calls=(*whole.calls, call), notes=notes)


def _call(name: str, arguments: object) -> Call:
    raw = arguments if isinstance(arguments, str) else _json({} if arguments is None else arguments)
    return Call(own_id(), name, raw)


def _message_in(arguments: object) -> str:
    if isinstance(arguments, dict):
        arguments = cast("dict[str, Any]", arguments).get("message")
    return str(arguments or "")


def _read(text: str) -> tuple[Mapping[str, Any] | None, bool]:
    """Return the first object in a text, without fences and prose around it, and True if it was repaired."""
    start = text.find("{")
    if start < 0:
        return None, False
    try:
        value, _ = json.JSONDecoder().raw_decode(text, start)
        return cast("dict[str, Any]", value), False
    except ValueError:
        from json_repair import repair_json  # seldom needed, and slow to import

        value = repair_json(text[start:].removesuffix("```"), return_objects=True)
    found: Sequence[Any] = value if isinstance(value, list) else [value]
    objects = [cast("dict[str, Any]", one) for one in found if isinstance(one, dict)]
    return (objects[0] if objects and "function" in objects[0] else None), True
