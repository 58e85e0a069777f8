"""Models of the library ``fastembed``, run here on the CPU; ``pip install 'pagefault[fastembed]'``.

The first text downloads the model, once, with the library's progress bar on stderr. Texts run one by one, so
that a vector does not depend on its company. Left out: graphics cards, prefixes for queries.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Protocol

import numpy as np

from pagefault.embedders import Vectors
from pagefault.embedders.no_telemetry import switch_telemetry_off
from pagefault.embedders.vectors import in_hops, unit
from pagefault.errors import EmbedderError, EmbedderSetupError

__all__ = ["FastEmbedder"]

_HOP = 16  # texts per call in a thread: a cancelled task still waits for these
_CHARACTERS = 100_000  # the models cut long before; spares the tokenizer a book


class _Model(Protocol):
    """The one method we use of ``fastembed.TextEmbedding``."""

    def embed(self, documents: list[str], batch_size: int) -> Iterable[Vectors]: ...


class FastEmbedder:
    """The model called ``name``, such as ``BAAI/bge-small-en-v1.5``; its files are kept under ``folder``
    (None: where fastembed keeps them). ``threads`` are onnxruntime's; None: all.

    ``EmbedderSetupError`` if the extra is not installed. Nothing is loaded before the first ``embed``, which
    raises it too if there is no such model; ``dimensions`` is None until then.
    """

    scale = None

    def __init__(self, name: str, folder: Path | None = None, *, threads: int | None = None) -> None:
        if find_spec("fastembed") is None:
            raise EmbedderSetupError(
                f"fastembed:{name} needs an extra; run: pip install 'pagefault[fastembed]'"
            )
        self.fingerprint = f"fastembed:{name}"
        self.dimensions: int | None = None
        self._name = name
        self._folder = folder
        self._threads = threads
        self._lock = Lock()
        self._loaded: _Model | None = None

    def reads(self, text: str) -> bool:  # noqa: ARG002
        return True

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, shape (len(texts), dimensions)."""
        return await in_hops(self._embed, texts, _HOP, self.dimensions or 0)

    def _embed(self, texts: Sequence[str]) -> Vectors:
        with self._lock:
            self._loaded = model = self._loaded or self._load()
        clean = [text[:_CHARACTERS].encode(errors="replace").decode() for text in texts]
        vectors = np.stack(list(model.embed(clean, batch_size=1))).astype(np.float32)
        self.dimensions = vectors.shape[1]
        return unit(vectors)

    def _load(self) -> _Model:
        switch_telemetry_off()
        import_module("loguru").logger.disable("fastembed")  # our error reports what it would log
        text_embedding = import_module("fastembed").TextEmbedding
        known = {model["model"].lower() for model in text_embedding.list_supported_models()}
        if self._name.lower() not in known:
            raise EmbedderSetupError(
                f"fastembed has no model {self._name!r}; choose one of its list, e.g. BAAI/bge-small-en-v1.5."
            )
        try:
            return text_embedding(
                self._name, cache_dir=self._folder and str(self._folder), threads=self._threads
            )
        except (OSError, ValueError) as error:
            raise EmbedderError(
                f"fastembed's {self._name} cannot be loaded ({error}); check the network for its first use."
            ) from None
