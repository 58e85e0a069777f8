"""The type of a quirk: a deviation of servers from their protocol, with its expected outcome."""

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
    """A deviation: ``make`` returns a completion in a faulty form, or a failure, for a request.

    ``about`` names the servers. ``lasting``: every request is answered so, not only the first. ``sample`` is
    a completion that shows it; ``calling`` the mode that it needs; ``wait`` the client's timeout in seconds.
    ``outcome`` is the expected outcome, in the words that ``docs/providers.md`` explains; ``otherwise`` has
    those of single shapes. ``late_thinking``: the check of the model found that (``ModelFinding``).
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
    late_thinking: bool = False
    wait: float = 30.0

    def turn(self, completion: Completion) -> Turn:
        """Return the completion with the quirk, for a list of turns."""
        return lambda request: self.make(completion, request)


def stream_of(completion: Completion, request: ProviderRequest) -> list[Body]:
    """Return the chunks of the completion in the shape of the request."""
    return WIRES[request.shape].chunks(Delivery(completion))


def by_shape(**made: Turn) -> Callable[[Completion, ProviderRequest], Turn]:
    """Return a function that gives each shape its turn, whatever the completion."""
    return lambda _, request: made[request.shape]


def changed(value: Any, change: Callable[[str, Body], Body], name: str = "") -> Any:
    """Return the JSON value with each object in it changed; ``change`` gets the key and the object."""
    if isinstance(value, dict):
        items = cast("Body", value).items()
        return change(name, {key: changed(inner, change, key) for key, inner in items})
    if isinstance(value, list):
        return [changed(inner, change, name) for inner in cast("list[Any]", value)]
    return value
