"""The shapes by name: their paths, and their forms of a completion, an error and a chunk.

Left out: images, files, choices, batches.
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
"""A chunk before framing."""

_PATHS: tuple[tuple[str, Shape], ...] = (
    (r"/chat/completions$", "openai"),
    (r"/messages$", "anthropic"),
    (r"/api/chat$", "ollama"),
    (r":(streamGenerateContent|generateContent)$", "gemini"),
    (r"/(embeddings|rerank)$", "embeddings"),
)


@dataclass(frozen=True, slots=True)
class Wire:
    """The form of one shape: a completion as chunks and as a ``whole``, an error, the bytes of a chunk.

    ``mark`` is sent at the end of a stream, ``kind`` is its content type.
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
    """Return a chunk as Google writes JSON: with the line ends of Unicode escaped."""
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
    "embeddings": _OPENAI,  # for its errors; ``embeddings_server`` and ``rerankers`` make the answers
}


def shape_of(path: str) -> Shape | None:
    """Return the shape of requests to this path; None for an unknown path."""
    return next((shape for pattern, shape in _PATHS if re.search(pattern, path.partition("?")[0])), None)


def key_of(headers: Mapping[str, str]) -> str:
    """Return the key among headers with lower-case names, wherever a shape puts it."""
    given = headers.get("x-api-key") or headers.get("x-goog-api-key") or headers.get("authorization", "")
    return given.removeprefix("Bearer ")
