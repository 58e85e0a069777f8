"""The default embedder: all-MiniLM-L6-v2 as int8 ONNX, shipped beside this file, run by onnxruntime.

Offline and without a key; ``scripts/build_minilm.py`` makes the files, docs/embedder.md says why these. The
graph pools and normalises. Texts run one by one: its activations are quantised with one scale a call, so a
vector would otherwise depend on what it is batched with, and on a CPU batches save next to nothing. Left
out: languages other than English, which the model knows hardly (lexical search carries those).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Protocol, cast

import numpy as np

from pagefault.embedders import Scale, Vectors
from pagefault.embedders.minilm.wordpiece import WordPiece
from pagefault.embedders.no_telemetry import switch_telemetry_off
from pagefault.embedders.scripts import mainly_in
from pagefault.embedders.vectors import in_hops

__all__ = ["MiniLM"]

_FILES = Path(__file__).parent
_HOP = 16  # texts per hop to a thread: what a cancelled task still waits for, 0.3 s at most
_CHARACTERS = 10_000  # 256 tokens end long before; a book costs no more


class _Session(Protocol):
    """The one method we use of ``onnxruntime.InferenceSession``, which has no types."""

    def run(self, names: None, inputs: Mapping[str, Any]) -> list[Vectors]: ...


class MiniLM:
    """384 dimensions, mean pooling, unit length; a text counts up to its 256th token.

    Nothing is loaded before the first ``embed``, which then takes about 0.2 s longer. ``threads`` are
    onnxruntime's, per text. Safe to share between threads and event loops.
    """

    dimensions = 384
    scale = Scale(floor=0.2, strong=0.6, spread=0.3)
    """Tuned on questions in English (docs/retrieval.md); a floor of 0.35 costs half a point of recall."""

    def __init__(self, *, threads: int = 1) -> None:
        self._threads = threads
        self._lock = Lock()
        self._loaded: tuple[WordPiece, _Session] | None = None

    @property
    def fingerprint(self) -> str:
        """``minilm-l6-v2-int8/`` and the first 12 digits of the model file's sha256."""
        return f"minilm-l6-v2-int8/{(_FILES / 'SHA256SUMS').read_text()[:12]}"

    def reads(self, text: str) -> bool:
        """Only Latin letters: of another script the model was shown next to nothing, and any two texts of it
        are near each other."""
        return text.isascii() or mainly_in(text, "latin")

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, shape (len(texts), 384). Any text is allowed, the empty one too."""
        return await in_hops(self._embed, texts, _HOP, self.dimensions)

    def _embed(self, texts: Sequence[str]) -> Vectors:
        words, session = self._load()
        vectors = np.empty((len(texts), self.dimensions), np.float32)
        for row, text in enumerate(texts):
            clean = (
                text[:_CHARACTERS].encode(errors="replace").decode()
            )  # a terminal gives half surrogate pairs
            ids = np.array([words.ids(clean)], np.int64)
            vectors[row] = session.run(None, {"ids": ids})[0][0]
        return vectors

    def _load(self) -> tuple[WordPiece, _Session]:
        with self._lock:
            if self._loaded is None:
                self._loaded = WordPiece(_FILES), _session(_FILES / "model.onnx", self._threads)
            return self._loaded


def _session(path: Path, threads: int) -> _Session:
    switch_telemetry_off()
    import onnxruntime  # pyright: ignore[reportMissingTypeStubs]

    library = cast(Any, onnxruntime)
    library.disable_telemetry_events()  # what is left of it if another module imported onnxruntime before
    options = library.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return cast(_Session, library.InferenceSession(path, options, providers=["CPUExecutionProvider"]))
