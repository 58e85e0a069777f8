"""Cross-encoders of the library ``fastembed``, run here on the CPU; ``pip install 'pagefault[fastembed]'``.

The first use downloads the model; searches go on without it until it is there. Left out: graphics cards.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Protocol

import anyio.to_thread

from pagefault.errors import RerankerError
from pagefault.rerankers import clean

__all__ = ["FastReranker"]


class _Model(Protocol):
    """The one method we use of ``fastembed.rerank.cross_encoder.TextCrossEncoder``."""

    def rerank(self, query: str, documents: list[str]) -> Iterable[float]: ...


class FastReranker:
    """The cross-encoder called ``model``, such as ``Xenova/ms-marco-MiniLM-L-6-v2``; its files are kept under
    ``folder`` (None: where fastembed keeps them). Nothing is loaded before the first ``scores``."""

    def __init__(self, model: str, folder: Path | None = None) -> None:
        self.name = f"fastembed:{model}"
        self._model = model
        self._folder = folder
        self._lock = Lock()
        self._loaded: _Model | None = None

    async def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        """See ``Reranker.scores``; who stops waiting leaves the thread to itself."""
        work = partial(self._scores, clean(query), [clean(text) for text in texts])
        return await anyio.to_thread.run_sync(work, abandon_on_cancel=True)

    def _scores(self, query: str, texts: list[str]) -> list[float]:
        if not self._lock.acquire(blocking=False):  # loading, or at a search that nobody waits for any more
            raise RerankerError(f"{self.name} is busy; try again in a moment.")
        try:
            self._loaded = model = self._loaded or self._load()
            return [float(score) for score in model.rerank(query, texts)]
        finally:
            self._lock.release()

    def _load(self) -> _Model:
        if find_spec("fastembed") is None:
            raise RerankerError(f"{self.name} needs an extra; run: pip install 'pagefault[fastembed]'")
        encoder = import_module("fastembed.rerank.cross_encoder").TextCrossEncoder
        known = {model["model"].lower() for model in encoder.list_supported_models()}
        if self._model.lower() not in known:
            raise RerankerError(
                f"fastembed has no cross-encoder {self._model!r}; choose one of its list, e.g. "
                "Xenova/ms-marco-MiniLM-L-6-v2."
            )
        try:
            return encoder(self._model, cache_dir=self._folder and str(self._folder))
        except (OSError, ValueError) as error:
            raise RerankerError(
                f"{self.name} cannot be loaded ({error}); check the network for its first use."
            ) from None
