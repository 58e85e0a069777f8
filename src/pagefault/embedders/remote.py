"""The OpenAI shape of embeddings, over the ``openai`` client: OpenAI, Ollama, and whatever speaks the same.

A call's texts go out in batches, several at a time; answers are checked before they are used. A request
is sent again on 429 (as long as the server says, up to two minutes), 5xx, timeouts and broken
connections. A text that the server finds too long is sent again shorter, until it fits: its vector is that of
its head. Left out: splitting long texts (the caller's), prefixes for queries, fewer dimensions than the
model's own. Neither the key nor what a server says about it is ever shown.
"""

from __future__ import annotations

import base64
import json
import random
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

import anyio
import numpy as np
from anyio.lowlevel import RunVar

from pagefault.connections import failure_of
from pagefault.connections.rate_headers import retry_after
from pagefault.embedders import Vectors
from pagefault.embedders.servers import Server
from pagefault.embedders.vectors import unit
from pagefault.errors import EmbedderError, EmbedderSetupError
from pagefault.redaction import redacted

if TYPE_CHECKING:
    from openai import APIError, AsyncOpenAI

__all__ = ["RemoteEmbedder"]

BATCH_TEXTS = 64
BATCH_CHARACTERS = 100_000
"""The most of one request: OpenAI takes 2,048 texts and 300,000 tokens, some servers 32 texts."""

AT_ONCE = 4
"""Requests of one call that are open at a time."""

LONGEST = 32_000
"""Characters of a text that are sent; the longest inputs of current models end at about 8,000 tokens."""

_LONGEST_WAIT = 120.0  # seconds for which a server may ask
_LOOKED_AT = 10_000  # characters of what a server says
_SHORTEST = 16  # characters; a server that finds these too long has another problem
_BLANK = "."  # stands for a blank text, which servers refuse
_TOO_LONG = re.compile(
    r"context[ _-]?(length|window|size)|too (long|large|many)|max\w*[ _-](\w+[ _-])?(batch|tokens|length)"
    r"|exceeds? .*(limit|length|maximum)|reduce the length",
    re.IGNORECASE,
)


class _TooLong(EmbedderError):
    """The server takes no request of this size: fewer texts, or a shorter one."""


