"""JSON mode: functions for a model without them, by one JSON object ``{thoughts, function, arguments}``.

The functions are listed in the system text, the calls of the history are shown as such objects and their
results as marked user-role messages, and the answer must match a schema where the server supports that. The
same prompt always gives the same bytes. Only an answer that is such an object and nothing else is a call like
any other: with prose around it, broken, or repeated from the prompt it is a call written as text, or just
text. Left out: several calls in one answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pagefault.models import (
    Call,
    Completion,
    Delta,
    FunctionSchema,
    Notice,
    Prompt,
    PromptMessage,
    StreamItem,
    object_of,
    own_id,
)
from pagefault.models.answer_schemas import schema_of_answers
from pagefault.models.wrappers.function_calling.answer_objects import AnswerObject, message_in, object_in
from pagefault.models.wrappers.function_calling.quotation import PromptData

__all__ = ["JSONReader", "SpokenReader", "in_json_mode"]

NONE, ANSWER = "none", "answer"
_SPEAKS = "send_message"
_NOTHING = FunctionSchema(NONE, "", {"type": "object", "properties": {}})
_MESSAGE = FunctionSchema(
    ANSWER, "", {"type": "object", "properties": {"message": {"type": "string"}}, "required": ["message"]}
)
_HOW = (
    'Answer with one JSON object and nothing else: {{"thoughts": "...", "function": "NAME", '
    '"arguments": {{...}}}}. '
    "thoughts are private and short. {last}\nFunctions (? marks what may be left out):"
)
_LAST = {
    NONE: 'To call nothing, function is "none".',
    ANSWER: 'To answer the user, function is "answer" and arguments are {{"message": "..."}}.',
}
_STRING = r'"(?:[^"\\]|\\.)*"'
_ARGUMENTS = re.compile(
    rf'\s*(?:```\w*\s*)?\{{\s*(?:"thoughts"\s*:\s*{_STRING}\s*,\s*)?"function"\s*:\s*({_STRING})'
    r'\s*,\s*"arguments"\s*:\s*(?=\{)'
)
_LONGEST_THOUGHTS = 20_000  # characters before arguments that are shown while they come


class JSONReader:
    """Reads one completion in JSON mode while it streams; ``prompt`` is the one to send."""

    def __init__(self, prompt: Prompt) -> None:
        self._last = _last(prompt)
        self._data = PromptData(prompt)
        self.prompt = in_json_mode(prompt)
        self._arguments = _StreamedArguments()

    def take(self, item: StreamItem) -> Sequence[StreamItem]:
        """Return the items that stand for this one."""
        if isinstance(item, Completion):
            return self._whole(item)
        if isinstance(item, Delta) and not item.thinking:
            return self._arguments.feed(item.text)
        return (item,)

    def _whole(self, whole: Completion) -> Sequence[StreamItem]:
        """Return the completion with its object as a call; without one the text stands as it is."""
        found = object_in(whole.text)
        if found is None or (found.around and self._is_quoted(found)):
            taken_back = [Notice("The object was text.", restart=True)] if self._arguments.shown else []
            said = [Delta(whole.text)] if whole.text.strip() else []
            return (*taken_back, *said, whole)
        made = _completion(whole, found, self._last)
        repeated = self._data.holds_call(str(found.name), _json(found.arguments))
        from_text = repeated or not found.is_answer
        calls = tuple(replace(call, from_text=from_text) for call in made.calls)
        return (replace(made, calls=calls),)

    def _is_quoted(self, found: AnswerObject) -> bool:
        return self._data.holds_name(str(found.name)) or self._data.holds_arguments(_json(found.arguments))


@dataclass(slots=True)
class SpokenReader:
    """Reads one answer that is to be plain text, in JSON mode: it may be the object that the instructions ask
    for, of which only words are taken; nothing is a call. ``prompt`` is the one to send."""

    prompt: Prompt

    def take(self, item: StreamItem) -> Sequence[StreamItem]:
        """Return the items that stand for this one; the text comes as a whole."""
        if isinstance(item, Completion):
            found = object_in(item.text)
            said = _words_of(found) if found and not found.around else item.text
            return (*([Delta(said)] if said.strip() else []), replace(item, text=said))
        return () if isinstance(item, Delta) and not item.thinking else (item,)


# The prompt


def _last(prompt: Prompt) -> str:
    """Return the function by which nothing is called: silence where there is one that speaks."""
    return NONE if any(function.name == _SPEAKS for function in prompt.functions) else ANSWER


def in_json_mode(prompt: Prompt) -> Prompt:
    """Return the prompt as it is sent in JSON mode; of a ``plain`` one the schema of the answer allows speech
    alone, and it begins as the others do."""
    last = _last(prompt)
    speech = next((function for function in prompt.functions if function.name == _SPEAKS), _MESSAGE)
    silent = _NOTHING if last == NONE else _MESSAGE
    schema = schema_of_answers((), speech) if prompt.plain else schema_of_answers(prompt.functions, silent)
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
        return PromptMessage("user", f"[result of {message.name}] {message.text}", images=message.images)
    if message.role != "assistant":
        return message
    if not message.calls:
        name = _SPEAKS if last == NONE else ANSWER
        said: dict[str, Any] = {"thoughts": "", "function": name, "arguments": {"message": message.text}}
        return PromptMessage("assistant", _json(said))
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

    shown: bool = False
    _text: str = ""
    _name: str = ""
    _at: int = 0  # end of the arguments that are shown
    _depth: int = 0
    _quoted: bool = False
    _escaped: bool = False
    _done: bool = False

    def feed(self, piece: str) -> Sequence[Delta]:
        self._text += piece
        may_open = not self._name and "{" in piece and len(self._text) < _LONGEST_THOUGHTS
        if may_open and (found := _ARGUMENTS.match(self._text)):
            self._name, self._at = found[1][1:-1], found.end()
        if not self._name or self._done or self._name in (NONE, ANSWER):
            return ()
        new = self._inside(self._text[self._at :])
        self._at += len(new)
        self.shown = self.shown or bool(new)
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


def _completion(whole: Completion, found: AnswerObject, last: str) -> Completion:
    """Return the object as a call. One without a readable call is an unnamed call, which the executor answers
    with an error. Prose around it is text."""
    value, name = found.value, found.name
    thoughts = str(value.get("thoughts") or "")
    notes = (*whole.notes, "Broken JSON was repaired.") if found.repaired else whole.notes
    thought = replace(whole, text=_joined(found), thinking=whole.thinking + thoughts, notes=notes)
    if name == NONE or (name is None and set(value) <= {"thoughts", "arguments"}):
        return thought
    if name == ANSWER and last == ANSWER:
        return replace(thought, text=_joined(found, message_in(found.arguments)))
    call = Call(own_id(), "unnamed", found.raw) if name is None else _call(str(name), found.arguments)
    return replace(whole, text=_joined(found, thoughts), calls=(*whole.calls, call), notes=notes)


def _words_of(found: AnswerObject) -> str:
    """Return what an object says: its message, else its thoughts, else all of it."""
    return message_in(found.arguments) or str(found.value.get("thoughts") or "") or found.raw


def _joined(found: AnswerObject, said: str = "") -> str:
    return "\n".join(filter(None, (found.before, said, found.after)))


def _call(name: str, arguments: object) -> Call:
    raw = arguments if isinstance(arguments, str) else _json({} if arguments is None else arguments)
    return Call(own_id(), name, raw)
