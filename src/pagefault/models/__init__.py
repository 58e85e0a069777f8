"""The LLM processor: prompts, completions, and the protocol of a model with its one method.

The protocol leaves out everything that differs between providers; an adapter translates. A model is
stateless: it sees the prompt and nothing else. Adapters are in the modules beside this file.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncGenerator, Container, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, cast

from pagefault.media import MediaContent
from pagefault.message_meta import Usage
from pagefault.models.json_text import read_json

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
    """A function call as the model wrote it; ``arguments`` is raw text that should be JSON. ``from_text``: it
    was read from the text of an answer, where it may be a quotation, not from the provider's protocol."""

    id: str
    name: str
    arguments: str
    from_text: bool = False


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

    ``calls`` and ``echo`` (see ``Completion``) belong to ``assistant``, ``call_id`` and ``name`` to ``tool``;
    ``images`` to ``user`` and ``tool``, after the text, which names them.
    """

    role: Literal["system", "user", "assistant", "tool"]
    text: str
    calls: tuple[Call, ...] = ()
    call_id: str | None = None
    name: str | None = None
    echo: Mapping[str, Any] | None = None
    images: tuple[MediaContent, ...] = ()


@dataclass(frozen=True, slots=True)
class Prompt:
    """The compiled main context of one request. ``max_tokens`` is the reply's reserve.

    ``answer_schema`` is the JSON schema of the answer (JSON mode); an adapter leaves it out if its server
    supports none. ``instructions`` are those at the beginning of the system message; all else in ``messages``
    is data. ``plain``: the answer is to be plain text, and nothing in it is a call. The functions are sent
    all the same, for a cache knows a prompt by its beginning; an adapter says that none may be called, if
    its protocol can without losing the cache.
    """

    messages: tuple[PromptMessage, ...]
    functions: tuple[FunctionSchema, ...]
    max_tokens: int
    answer_schema: Mapping[str, Any] | None = None
    instructions: str = ""
    plain: bool = False


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of a completion that is being streamed: of text, of a call's arguments, or of thinking."""

    text: str
    call: int | None = None  # index of the call, for a piece of its arguments; None: plain text
    name: str | None = None  # that call's function
    thinking: bool = False


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice to the person during a completion: a retry, a fallback model. ``restart``: the deltas so far
    are void, and the completion starts again. ``unreachable``: there is no connection to any model."""

    text: str
    restart: bool = False
    unreachable: bool = False


@dataclass(frozen=True, slots=True)
class Completion:
    """A whole completion. ``usage`` is None when the provider reported none.

    ``thinking`` is reasoning that the provider sends separately; it is never sent back as text. ``echo`` are
    JSON values that the provider wants back unchanged when this completion is part of a later prompt (such
    as signatures), with its name under ``provider``; an adapter sends back its own only. ``cut``: the
    reply's limit of tokens ended it. ``model`` is the provider's name of the model that answered, ``target``
    its name in the settings (``openai:gpt-4o-mini``). ``notes`` are the repairs, each a sentence.
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
"""An item of a model's stream."""


class Model(Protocol):
    """A model. ``window`` is in tokens, as served.

    ``stream`` yields any number of ``Delta`` and ``Notice``, then exactly one ``Completion``, last. It raises
    ``ModelError`` (or a subclass) and nothing else of its own, also if the stream was cut. It is an async
    generator (``async def`` with ``yield``); a caller who stops early must close it (``aclosing``).
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


_LONGEST_NAME = 500  # characters; a longer one is no function's, whatever is left out
_AROUND_NAME = re.compile(r"^(functions?|tools?|default_api|api)[.:/]|[:#]\d+$|\(\)$")


def plain_name(name: str) -> str:
    """Return a function's name without the prefixes, numbers, case and hyphens that models add."""
    bare = name.strip().strip("\"'`")
    while len(bare) <= _LONGEST_NAME and (shorter := _AROUND_NAME.sub("", bare)) != bare:
        bare = shorter
    return bare.lower().replace("-", "_")


def own_id(given: str = "", taken: Container[str] = ()) -> str:
    """Return a call's id, or a new one if it is empty or another call has it."""
    return given if given and given not in taken else f"call_{uuid.uuid4().hex[:24]}"


def object_of(arguments: str) -> Mapping[str, Any]:
    """Return a call's arguments as an object, for a history that is sent back: some servers parse it, and a
    broken call would make them refuse every later request. Anything else is put under ``malformed``."""
    try:
        value = read_json(arguments or "{}")
    except ValueError:
        value = None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {"malformed": arguments}