class RemoteEmbedder:
    """A model behind an embeddings address; ``timeout`` in seconds, of one request.

    Nothing is sent before the first ``embed``; ``dimensions`` is None until its answer. May be shared between
    event loops, each of which has its own connections.
    """

    scale = None

    def __init__(self, server: Server, *, timeout: float = 120.0, max_retries: int = 4) -> None:
        self.fingerprint = server.fingerprint
        self._server = server
        self._timeout = timeout
        self._max_retries = max_retries
        self._dimensions: int | None = None
        self._client: RunVar[AsyncOpenAI | None] = RunVar("client", None)

    def __repr__(self) -> str:
        return f"RemoteEmbedder({self.fingerprint!r})"

    @property
    def dimensions(self) -> int | None:
        return self._dimensions

    async def aclose(self) -> None:
        """Close this event loop's connections; the next ``embed`` opens new ones."""
        if client := self._client.get():
            self._client.set(None)
            await client.close()

    def reads(self, text: str) -> bool:  # noqa: ARG002
        return True

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, shape (len(texts), dimensions), in the order of the texts."""
        batches = list(_batches([_sendable(text) for text in texts]))
        answers: dict[int, Vectors] = {}
        failures: list[EmbedderError] = []
        limiter = anyio.CapacityLimiter(AT_ONCE)
        async with anyio.create_task_group() as tasks:

            async def one(number: int) -> None:
                async with limiter:
                    try:
                        answers[number] = await self._embed(batches[number])
                    except EmbedderError as error:
                        failures.append(error)
                        tasks.cancel_scope.cancel()

            for number in range(len(batches)):
                tasks.start_soon(one, number)
        if failures:
            raise failures[0]
        none = np.empty((0, self._dimensions or 0), np.float32)
        return np.concatenate([answers[number] for number in range(len(batches))]) if batches else none

    async def _embed(self, texts: Sequence[str]) -> Vectors:
        """One batch. Which text is too long is found by halving, and how much of it fits by shortening, so
        that a text's vector does not depend on its company."""
        try:
            return await self._ask(texts)
        except _TooLong:
            if len(texts) > 1:
                half = len(texts) // 2
                return np.concatenate([await self._embed(texts[:half]), await self._embed(texts[half:])])
            if len(texts[0]) <= _SHORTEST:
                raise
            return await self._embed([_sendable(texts[0][: len(texts[0]) * 2 // 3])])

    async def _ask(self, texts: Sequence[str]) -> Vectors:
        """One request and its checked answer."""
        try:
            answer = await self._answer(texts)
        except (json.JSONDecodeError, UnicodeDecodeError, OverflowError):  # as the client reads the answer
            raise self._bad_answer("something that cannot be read") from None
        vectors = self._checked(answer, len(texts))
        if self._dimensions not in (None, vectors.shape[1]):
            found = f"vectors of {vectors.shape[1]} dimensions, and of {self._dimensions} before"
            raise self._bad_answer(found)
        self._dimensions = vectors.shape[1]
        return vectors

    async def _answer(self, texts: Sequence[str]) -> Any:
        """Send one request, again while that may help."""
        import openai

        tried = 0
        while True:
            try:
                return await self._open().embeddings.create(
                    model=self._server.model, input=list(texts), encoding_format="base64"
                )
            except openai.APIError as error:
                wait = _wait(error, tried)
                if wait is None or tried == self._max_retries:
                    raise self._mapped(error) from None
            tried += 1
            await anyio.sleep(wait)

    def _open(self) -> AsyncOpenAI:
        client = self._client.get()
        if client is None:
            from openai import AsyncOpenAI, Timeout

            from pagefault.connections.client import http_client

            client = AsyncOpenAI(
                http_client=http_client(timeout=self._timeout),
                api_key=self._server.key,
                base_url=self._server.url or "https://api.openai.com/v1",
                timeout=Timeout(self._timeout, connect=min(10.0, self._timeout)),
                max_retries=0,
            )
            self._client.set(client)
        return client

    # answers and errors

    def _checked(self, answer: Any, count: int) -> Vectors:
        """The vectors of an answer, in the order of their texts. The client validates nothing."""
        data = getattr(answer, "data", None)
        items = cast(list[Any], data) if isinstance(data, list) else []
        numbered = {str(getattr(item, "index", None)): getattr(item, "embedding", None) for item in items}
        numbers = [str(number) for number in range(count)]
        if len(items) != count or set(numbered) != set(numbers):
            raise self._bad_answer(f"{len(items)} vectors for {count} texts, or numbered them wrongly")
        try:
            vectors = np.stack([_row(numbered[number]) for number in numbers])
        except (ValueError, TypeError, OverflowError):
            raise self._bad_answer("vectors that are no lists of numbers, or of different lengths") from None
        if vectors.ndim != 2 or not vectors.shape[1] or not np.isfinite(vectors).all():
            raise self._bad_answer("vectors with numbers missing or infinite")
        return unit(vectors)

    def _bad_answer(self, what: str) -> EmbedderError:
        return EmbedderError(
            f"{self._server.where} sent {what}; check the address and that it is a model for embeddings."
        )

    def _mapped(self, error: APIError) -> EmbedderError:
        import openai

        where = self._server.where
        if isinstance(error, openai.APITimeoutError):
            return EmbedderError(f"{where} did not answer within {self._timeout:g} s; try again later.")
        if isinstance(error, openai.APIConnectionError):
            if failure := failure_of(error):
                kind = EmbedderError if failure.may_pass else EmbedderSetupError
                return kind(failure.sentence(where))
            return EmbedderError(f"{where} cannot be reached; check the network and that the server runs.")
        said = " ".join(
            redacted(error.message[:_LOOKED_AT], self._server.key * self._server.has_key).split()
        )[:300]
        return self._refused(error.status_code if isinstance(error, openai.APIStatusError) else None, said)

    def _refused(self, status: int | None, said: str) -> EmbedderError:
        """Our error for a server that answered with ``status`` (None: with something unexpected)."""
        server = self._server
        if status == 413 or (status in (400, 422, 500) and _TOO_LONG.search(said)):
            return _TooLong(f"{server.where} finds a text of {_SHORTEST} characters too long: {said}")
        if status in (401, 403):
            wrong = "does not accept the key" if server.has_key else "wants a key"
            return EmbedderSetupError(f"{server.where} {wrong}; set {server.key_name} to one that is valid.")
        if status == 404:
            return EmbedderSetupError(f"{server.where} is not there; {server.advice}.")
        if status == 429:
            return EmbedderError(f"{server.where} is over its rate limit or quota; try again later: {said}")
        return EmbedderError(f"{server.where} failed{f' with status {status}' if status else ''}: {said}")


def _wait(error: APIError, tried: int) -> float | None:
    """Return the seconds to wait before the request is sent again; None if that cannot help."""
    import openai

    failure = failure_of(error)
    if failure and not failure.may_pass:
        return None
    if isinstance(error, openai.APIStatusError):
        if error.status_code < 500 and error.status_code not in (408, 409, 429):
            return None
        asked = retry_after(error.response.headers)
        if asked is not None:
            return asked if asked <= _LONGEST_WAIT else None
    elif not isinstance(error, openai.APIConnectionError):
        return None
    return min(8.0, 0.5 * 2.0**tried) * (1 - 0.25 * random.random())


# texts and rows


def _sendable(text: str) -> str:
    """A text that every server takes: no NUL, no half of a surrogate pair, not blank, of bounded length."""
    clean = text[:LONGEST].encode(errors="replace").decode().replace("\0", " ")
    return clean if clean.strip() else _BLANK


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    """The texts in order, in groups that one request takes."""
    batch: list[str] = []
    size = 0
    for text in texts:
        if batch and (len(batch) == BATCH_TEXTS or size + len(text) > BATCH_CHARACTERS):
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += len(text)
    if batch:
        yield batch


def _row(embedding: Any) -> Vectors:
    """One vector, from a list of numbers or from base64 of little-endian float32."""
    if isinstance(embedding, str):
        return np.frombuffer(base64.b64decode(embedding, validate=True), "<f4")
    with np.errstate(over="ignore"):  # what overflows is infinite, and found so
        return np.asarray(embedding, np.float32)
