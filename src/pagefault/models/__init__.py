"""The LLM processor: what a prompt and a completion are, and the one method a model has.

The protocol leaves out everything that differs between providers; an adapter translates. A model is
stateless: it sees the prompt and nothing else. Adapters live beside this file and are named only by
``pagefault.build``.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import AsyncGenerator, Container, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, cast

from pagefault.message_meta import Usage

__all__ = [
    "Call",
    "Completion",
    "Delta",
    "FunctionSchema",
    "Model",
    "ModelWrapper",
    "Notice",
    "Prompt",
    "PromptMessage",
    "StreamItem",
    "Usage",
    "object_of",
    "own_id",
    "plain_name",
]


@dataclass(frozen=True, slots=True)
class Call:
    """A function call as the model wrote it: ``arguments`` is raw text, JSON if all went well."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class FunctionSchema:
    """A function as offered to the model; ``parameters`` is a JSON schema of type object. Hashable: it may
    be the key of what is derived from it once."""

    name: str
    description: str
    parameters: Mapping[str, Any]

    def __hash__(self) -> int:
        return hash((self.name, self.description))


@dataclass(frozen=True, slots=True)
class PromptMessage:
    """One message of the prompt. Only the first is ``system``; alerts in mid-history are user-role.

    ``calls`` and ``echo`` (see ``Completion``) belong to ``assistant``, ``call_id`` and ``name`` to ``tool``.
    """

    role: Literal["system", "user", "assistant", "tool"]
    text: str
    calls: tuple[Call, ...] = ()
    call_id: str | None = None
    name: str | None = None
    echo: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Prompt:
    """The compiled main context: what one request sends. ``max_tokens`` is the reply's reserve.

    ``answer_schema``: the JSON schema of the object that the answer's text must be (JSON mode); an adapter
    whose server cannot be held to one leaves it out.
    """

    messages: tuple[PromptMessage, ...]
    functions: tuple[FunctionSchema, ...]
    max_tokens: int
    answer_schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of a completion on its way: of plain text, of a call's arguments, or of thinking."""

    text: str
    call: int | None = None  # index of the call whose arguments this is a piece of; None: plain text
    name: str | None = None  # that call's function
    thinking: bool = False


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the person should know while a completion is on its way: a retry, another model that takes
    over. ``restart``: the deltas so far are void, the completion begins anew."""

    text: str
    restart: bool = False


@dataclass(frozen=True, slots=True)
class Completion:
    """A whole completion. ``usage`` is None when the provider reported none.

    ``thinking`` is reasoning that the provider shows apart; it is never sent back as text. ``echo`` is what
    the provider wants back, unchanged, when this completion is part of a later prompt (signatures, say): JSON
    values, with the provider's name under ``provider``; an adapter sends back its own and leaves
    out others'. ``cut``: the reply's limit of tokens ended it. ``model`` is who answered, as the provider
    calls it; ``target``, as settings name it (``openai:gpt-4o-mini``), and set by who chose among several.
    ``notes`` are what was mended on the way, each a sentence.
    """

    text: str = ""
    calls: tuple[Call, ...] = ()
    usage: Usage | None = None
    thinking: str = ""
    echo: Mapping[str, Any] | None = None
    cut: bool = False
    model: str = ""
    notes: tuple[str, ...] = ()
    target: str = ""


StreamItem = Delta | Notice | Completion
"""What a model streams."""


class Model(Protocol):
    """One streaming method. ``window`` is in tokens, as served.

    ``stream`` yields any number of ``Delta`` and ``Notice``, then exactly one ``Completion``, last. It raises
    ``ModelError`` (or a subclass) and nothing else of its own; a stream that was cut raises. It is an
    async generator function (``async def`` with ``yield``): who leaves early closes it.
    """

    @property
    def name(self) -> str: ...

    @property
    def window(self) -> int: ...

    def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem]: ...


@dataclass(slots=True)
class ModelWrapper:
    """The base of a wrapper: name and window are those of the wrapped model; ``stream`` is the wrapper's."""

    model: Model

    @property
    def name(self) -> str:
        return self.model.name

    @property
    def window(self) -> int:
        return self.model.window


_AROUND_NAME = re.compile(r"^(functions?|tools?|default_api|api)[.:/]|[:#]\d+$|\(\)$")


def plain_name(name: str) -> str:
    """A function's name without what models put around it: prefixes, numbers, case, hyphens."""
    bare = name.strip().strip("\"'`")
    while (shorter := _AROUND_NAME.sub("", bare)) != bare:
        bare = shorter
    return bare.lower().replace("-", "_")


def own_id(given: str = "", taken: Container[str] = ()) -> str:
    """A call's id: as it was given, or a new one if there is none or another call has it."""
    return given if given and given not in taken else f"call_{uuid.uuid4().hex[:24]}"


def object_of(arguments: str) -> Mapping[str, Any]:
    """A call's arguments as an object, for a history that is sent back: some servers parse it, and one broken
    call would end the talk. What is no object is wrapped."""
    try:
        value: object = json.loads(arguments or "{}")
    except ValueError:
        value = None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {"malformed": arguments}
