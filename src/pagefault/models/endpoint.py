"""Where a provider is reached and how it is asked: what every adapter is made with.

An adapter is made as ``Adapter(model, window, endpoint, options)``. Making one sends nothing and loads
nothing heavy. ``catalogue`` makes endpoints from names, settings and the environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Endpoint", "Options", "Thinking"]

Thinking = Literal["off", "low", "medium", "high"] | int | None
"""How much a reasoning model may think: a level, a budget in tokens, or None for the provider's default."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A provider's address and credentials.

    ``base_url`` is empty for the provider's own. ``key_variable`` is the environment variable that ``key``
    was read from, for error sentences; a server that needs no key has none. ``timeout``: seconds between two
    pieces of an answer. Neither key nor headers are ever shown.
    """

    provider: str
    base_url: str = ""
    key: str = field(default="", repr=False)
    key_variable: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    timeout: float = 300.0


@dataclass(frozen=True, slots=True)
class Options:
    """How a model is asked. ``temperature``: None is the provider's default."""

    temperature: float | None = None
    thinking: Thinking = None
