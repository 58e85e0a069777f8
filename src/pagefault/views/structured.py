"""Structured output: a reply's text as a value of the type that the program asks for.

The model is told the JSON schema behind the message; an answer that does not fit is asked for once again.
Left out: the response formats of providers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from pagefault.agent.rows import THINKING
from pagefault.containment import Fault, barrier
from pagefault.errors import ArgumentTypeError, OutputError
from pagefault.functions.describing import JsonSchema, compact_schema
from pagefault.models.json_text import read_json, repair_json
from pagefault.names import system_key
from pagefault.types import Event, EventKind
from pagefault.views.reply import Reply

__all__ = ["StructuredOutput", "reply_as", "reply_into", "structured_output"]

T = TypeVar("T")

_ASKED = (
    "{text}\n\nA program reads your answer: say JSON that fits this JSON schema, and nothing else. {schema}"
)
_AGAIN = "A program reads your answer, and it does not fit. {faults}"
_FENCE = re.compile(r"```\w*[ \t]*\n(.*?)\n?[ \t]*```", re.DOTALL)
_LONGEST = 2_000  # characters of what is wrong
_MOST = 10  # faults that are named


@dataclass(frozen=True, slots=True)
class StructuredOutput(Generic[T]):
    """A type that a reply is to be of, and its JSON schema as text."""

    adapter: TypeAdapter[T]
    schema: str

    def asked(self, event: Event) -> Event:
        """The event that asks for an answer of the type."""
        return replace(event, text=_ASKED.format(text=event.text, schema=self.schema).lstrip())

    def asked_again(self, faults: str, key: str | None) -> Event:
        """The event that says what is wrong with the answer; of an event with a key, it has one too."""
        text = _ASKED.format(text=_AGAIN.format(faults=faults), schema=self.schema)
        return Event(EventKind.ALERT, text, key=key and system_key(f"{key}#again"))

    def read(self, text: str) -> T:
        """The value; ``ValueError`` says what is wrong with the text, in a sentence."""
        first: ValueError | None = None
        for value in _values(text):
            try:
                with barrier():  # types may bring validators of their own
                    return self.adapter.validate_json(json.dumps(value))
            except Fault as fault:
                first = first or ValueError(_faults(fault))
        raise first or ValueError("It is empty.")


def structured_output(into: type[T]) -> StructuredOutput[T]:
    """Derive what to ask for from a type; ``ArgumentTypeError`` if it cannot come as JSON."""
    try:
        with barrier():
            adapter = TypeAdapter(into)
            schema = adapter.json_schema(schema_generator=JsonSchema)
    except Fault as fault:
        why = str(fault).partition("\n")[0].partition(". Set ")[0].rstrip(".")
        raise ArgumentTypeError(
            f"into={into!r:.200} is no type that can come as JSON ({why}); give a pydantic model, a "
            "dataclass, list[str] or the like."
        ) from fault
    shown = json.dumps(compact_schema(schema, defaults=True), ensure_ascii=False)
    return StructuredOutput(adapter, shown)


async def reply_into(send: Callable[[Event], Awaitable[Reply[Any]]], event: Event, into: type[T]) -> Reply[T]:
    """Send an event and return the reply with its text as ``value``; if that does not fit, the reply to an
    event that asks once again. ``OutputError`` if that does not fit either, or there is no answer. A turn
    that waits for a decision has no answer yet: its reply has no ``value``."""
    output = structured_output(into)
    return await reply_as(output, await send(output.asked(event)), send, event.key)


async def reply_as(
    output: StructuredOutput[T],
    reply: Reply[Any],
    send: Callable[[Event], Awaitable[Reply[Any]]],
    key: str | None = None,
) -> Reply[T]:
    """The same of a reply that is there already; ``key``: of its event."""
    if reply.waiting:
        return cast("Reply[T]", reply)
    try:
        return _with_value(reply, output.read(_text_of(reply)))
    except ValueError as fault:
        faults = str(fault)
    reply = await send(output.asked_again(faults, key))
    if reply.waiting:
        return cast("Reply[T]", reply)
    text = _text_of(reply)
    try:
        return _with_value(reply, output.read(text))
    except ValueError as fault:
        raise OutputError(f"The agent's answer is not what was asked for, twice: {fault}", text) from None


def _with_value(reply: Reply[Any], value: T) -> Reply[T]:
    return cast("Reply[T]", replace(reply, value=value))


def _text_of(reply: Reply[Any]) -> str:
    """The speech of a reply, or the plain text of a model that forgot to speak; ``OutputError`` if it has
    neither."""
    thoughts = (o.text for o in reply.outputs if o.type == "thought" and o.name != THINKING)
    if text := reply.text or "\n".join(thoughts):
        return text
    why = " ".join(reply.alerts) or "its turn ended without speech"
    raise OutputError(f"The agent gave no answer: {why.rstrip('.')}; ask it again.", "")


def _values(text: str) -> Iterator[object]:
    """The values that a text may mean, the likeliest first: JSON, JSON in a fence or amid prose, the text."""
    for part in (text, *_FENCE.findall(text)):
        try:
            yield read_json(part)
            break
        except ValueError:
            continue
    else:
        if isinstance(repaired := repair_json(text), dict | list):
            yield cast("object", repaired)
    yield text.strip()


def _faults(fault: Fault) -> str:
    error = fault.__cause__
    if not isinstance(error, ValidationError):
        return f"{fault}."[:_LONGEST]
    listed = error.errors(include_url=False, include_context=False, include_input=False)
    named = [
        f"{'.'.join(map(str, each['loc']))}: {each['msg']}".removeprefix(": ") for each in listed[:_MOST]
    ]
    more = f"; and {len(listed) - _MOST} more" if len(listed) > _MOST else ""
    return f"{'; '.join(named)[:_LONGEST]}{more}."
