"""An example of a plug-in for pagefault, one part of each kind. Its entry points are in pyproject.toml.

pip install ./examples/plugin
pagefault chat --model echo:loud --setting style=native
"""

from collections.abc import AsyncGenerator, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from pagefault.embedders import Vectors
from pagefault.models import Completion, Delta, Prompt
from pagefault.models.endpoint import Endpoint, ModelOptions
from pagefault.testing.memory import MemoryStore
from pagefault.types import Passage


class Echo:
    """The model of ``echo:NAME``: it says what it is told."""

    def __init__(self, model: str, window: int, endpoint: Endpoint, options: ModelOptions) -> None:
        self.name, self.window = model, window

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Delta | Completion]:
        text = prompt.messages[-1].text.partition("] ")[2]
        yield Delta(text)
        yield Completion(text)


class Letters:
    """The embedder ``letters``: texts with the same letters are near each other."""

    fingerprint = "letters-1"
    dimensions = 26

    def __init__(self, model: str) -> None:
        """``model`` is what stands behind ``letters:`` in the setting; this embedder has one model only."""

    async def embed(self, texts: Sequence[str]) -> Vectors:
        counts = [[1 + text.lower().count(chr(97 + n)) for n in range(26)] for text in texts]
        vectors = np.array(counts, np.float32).reshape(-1, 26)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def memory(url: str) -> MemoryStore:
    """The store of ``memory://``: nothing is kept."""
    return MemoryStore()


def hello(name: str = "you") -> None:
    """Greet somebody: the command ``pagefault hello --name ana``."""
    print(f"Hello, {name}!")


def lines(path: Path) -> Iterator[Passage]:
    """The importer ``lines``: each line of a text file is a passage."""
    for line in path.read_text("utf-8").splitlines():
        yield Passage(line, datetime.now(UTC), tags=("lines",))
