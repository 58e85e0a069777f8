"""What a quirk is: a way in which servers answer otherwise than they should, and what must come of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from pagefault.models import Call, Completion, Usage
from pagefault.models.endpoint import CallingMode
from pagefault.testing.providers.shapes import WIRES
from pagefault.testing.providers.turns import Body, Delivery, ProviderRequest, Shape, Turn

__all__ = ["ALL", "ONE_CALL", "SAMPLE", "Quirk", "by_shape", "changed", "stream_of"]

ALL: tuple[Shape, ...] = ("openai", "anthropic", "ollama", "gemini")

SAMPLE = Completion(
    "I keep both.",
    (Call("id_1", "note", '{"text": "green tea"}'), Call("id_2", "note", '{"text": "字 and \\"😀\\""}')),
    Usage(70, 9),
)
ONE_CALL = Completion("I keep it.", SAMPLE.calls[:1], SAMPLE.usage)


@dataclass(frozen=True, slots=True)
class Quirk:
    """``make`` says a completion amiss, or fails to say it, in answer to a request.

    ``about``: who does it. ``lasting``: every request is answered so, else the first. ``sample`` is a
    completion that shows it; ``calling`` how a model is to be asked for it; ``wait`` how long a client should
    wait, in seconds. ``outcome`` is what must come of it, in the words that
    ``docs/providers.md`` explains; ``otherwise`` those of single shapes.
    """

    name: str
    about: str
    make: Callable[[Completion, ProviderRequest], Turn]
    outcome: str = "right"
    shapes: tuple[Shape, ...] = ALL
    otherwise: Mapping[Shape, str] = field(default_factory=dict[Shape, str])
    lasting: bool = False
    sample: Completion = SAMPLE
    calling: CallingMode = "auto"
    wait: float = 30.0

    def turn(self, completion: Completion) -> Turn:
        """The completion with the quirk, for a list of turns."""
        return lambda request: self.make(completion, request)


def stream_of(completion: Completion, request: ProviderRequest) -> list[Body]:
    """The chunks of the completion in the shape of the request."""
    return WIRES[request.shape].chunks(Delivery(completion))


def by_shape(**made: Turn) -> Callable[[Completion, ProviderRequest], Turn]:
    """What each shape says, whatever the completion."""
    return lambda _, request: made[request.shape]


def changed(value: Any, change: Callable[[str, Body], Body], name: str = "") -> Any:
    """The JSON value with each object in it changed; ``change`` is told under which name an object stands."""
    if isinstance(value, dict):
        items = cast("Body", value).items()
        return change(name, {key: changed(inner, change, key) for key, inner in items})
    if isinstance(value, list):
        return [changed(inner, change, name) for inner in cast("list[Any]", value)]
    return value
