"""Where a provider is reached and how it is asked: what every adapter is made with, and who makes them.

An adapter is made as ``Adapter(model, window, endpoint, options)``. Making one sends nothing and loads
nothing heavy. ``catalogue`` makes endpoints from names, settings and the environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from pagefault.models import Model

__all__ = [
    "CallingMode",
    "CheckResult",
    "Endpoint",
    "ModelOptions",
    "ModelSource",
    "ObservedCalling",
    "RequestSettings",
    "SingleModelSource",
    "Thinking",
    "Vendor",
]

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
class ModelOptions:
    """Options of a request. ``temperature``: None is the provider's default."""

    temperature: float | None = None
    thinking: Thinking = None


@dataclass(frozen=True, slots=True)
class Vendor:
    """The party that serves a model, for its price: the provider's name, the model's name there, and the
    address if it is not the provider's usual one. ``self_hosted``: this machine, this network or a server of
    the user's own, which costs nothing."""

    provider: str
    model: str
    url: str = ""
    self_hosted: bool = False


CallingMode = Literal["auto", "native", "json"]
"""How a model calls functions: through its provider's own protocol, by one JSON object (JSON mode), or the
first and, where that is not there, the second."""


@dataclass(frozen=True, slots=True)
class RequestSettings:
    """All that an agent's settings say about how its model is asked. ``patience``: seconds that one
    completion may take in all."""

    options: ModelOptions = ModelOptions()
    calling: CallingMode = "auto"
    patience: float = 600.0


ObservedCalling = Literal["native", "text", "json", "none"]
"""How a model was seen to call functions; ``text``: written as text, and understood."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of a check of a model. ``error`` is empty if the model answered.

    ``calling``: functions through the provider's own protocol (``native``), through calls that it writes as
    text (``text``), through JSON mode (``json``), or not at all (``none``). ``streams``: the answer came in
    more than one piece. ``first``: seconds until the first piece. Tokens are those of both answers, as
    reported; ``reported`` says whether they were. ``adapted``: what was mended on the way, each a sentence.
    """

    error: str = ""
    answered_by: str = ""
    calling: ObservedCalling = "none"
    streams: bool = False
    thinks: bool = False
    first: float = 0.0
    reported: bool = False
    input: int = 0
    output: int = 0
    cached: int = 0
    written: int = 0
    adapted: tuple[str, ...] = ()


class ModelSource(Protocol):
    """Makes models of names as settings hold them: ``provider:name``, or several with commas between them,
    of which each takes over when those before it fail. ``UsageError`` for a name that is none,
    ``ModelSetupError`` if a key or a package is missing."""

    def model(self, names: str, window: int, settings: RequestSettings) -> Model: ...

    async def window(self, names: str, wanted: int | None) -> tuple[int, str]:
        """The window to use, in tokens, and what the person should know about it (empty: nothing)."""
        ...

    async def served_window(self, names: str) -> int | None:
        """The window that the servers say they serve now, in tokens; None if they do not say."""
        ...

    def vendor(self, name: str) -> Vendor | None:
        """Return the party that serves the model of one name; None if that is no name of a model."""
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...


@dataclass(frozen=True, slots=True)
class SingleModelSource:
    """A source of models that has one, whatever the name."""

    given: Model

    def model(self, names: str, window: int, settings: RequestSettings) -> Model:  # noqa: ARG002
        return self.given

    async def window(self, names: str, wanted: int | None) -> tuple[int, str]:  # noqa: ARG002
        return wanted or self.given.window, ""

    async def served_window(self, names: str) -> int | None:  # noqa: ARG002
        return None

    def vendor(self, name: str) -> Vendor | None:  # noqa: ARG002
        return None

    async def aclose(self) -> None:
        """Nothing to close: who gave the model owns it."""
