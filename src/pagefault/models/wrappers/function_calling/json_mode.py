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
from itertools import islice
from typing import Any, cast

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
from pagefault.models.json_text import read_json, repair_json
from pagefault.models.wrappers.function_calling.forms import json_end
from pagefault.models.wrappers.function_calling.quotation import PromptData, begins_line, is_enclosed

__all__ = ["JSONReader", "in_json_mode"]

NONE, ANSWER = "none", "answer"
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
_MOST_READ = 2_000_000  # characters, most of them again, in which the object is looked for
_KEYS = frozenset(("thoughts", "function", "arguments"))
_OPENS = re.compile(r"^(```\w*[ \t]*\n\s*)?(?=\{)", re.MULTILINE)
_CLOSES = re.compile(r"\s*```[ \t]*(?=\n|\Z)"), re.compile(r"[ \t]*(?=\n|\Z)")  # with a fence, and without


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
        found = _object_in(whole.text)
        if found is None or (found.around and self._is_quoted(found)):
            taken_back = [Notice("The object was text.", restart=True)] if self._arguments.shown else []
            said = [Delta(whole.text)] if whole.text.strip() else []
            return (*taken_back, *said, whole)
        made = _completion(whole, found, self._last)
        repeated = self._data.holds_call(str(found.name), _json(found.arguments))
        from_text = repeated or not found.is_answer
        calls = tuple(replace(call, from_text=from_text) for call in made.calls)
        return (replace(made, calls=calls),)

    def _is_quoted(self, found: _Object) -> bool:
        return self._data.holds_name(str(found.name)) or self._data.holds_arguments(_json(found.arguments))


# The prompt


def _last(prompt: Prompt) -> str:
    """Return the function by which nothing is called: silence where there is one that speaks."""
    return NONE if any(function.name == "send_message" for function in prompt.functions) else ANSWER


def in_json_mode(prompt: Prompt) -> Prompt:
    """Return the prompt as it is sent in JSON mode; of a ``plain`` one only the schema of the answer is left
    out, so that it begins as the others do."""
    last = _last(prompt)
    schema = schema_of_answers(prompt.functions, _NOTHING if last == NONE else _MESSAGE)
    listed = "\n".join(map(_listed, prompt.functions))
    how = f"{_HOW.format(last=_LAST[last].format())}\n{listed}"
    messages = [_message(message, last) for message in prompt.messages]
    if messages and messages[0].role == "system":
        messages[0] = replace(messages[0], text=f"{messages[0].text}\n\n{how}")
    return replace(
        prompt, messages=tuple(messages), functions=(), answer_schema=None if prompt.plain else schema
    )


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


@dataclass(frozen=True, slots=True)
class _Object:
    """The object of an answer as it was written (``raw``), and the prose before and after it."""

    value: Mapping[str, Any]
    raw: str
    before: str = ""
    after: str = ""
    repaired: bool = False

    @property
    def around(self) -> bool:
        return bool(self.before or self.after)

    @property
    def name(self) -> object:
        return self.value.get("function") or self.value.get("name")

    @property
    def arguments(self) -> object:
        return self.value.get("arguments", self.value.get("parameters"))

    @property
    def is_answer(self) -> bool:
        """True for the object that was asked for, and nothing else."""
        return not (self.around or self.repaired) and "function" in self.value and set(self.value) <= _KEYS


def _object_in(text: str) -> _Object | None:
    """Return the first object on lines of its own, which may have a fence; None if there is none."""
    text = text.strip()
    for opened in islice(_OPENS.finditer(text), 16 + _MOST_READ // (len(text) + 1)):
        at, end = opened.start(), json_end(text, opened.end())
        if end < 0 and not at:  # cut short
            return _made(text[opened.end() :].removesuffix("```"), repaired=True)
        closed = _CLOSES[not opened[1]].match(text, end) if end >= 0 else None
        if closed and begins_line(text, at) and not is_enclosed(text, at):
            return _made(text[opened.end() : end], text[:at].strip(), text[closed.end() :].strip())
    return None


def _made(raw: str, before: str = "", after: str = "", *, repaired: bool = False) -> _Object | None:
    value: object = None
    if not repaired:
        try:
            value = read_json(raw)
        except ValueError:
            repaired = True
    if repaired:
        value = repair_json(raw)
    if not isinstance(value, dict) or (repaired and "function" not in value):
        return None
    return _Object(cast("dict[str, Any]", value), raw, before, after, repaired)


def _completion(whole: Completion, found: _Object, last: str) -> Completion:
    """Return the object as a call. One without a readable call is an unnamed call, which the executor answers
    with an error. Prose around it is text."""
    value, name = found.value, found.name
    thoughts = str(value.get("thoughts") or "")
    notes = (*whole.notes, "Broken JSON was repaired.") if found.repaired else whole.notes
    thought = replace(whole, text=_joined(found), thinking=whole.thinking + thoughts, notes=notes)
    if name == NONE or (name is None and set(value) <= {"thoughts", "arguments"}):
        return thought
    if name == ANSWER and last == ANSWER:
        return replace(thought, text=_joined(found, _message_in(found.arguments)))
    call = Call(own_id(), "unnamed", found.raw) if name is None else _call(str(name), found.arguments)
    return replace(whole, text=_joined(found, thoughts), calls=(*whole.calls, call), notes=notes)


def _joined(found: _Object, said: str = "") -> str:
    return "\n".join(filter(None, (found.before, said, found.after)))


def _call(name: str, arguments: object) -> Call:
    raw = arguments if isinstance(arguments, str) else _json({} if arguments is None else arguments)
    return Call(own_id(), name, raw)


def _message_in(arguments: object) -> str:
    if isinstance(arguments, dict):
        arguments = cast("dict[str, Any]", arguments).get("message")
    return str(arguments or "")
