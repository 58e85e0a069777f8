"""The shapes by name: which paths ask for them, and how each says a completion, an error, a chunk.

Left out: what they have no use for here: images, files, choices, batches.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pagefault.testing.providers import anthropic, gemini, ollama, openai
from pagefault.testing.providers.turns import Body, Delivery, Refused, Shape

__all__ = ["WIRES", "Wire", "key_of", "shape_of"]

Chunk = Body | str
"""What is framed as the shape frames its own."""

_PATHS: tuple[tuple[str, Shape], ...] = (
    (r"/chat/completions$", "openai"),
    (r"/messages$", "anthropic"),
    (r"/api/chat$", "ollama"),
    (r":(streamGenerateContent|generateContent)$", "gemini"),
    (r"/embeddings$", "embeddings"),
)


@dataclass(frozen=True, slots=True)
class Wire:
    """How one shape says it: a completion as chunks and as a ``whole``, an error, the bytes of a chunk.

    ``mark`` is sent when a stream is over, ``kind`` is its content type.
    """

    chunks: Callable[[Delivery], list[Body]]
    whole: Callable[[Delivery], Body]
    refusal: Callable[[Refused], Body]
    frame: Callable[[Chunk], bytes]
    mark: bytes = b""
    kind: str = "text/event-stream"


def _text(chunk: Chunk) -> str:
    return chunk if isinstance(chunk, str) else json.dumps(chunk, ensure_ascii=False)


def _data(chunk: Chunk) -> bytes:
    return f"data: {_text(chunk)}\n\n".encode()


def _escaped(chunk: Chunk) -> bytes:
    """As Google writes JSON: the line ends of Unicode are escaped."""
    text = _text(chunk)
    for end in ("\x85", "\u2028", "\u2029"):
        text = text.replace(end, f"\\u{ord(end):04x}")
    return _data(text)


def _event(chunk: Chunk) -> bytes:
    kind: Any = chunk.get("type", "") if not isinstance(chunk, str) else "content_block_delta"
    return f"event: {kind}\n".encode() + _data(chunk)


def _line(chunk: Chunk) -> bytes:
    return f"{_text(chunk)}\n".encode()


_OPENAI = Wire(openai.chunks, openai.whole, openai.refusal, _data, b"data: [DONE]\n\n")

WIRES: Mapping[Shape, Wire] = {
    "openai": _OPENAI,
    "anthropic": Wire(anthropic.chunks, anthropic.whole, anthropic.refusal, _event),
    "ollama": Wire(ollama.chunks, ollama.whole, ollama.refusal, _line, kind="application/x-ndjson"),
    "gemini": Wire(gemini.chunks, gemini.whole, gemini.refusal, _escaped),
    "embeddings": _OPENAI,  # its errors; what it answers is made by ``embeddings_server``
}


def shape_of(path: str) -> Shape | None:
    """The shape that a request to this path is answered in; None if no provider listens there."""
    return next((shape for pattern, shape in _PATHS if re.search(pattern, path.partition("?")[0])), None)


def key_of(headers: Mapping[str, str]) -> str:
    """The key among headers with small names, wherever a shape puts it."""
    given = headers.get("x-api-key") or headers.get("x-goog-api-key") or headers.get("authorization", "")
    return given.removeprefix("Bearer ")
