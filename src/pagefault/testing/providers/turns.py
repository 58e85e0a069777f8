"""The turns of a script, one per request: a completion in the caller's shape, an error, or raw chunks.

    Completion("Hi.")                          whole or streamed, in the shape that the path asks for
    Delivery(Completion("Hi."), finish=None)   the same, with details of its delivery
    refuse(429, "Slow down.", retry_after="1")
    RawReply((chunk, chunk), cut=True)         chunks that the test makes up itself

or a function of the request that returns one of these. Left out: the shapes, which have a module each.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from pagefault.models import Completion

__all__ = ["Body", "Delivery", "ProviderRequest", "RawReply", "Refused", "Shape", "Turn", "pieces", "refuse"]

Body = dict[str, Any]

Shape = Literal["openai", "anthropic", "ollama", "gemini", "embeddings"]


@dataclass(frozen=True, slots=True)
class ProviderRequest:
    """One request as received. ``key`` is the credential, wherever the shape puts it."""

    path: str
    shape: Shape
    raw: bytes
    headers: Mapping[str, str]
    key: str

    @property
    def body(self) -> Body:
        return json.loads(self.raw)

    @property
    def stream(self) -> bool:
        """True if it asks for a stream."""
        if self.shape == "gemini":
            return ":stream" in self.path
        return bool(self.body.get("stream", self.shape == "ollama"))


@dataclass(frozen=True, slots=True)
class Delivery:
    """A completion with the details of its delivery, ``piece`` characters per chunk.

    ``finish`` replaces the reason given for the end (None: none is given, and no end is sent). ``cut`` leaves
    out the second half and the end that HTTP requires; ``held``: nothing follows until the client leaves.
    """

    completion: Completion
    piece: int = 8
    finish: str | None = ""
    cut: bool = False
    held: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """An error with a status, in the shape's own words; ``code`` is the server's word for its kind."""

    status: int
    message: str
    code: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class RawReply:
    """Raw: a ``body`` with ``status`` (bytes are sent as they are), or else a stream of ``chunks``.

    A chunk that is a mapping or a text is framed as the shape frames its own; bytes are sent as they are.
    ``done``: the shape's mark of the end follows the chunks. A stream that is ``cut`` ends without the end
    that HTTP requires; ``reset`` tears the connection down instead, before the first byte if there are no
    chunks; one that is ``held`` goes no further, until the client leaves.
    """

    chunks: tuple[Body | str | bytes, ...] = ()
    status: int = 200
    body: Body | bytes = field(default_factory=dict[str, Any])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    cut: bool = False
    held: bool = False
    reset: bool = False
    done: bool = True

    @property
    def is_stream(self) -> bool:
        return not self.body and self.status == 200


Turn: TypeAlias = "Completion | Delivery | Refused | RawReply | Callable[[ProviderRequest], Turn]"
"""The answer to one request."""


def refuse(status: int, message: str, *, code: str = "", **headers: str) -> Refused:
    """Return an error response; ``headers`` have underscores for hyphens, as ``retry_after="1"``."""
    return Refused(status, message, code, {name.replace("_", "-"): value for name, value in headers.items()})


def pieces(text: str, size: int) -> list[str]:
    """Return the text in pieces of ``size`` characters; none of an empty text."""
    return [text[start : start + size] for start in range(0, len(text), size)]
