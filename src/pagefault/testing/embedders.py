"""For embedders: a fake without a model, and the conformance suite for embedders.

The suite has the form of pytest classes but imports no pytest. It asserts everything that the rest of
pagefault relies on. Left out: the quality of vectors.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence

import numpy as np

from pagefault.embedders import Embedder, Scale, Vectors
from pagefault.embedders.pair import reads
from pagefault.storage.terms import terms

__all__ = ["TEXTS", "EmbedderConformance", "HashEmbedder"]

TEXTS = (
    "",
    " \n\t",
    "My sister Clara is allergic to peanuts.",
    "我住在上海，在一家银行工作。",
    "👩‍👩‍👧 und Ærøskøbing",
    "null \x00, half a pair \ud83d",
    "ok",
    "one word after another " * 2_000,
    "unbroken" * 5_000,
)
"""Texts that every embedder must accept: blank, long, in several scripts, with unusual characters."""


class HashEmbedder:
    """A bag of words: each lexical unit is counted in the dimension of its hash.

    Texts with common words are near, others nearly orthogonal; vectors are the same in every process.
    """

    scale = Scale(floor=0.2, strong=0.6, spread=0.3)

    def __init__(self, dimensions: int = 256) -> None:
        self.dimensions = dimensions
        self.fingerprint = f"hash/{dimensions}"

    def reads(self, text: str) -> bool:  # noqa: ARG002
        return True

    async def embed(self, texts: Sequence[str]) -> Vectors:
        vectors = np.zeros((len(texts), self.dimensions), np.float32)
        for row, text in enumerate(texts):
            for unit in terms(text) or [""]:
                digest = hashlib.blake2b(unit.encode(errors="replace"), digest_size=8).digest()
                vectors[row, int.from_bytes(digest) % self.dimensions] += 1
            vectors[row] /= np.linalg.norm(vectors[row])
        return vectors


class EmbedderConformance:
    """Subclass it as ``class TestMine(EmbedderConformance)`` and override ``embedder``; pytest does the rest.

    Make an embedder that loads slowly once, and return it each time.
    """

    def embedder(self) -> Embedder:
        """Return the embedder under test."""
        raise NotImplementedError("return your embedder from embedder()")

    async def close(self, embedder: Embedder) -> None:
        """Close the embedder's connections before its event loop ends."""

    def embed(self, *texts: str) -> Vectors:
        """Call ``embed`` once, in an event loop of its own."""
        return self._run(self.embedder(), lambda embedder: embedder.embed(texts))

    def _run(self, embedder: Embedder, work: Callable[[Embedder], Awaitable[Vectors]]) -> Vectors:
        async def closing() -> Vectors:
            try:
                return await work(embedder)
            finally:
                await self.close(embedder)

        return asyncio.run(closing())

    def test_it_says_what_it_is_and_says_the_same_twice(self) -> None:
        one, two = self.embedder(), self.embedder()
        assert one.fingerprint
        assert (one.fingerprint, one.dimensions) == (two.fingerprint, two.dimensions)

    def test_there_is_one_float32_row_a_text_as_wide_as_it_says(self) -> None:
        embedder = self.embedder()
        said = embedder.dimensions
        vectors = self._run(embedder, lambda embedder: embedder.embed(TEXTS))
        assert vectors.shape == (len(TEXTS), embedder.dimensions)
        assert said in (None, embedder.dimensions)
        assert vectors.dtype == np.float32

    def test_it_says_of_any_text_if_it_reads_it(self) -> None:
        embedder = self.embedder()
        assert {type(reads(embedder, text)) for text in TEXTS} == {bool}

    def test_its_scale_rises(self) -> None:
        scale = getattr(self.embedder(), "scale", None)
        assert scale is None or (scale.floor < scale.strong <= 1 and scale.spread > 0)

    def test_no_texts_make_no_rows(self) -> None:
        embedder = self.embedder()
        none = self._run(embedder, lambda embedder: embedder.embed(()))
        assert none.shape == (0, embedder.dimensions or 0)

    def test_rows_have_unit_length(self) -> None:
        vectors = self.embed(*TEXTS)
        if vectors.shape[1]:
            np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)

    def test_a_vector_does_not_depend_on_its_company_or_place(self) -> None:
        together, backwards = self.embed(*TEXTS), self.embed(*reversed(TEXTS))
        alone = np.concatenate([self.embed(text) for text in TEXTS])
        np.testing.assert_allclose(together, alone, atol=1e-6)
        np.testing.assert_allclose(backwards[::-1], alone, atol=1e-6)

    def test_calls_at_the_same_time_do_not_disturb_each_other(self) -> None:
        async def at_once(embedder: Embedder) -> Vectors:
            return np.concatenate(await asyncio.gather(*(embedder.embed([text]) for text in TEXTS)))

        np.testing.assert_allclose(self._run(self.embedder(), at_once), self.embed(*TEXTS), atol=1e-6)
