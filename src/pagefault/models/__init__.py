"""The LLM processor: what a prompt and a completion are, and the one method a model has.

The protocol leaves out everything that differs between providers; an adapter translates. A model is
stateless: it sees the prompt and nothing else. Adapters live beside this file and are named only by
``pagefault.build``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

__all__ = ["Call", "Completion", "Delta", "FunctionSchema", "Model", "Prompt", "PromptMessage", "Usage"]


@dataclass(frozen=True, slots=True)
class Call:
    """A function call as the model wrote it: ``arguments`` is raw text, JSON if all went well."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class FunctionSchema:
    """A function as offered to the model; ``parameters`` is a JSON schema of type object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PromptMessage:
    """One message of the prompt. Only the first is ``system``; alerts in mid-history are user-role.

    ``calls`` belong to ``assistant``, ``call_id`` and ``name`` to ``tool``.
    """

    role: Literal["system", "user", "assistant", "tool"]
    text: str
    calls: tuple[Call, ...] = ()
    call_id: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Prompt:
    """The compiled main context: what one request sends. ``max_tokens`` is the reply's reserve."""

    messages: tuple[PromptMessage, ...]
    functions: tuple[FunctionSchema, ...]
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the provider reported them; ``input`` includes ``cached``."""

    input: int = 0
    output: int = 0
    cached: int = 0


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of a completion on its way: of plain text, or of a call's arguments."""

    text: str
    call: int | None = None  # index of the call whose arguments this is a piece of; None: plain text
    name: str | None = None  # that call's function


@dataclass(frozen=True, slots=True)
class Completion:
    """A whole completion. ``usage`` is None when the provider reported none."""

    text: str = ""
    calls: tuple[Call, ...] = ()
    usage: Usage | None = None


class Model(Protocol):
    """One streaming method. ``window`` is in tokens, as served.

    ``stream`` yields any number of ``Delta`` and then exactly one ``Completion``, last. It raises
    ``ModelError`` (or a subclass) and nothing else of its own; a stream that was cut raises. It is an
    async generator function (``async def`` with ``yield``): who leaves early closes it.
    """

    @property
    def name(self) -> str: ...

    @property
    def window(self) -> int: ...

    def stream(self, prompt: Prompt) -> AsyncGenerator[Delta | Completion]: ...
