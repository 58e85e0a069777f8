"""Embeddings for ``ProviderServer``: vectors that depend on the text alone, and faults.

    with ProviderServer(Embeddings([refuse(429, "slow down", retry_after="1")])) as server: ...

The first requests get the faults, in order; the rest are answered. Left out: meaning. The vectors of two
texts are independent.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np

from pagefault.embedders import Vectors
from pagefault.testing.providers import Body, ProviderRequest, RawReply, Refused, refuse

__all__ = ["Embeddings", "vectors_of"]

Fault = RawReply | Refused | Callable[[Body], Body]
"""A turn, or a change of the answer's body."""


def vectors_of(texts: Sequence[str], dimensions: int) -> Vectors:
    """Return vectors of any length, the same for the same text; shape (len(texts), dimensions)."""
    seeds = [int.from_bytes(hashlib.sha256(text.encode()).digest()) for text in texts]
    rows = [3 * np.random.default_rng(seed).standard_normal(dimensions) for seed in seeds]
    return np.array(rows, np.float32).reshape(len(texts), dimensions)


@dataclass(slots=True)
class Embeddings:
    """The turns of a ``ProviderServer``. ``window`` is in characters of one text, ``batch`` in texts.

    ``plain``: send lists of numbers even if base64 was requested, as many servers do.
    """

    faults: Sequence[Fault] = ()
    dimensions: int = 8
    window: int = 10_000
    batch: int = 2048
    plain: bool = False
    _numbers: Iterator[int] = field(default_factory=count, init=False)

    def __call__(self, request: ProviderRequest) -> RawReply | Refused:
        texts: list[str] = request.body["input"]
        number = next(self._numbers)
        fault = self.faults[number] if number < len(self.faults) else None
        if isinstance(fault, RawReply | Refused):
            return fault
        if len(texts) > self.batch:
            return refuse(422, f"batch size {len(texts)} > maximum allowed batch size {self.batch}")
        if not all(texts) or any("\0" in text for text in texts):
            return refuse(400, "input cannot be an empty string")
        if max(map(len, texts)) > self.window:
            return refuse(400, f"This model's maximum context length is {self.window} tokens.")
        answer = self._answer(texts)
        return RawReply(body=fault(answer) if fault else answer)

    def _answer(self, texts: Sequence[str]) -> Body:
        data: list[dict[str, Any]] = [
            {"object": "embedding", "index": index, "embedding": self._encoded(row)}
            for index, row in enumerate(vectors_of(texts, self.dimensions))
        ]
        return {
            "object": "list",
            "data": data,
            "model": "m",
            "usage": {"prompt_tokens": 1, "total_tokens": 1},
        }

    def _encoded(self, row: Vectors) -> str | list[float]:
        return row.tolist() if self.plain else base64.b64encode(row.astype("<f4").tobytes()).decode()
