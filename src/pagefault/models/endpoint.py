"""The parameters of an adapter, and the protocol of what makes models from names.

An adapter is made as ``Adapter(model, window, endpoint, options)``; that sends nothing and loads nothing
heavy. Left out: where endpoints come from (``directory``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from pagefault.media import Media
from pagefault.models import Model
from pagefault.models.tokens import Counter

__all__ = [
    "AdapterFactory",
    "CallingMode",
    "CheckResult",
    "Endpoint",
    "ModelFinding",
    "ModelOptions",
    "ModelSource",
    "ObservedCalling",
    "RequestSettings",
    "Thinking",
    "Vendor",
]

Thinking = Literal["off", "low", "medium", "high"] | int | None
"""The thinking of a reasoning model: a level, a budget in tokens, or None for the provider's default."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The address and credentials of a provider.

    ``base_url`` is empty for the provider's own. ``key_variable`` is the environment variable that ``key``
    was read from, for error messages; it is empty for a server that needs no key. ``timeout``: seconds
    between two pieces of an answer. ``withheld``: why a key that is set is not sent to this server, the end
    of a sentence. ``saw`` is to be called with the status and headers of each response. Neither key nor
    headers are ever shown.
    """

    provider: str
    base_url: str = ""
    key: str = field(default="", repr=False)
    key_variable: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    timeout: float = 300.0
    withheld: str = ""
    saw: Callable[[int, Mapping[str, str]], None] | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """Options of a request. ``temperature``: None is the provider's default."""

    temperature: float | None = None
    thinking: Thinking = None


class AdapterFactory(Protocol):
    """Makes the model of one name at a provider; a class with this constructor will do.

    A plug-in offers one as an entry point of the group ``pagefault.models``. ``window`` is in tokens. If the
    model has an ``async def aclose(self)``, it is called when the program ends.
    """

    def __call__(self, model: str, window: int, endpoint: Endpoint, options: ModelOptions, /) -> Model: ...


@dataclass(frozen=True, slots=True)
class Vendor:
    """The party that serves a model, for its price: the provider's name, the model's name there, and the
    address if it is not the provider's usual one. ``self_hosted``: this machine, this network or a server of
    the user's own, which costs nothing."""

    provider: str
    model: str
    url: str = ""
    self_hosted: bool = False


CallingMode = Literal["auto", "native", "text", "json"]
"""The way to call functions: ``native`` by the provider's own protocol alone, ``text`` also by calls written
as text, ``json`` by one JSON object (JSON mode), ``auto`` as the check of the model found, else ``native``
with JSON mode as the fallback."""


@dataclass(frozen=True, slots=True)
class RequestSettings:
    """The settings of an agent that concern requests. ``patience``: seconds that one completion may take,
    retries included. ``images``: send images, or none; None: as is known of the model."""

    options: ModelOptions = ModelOptions()
    calling: CallingMode = "auto"
    patience: float = 600.0
    images: bool | None = None


ObservedCalling = Literal["native", "text", "json", "none"]
"""The way in which a model was seen to call functions; ``text``: written as text, and understood."""


@dataclass(frozen=True, slots=True)
class ModelFinding:
    """The finding of a check, for later requests. ``calling`` is empty if nothing is known.
    ``late_thinking``: the end of the thinking stands in the text, without its beginning. ``images``: the
    model sees images; None: nothing is known."""

    calling: Literal["", "native", "text", "json"] = ""
    late_thinking: bool = False
    images: bool | None = None


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of a check of a model. ``error`` is empty if the model answered.

    ``calling``: functions by the provider's own protocol (``native``), by calls that the model writes as
    text (``text``), by JSON mode (``json``), or not at all (``none``). ``streams``: the answer came in more
    than one piece. ``late_thinking``, ``images``: see ``ModelFinding``. ``first``: seconds until the first
    piece. Tokens are those of all answers, as reported; ``reported`` is False if they were not. ``adapted``:
    the repairs on the way, each a sentence.
    """

    error: str = ""
    answered_by: str = ""
    calling: ObservedCalling = "none"
    streams: bool = False
    thinks: bool = False
    late_thinking: bool = False
    images: bool | None = None
    first: float = 0.0
    reported: bool = False
    input: int = 0
    output: int = 0
    cached: int = 0
    written: int = 0
    adapted: tuple[str, ...] = ()


class ModelSource(Protocol):
    """Makes models of names as settings hold them: ``provider:name``, or several with commas between them,
    of which each is the fallback of those before it. ``UsageError`` for an unknown name,
    ``ModelSetupError`` if a key or a package is missing."""

    def image_tokens(self, names: str, images: bool | None) -> Callable[[Media], int]:
        """Return the function that counts the tokens of an image, 0 if none of the models is sent it;
        ``images`` is the agent's setting."""
        ...

    def model(self, names: str, window: int, settings: RequestSettings) -> Model: ...

    async def window(self, names: str, wanted: int | None) -> tuple[int, str]:
        """Return the window to use, in tokens, and a notice for the person (empty: none)."""
        ...

    def counter(self, names: str) -> Counter:
        """Return the counter of tokens for the first of the models."""
        ...

    async def served_window(self, names: str) -> int | None:
        """Return the window that the servers report now, in tokens; None if they report none."""
        ...

    def trust(self, names: str) -> tuple[str, ...]:
        """Let the servers of these models, which the person named, be given the key for servers; return the
        servers that are new."""
        ...

    def vendor(self, name: str) -> Vendor | None:
        """Return the party that serves the model of one name; None for an unknown name."""
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...
