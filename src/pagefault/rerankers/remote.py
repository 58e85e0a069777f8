"""Rerankers behind ``POST URL/rerank``, the shape that Jina, Cohere, vLLM and llama.cpp servers share.

    {"model", "query", "documents", "top_n"} -> {"results": [{"index", "relevance_score"}, ...]}

One request for a ranking, never sent again: who searches waits for it. Left out: the shape of Text Embeddings
Inference (``texts``, and a bare list), and documents in fields.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, cast

from pagefault.addresses import checked_url, key_of
from pagefault.connections import failure_of
from pagefault.errors import RerankerError, UsageError
from pagefault.redaction import redacted
from pagefault.rerankers import clean

__all__ = ["KEY", "RemoteReranker"]

KEY = "PAGEFAULT_RERANKER_KEY"
"""The variable with the server's key, should it want one."""

_SECONDS = 30.0  # of one request; a search waits a shorter time
_LONGEST_ANSWER = 4_000_000  # bytes; some servers send the texts back
_EXAMPLE = "http://127.0.0.1:8080/v1#bge-reranker-v2-m3"


class RemoteReranker:
    """The model and server of ``name``, ``URL#MODEL``; its key comes from ``environment``.

    ``UsageError`` for an address that cannot be used. Nothing is sent before the first ``scores``.
    """

    def __init__(self, name: str, environment: Mapping[str, str]) -> None:
        url, _, self._model = name.partition("#")
        self._url = checked_url(url, "a reranker", KEY)
        if not self._model:
            raise UsageError(
                f"The reranker {self._url} names no model; write it behind the address, as in {_EXAMPLE}."
            )
        self._key = key_of(KEY, environment)
        self.name = f"{self._url}#{self._model}"

    def __repr__(self) -> str:
        return f"RemoteReranker({self.name!r})"

    async def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        """See ``Reranker.scores``; for no texts nothing is sent."""
        if not texts:
            return []
        body = {
            "model": self._model,
            "query": clean(query),
            "documents": [clean(text) for text in texts],
            "top_n": len(texts),
        }
        status, said = await self._sent(body)
        if status != 200:
            raise self._refused(status, said)
        try:
            return _scores(json.loads(said), len(texts))
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            raise RerankerError(
                f"{self._where} did not send one score for each text; check the address, which ends in /v1 "
                "on most servers, and that it is a model for reranking."
            ) from None

    async def _sent(self, body: Mapping[str, object]) -> tuple[int, bytes]:
        """Send one request; its status and what the server said."""
        import httpx2

        from pagefault.connections.client import http_client

        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        try:
            async with (
                http_client(headers=headers, timeout=_SECONDS) as client,
                client.stream("POST", f"{self._url}/rerank", json=body) as response,
            ):
                said = bytearray()
                async for chunk in response.aiter_bytes():
                    said += chunk
                    if len(said) > _LONGEST_ANSWER:
                        raise RerankerError(f"{self._where} sent more than scores; check the address.")
                return response.status_code, bytes(said)
        except (httpx2.HTTPError, OSError) as error:
            failure = failure_of(error)
            raise RerankerError(
                failure.sentence(self._where)
                if failure
                else f"{self._where} cannot be reached; check the network and that the server runs."
            ) from None

    @property
    def _where(self) -> str:
        return f"{self._model} at {self._url}"

    def _refused(self, status: int, said: bytes) -> RerankerError:
        if status in (401, 403):
            wrong = "does not accept the key" if self._key else "wants a key"
            return RerankerError(f"{self._where} {wrong}; set {KEY} to one that is valid.")
        if status == 404:
            return RerankerError(f"{self._where} is not there; check the model's name and the address.")
        words = " ".join(redacted(said[:2_000].decode(errors="replace"), self._key).split())[:300]
        return RerankerError(f"{self._where} failed with status {status}: {words}")


def _scores(answer: Any, count: int) -> list[float]:
    """The scores of an answer in the order of the texts; an error of Python's if it does not have all."""
    results = cast(list[Mapping[str, Any]], answer["results"])
    numbered = {result["index"]: result["relevance_score"] for result in results}
    kinds: set[type] = {type(value) for value in (*numbered, *numbered.values())}
    if len(results) != count or not kinds <= {int, float}:
        raise ValueError
    scores = [float(numbered[place]) for place in range(count)]
    if not all(map(isfinite, scores)):
        raise ValueError
    return scores
